// Record a clip with the camera: ask, turn on, count down, record, look at it, then analyse or discard it.

import { showIn, turnOff, turnOn } from "./camera.js";
import { $, Problem, clock, pause, say, tell } from "./dom.js";
import { getLimits } from "./start.js";

const TYPES = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const LONGEST = 120; // s, unless the server takes less
const COUNT = 3;

let stream = null, recorder = null, address = null;
let send = () => {}, left = null;

export function recordView(turn, onFile, signal) {
  send = onFile;
  left = signal;
  turn("record", "Record a clip");
  stage("ask");
  tell($("record-problem"), null);
  signal.addEventListener("abort", off, { once: true });
}

/** Show one part of the view: "ask", "stage" or "review". */
function stage(which) {
  for (const part of ["ask", "stage", "review"]) $(`record-${part}`).hidden = part !== which;
}

/** Give camera, recording and preview back. */
function off() {
  if (recorder?.state === "recording") {
    recorder.onstop = null;
    recorder.stop();
  }
  turnOff(stream);
  if (address) URL.revokeObjectURL(address);
  $("record-live").srcObject = null;
  $("record-play").removeAttribute("src");
  $("record-play").load();
  stream = recorder = address = null;
}

async function on() {
  tell($("record-problem"), null);
  $("record-on").disabled = true;
  try {
    if (typeof MediaRecorder === "undefined") throw new Problem("This browser cannot record: use another one, or send a file.");
    stream = await turnOn({ width: 1280, height: 720, sound: $("record-sound").checked }, left);
    await showIn($("record-live"), stream);
    stage("stage");
    idle();
    $("record-start").focus();
    say("The camera is on.");
  } catch (problem) {
    if (problem.name !== "AbortError") tell($("record-problem"), problem);
  } finally {
    $("record-on").disabled = false;
  }
}

function idle() {
  $("record-start").hidden = false;
  $("record-start").disabled = false;
  $("record-stop").hidden = $("record-count").hidden = true;
  $("record-time").textContent = "";
}

async function record() {
  const signal = left, mine = stream, longest = Math.min(LONGEST, (await getLimits().catch(() => null))?.max_duration_s ?? LONGEST);
  $("record-start").disabled = true;
  for (let count = COUNT; count > 0; count -= 1) {
    $("record-count").hidden = false;
    $("record-count").textContent = String(count);
    say(String(count));
    await pause(1000, signal);
    if (stream !== mine) return; // turned off while it counted
  }
  $("record-count").hidden = true;
  begin(longest, signal);
}

function begin(longest, signal) {
  const type = TYPES.find((each) => MediaRecorder.isTypeSupported(each)), parts = [];
  recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 2_500_000 });
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => review(new Blob(parts, { type: recorder.mimeType }));
  recorder.onerror = (event) => tell($("record-problem"), new Problem(`The recording failed: ${event.error?.message ?? "unknown fault"}`));
  recorder.start(1000);
  $("record-start").hidden = true;
  $("record-stop").hidden = false;
  $("record-stop").focus();
  say("Recording.");
  time(recorder, longest, signal).catch(() => {}); // left
}

async function time(running, longest, signal) {
  const start = performance.now();
  while (running.state === "recording") {
    const seconds = (performance.now() - start) / 1000;
    $("record-time").textContent = `${clock(seconds)} of ${clock(longest)}`;
    if (seconds >= longest) running.stop();
    await pause(200, signal);
  }
}

function review(recording) {
  turnOff(stream);
  stream = null;
  $("record-live").srcObject = null;
  stage("review");
  const player = $("record-play"), ending = recording.type.includes("mp4") ? "mp4" : "webm";
  address = URL.createObjectURL(recording);
  player.src = address;
  // What a browser records has no length in its header: a seek beyond the end makes the player find it.
  player.onloadedmetadata = () => {
    if (Number.isFinite(player.duration)) return;
    player.ondurationchange = () => { player.ondurationchange = null; player.currentTime = 0; };
    player.currentTime = 1e7;
  };
  const stamp = new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  $("record-use").onclick = () => send(recording, `recording-${stamp}.${ending}`);
  $("record-use").focus();
  say("Recorded. Look at it, then analyse or discard it.");
}

$("record-on").addEventListener("click", on);
$("record-off").addEventListener("click", () => { off(); stage("ask"); $("record-on").focus(); say("The camera is off."); });
$("record-start").addEventListener("click", () => record().catch(() => {})); // left
$("record-stop").addEventListener("click", () => recorder?.stop());
$("record-redo").addEventListener("click", () => { off(); on(); });
