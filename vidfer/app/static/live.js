// Live mode: one picture at a time goes to the server, the next when the answer has come.

import { showIn, turnOff, turnOn } from "./camera.js";
import { People } from "./chart.js";
import { $, Problem, pause, say, tell } from "./dom.js";
import { draw } from "./draw.js";

const SIDE = 640; // px: the long side of what is sent
const FPS = 12; // at most; the server may ask for less
const QUALITY = 0.8;

let running = null, left = null;

export function liveView(turn, signal) {
  left = signal;
  turn("live", "Watch live");
  parts(false);
  $("live-start").disabled = false;
  $("live-side").hidden = true;
  tell($("live-problem"), null);
  signal.addEventListener("abort", () => stop(), { once: true });
}

/** Show the camera's picture, or the question before it. */
function parts(on) {
  $("live-ask").hidden = on;
  $("live-stage").hidden = !on;
  $("live-pace").hidden = true;
}

/** Give camera and connection back. */
function stop() {
  running?.end();
  running = null;
}

async function start() {
  stop();
  tell($("live-problem"), null);
  $("live-start").disabled = true;
  const session = new Session();
  running = session;
  let fault = null;
  try {
    await session.run(left);
  } catch (problem) {
    if (problem.name !== "AbortError") fault = problem;
  }
  session.end();
  if (running === session) running = null;
  if (left.aborted) return;
  $("live-start").disabled = false;
  parts(false);
  $("live-side").hidden = !$("live-people").childElementCount; // what was seen stays until the view is left
  if (fault) tell($("live-problem"), fault);
  else $("live-start").focus();
}

/** One time from start to stop. */
class Session {
  stream = null;
  socket = null;
  leave = new AbortController();
  pace = new Pace();

  end() {
    this.leave.abort(new DOMException("stopped", "AbortError"));
    turnOff(this.stream);
    this.socket?.close();
    $("live-video").srcObject = null;
  }

  async run(outer) {
    const { signal } = this.leave, video = $("live-video"), people = new People();
    outer.addEventListener("abort", () => this.leave.abort(outer.reason), { once: true });
    this.stream = await turnOn({ width: SIDE, height: 480, sound: false }, signal);
    await showIn(video, this.stream);
    parts(true);
    $("live-side").hidden = false;
    $("live-stop").focus();
    state("Connecting …");
    this.socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
    const answers = heard(this.socket, this.stream, signal);
    let fps = FPS;
    for await (const message of answers) {
      if (message.kind === "loading") state("Loading the models …");
      else if (message.kind === "ready") {
        fps = Math.min(FPS, message.fps);
        state("");
        say("Live mode runs.");
        this.send(video);
      } else {
        this.pace.answered();
        draw($("live-drawn"), video, this.picture, message.people);
        people.add(message.time_s, message.people);
        this.pace.show($("live-pace"));
        await pause(Math.max(0, 1000 / fps - (performance.now() - this.pace.sent)), signal);
        this.send(video);
      }
    }
  }

  /** Send the picture that the camera has now. */
  send(video) {
    this.picture ??= document.createElement("canvas");
    const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    this.picture.width = Math.round(scale * video.videoWidth);
    this.picture.height = Math.round(scale * video.videoHeight);
    this.pace.sending();
    this.picture.getContext("2d").drawImage(video, 0, 0, this.picture.width, this.picture.height);
    this.picture.toBlob((blob) => { if (this.socket.readyState === WebSocket.OPEN) this.socket.send(blob); }, "image/jpeg", QUALITY);
  }
}

/** The messages of a socket, in order; an error of the server, a lost connection, and a camera that is gone are thrown. */
async function* heard(socket, stream, signal) {
  const queue = [];
  let wake = () => {};
  const put = (item) => { queue.push(item); wake(); };
  socket.onmessage = (event) => put(JSON.parse(event.data));
  socket.onclose = () => put({ kind: "error", message: "The connection to vidfer was lost, or it does not run any more: start live mode again." });
  stream.getVideoTracks()[0].onended = () => put({ kind: "error", message: "The camera was turned off or unplugged: start live mode again." });
  signal.addEventListener("abort", () => put(null), { once: true });
  for (;;) {
    while (!queue.length) await new Promise((resolve) => { wake = resolve; });
    const message = queue.shift();
    if (signal.aborted) throw signal.reason;
    if (message.kind === "error") throw new Problem(message.message);
    yield message;
  }
}

const state = (text) => { $("live-state").textContent = text; };

/** How fast answers come: means over the last twenty. */
class Pace {
  sent = 0;
  trips = [];
  times = [];
  shown = 0;

  sending() { this.sent = performance.now(); }

  answered() {
    const now = performance.now();
    this.trips = [...this.trips, now - this.sent].slice(-20);
    this.times = [...this.times, now].slice(-21);
  }

  show(element) {
    const { times, trips } = this, now = performance.now();
    if (times.length < 3 || now - this.shown < 500) return;
    this.shown = now;
    const fps = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
    const trip = trips.reduce((sum, each) => sum + each, 0) / trips.length;
    element.hidden = false;
    element.textContent = `${fps.toFixed(1)} pictures a second, answered in ${Math.round(trip)} ms`;
  }
}

$("live-start").addEventListener("click", start);
$("live-stop").addEventListener("click", () => { stop(); say("Live mode has ended, the camera is off."); });
