// One clip on its way: sent, waiting, analysed; then its result, or why there is none.

import { call, follow, upload } from "./api.js";
import { $, say, visible } from "./dom.js";
import { clips, forget, remember } from "./history.js";
import { showResult } from "./result.js";

const STEPS = ["uploading", "queued", "running", "done"];
const REMEDY = {
  corrupt: "The file is damaged, or no video, sound or picture: see whether it plays elsewhere, or copy it again from its source.",
  unreadable: "The file is damaged, or no video, sound or picture: see whether it plays elsewhere, or copy it again from its source.",
  unsupported: "Save it in another format: a video as MP4, a picture as PNG or JPEG.",
  too_large: "Scale the video down.",
  timeout: "Cut it into shorter clips.",
  out_of_memory: "Scale the video down, or cut it into shorter clips.",
};
let onCancel = () => {}, onAgain = () => {};

/** Send a file; when the server has it, the address becomes that of its job. */
export function sendView(file, called, turn, signal) {
  return hand(called, "Sending", 0, () => upload(file, called, (share) => step("uploading", "Sending", share), signal), turn);
}

/** Ask for the example, which the server first has to make. */
export function exampleView(turn, signal) {
  return hand("Example clip", "Making the example", null, () => call("example", { method: "POST", signal }), turn);
}

async function hand(called, words, share, ask, turn) {
  begin(called, turn);
  onCancel = () => { location.hash = ""; }; // leaving the view ends the request
  onAgain = () => hand(called, words, share, ask, turn);
  step("uploading", words, share);
  try {
    const job = await ask();
    remember({ id: job.id, name: job.name });
    location.replace(`#clip/${encodeURIComponent(job.id)}`);
  } catch (problem) {
    if (problem.name !== "AbortError") end("could not be sent", problem.message, { again: problem.lost || problem.status === 429 || problem.status >= 500 });
  }
}

/** Follow a job to its end. */
export async function clipView(id, turn, signal) {
  const known = clips().find((each) => each.id === id);
  begin(known?.name ?? "clip", turn);
  onCancel = () => cancel(id);
  try {
    const job = await follow(id, { moved, lost: (away) => { $("lost").hidden = !away; } }, signal);
    remember({ id, name: job.name, outcome: job.status });
    if (job.status === "done") showResult(id, job.name, turn, signal);
    else if (job.status === "cancelled") end("was cancelled", "It was not analysed, and is removed.");
    else end("could not be analysed", `${capital(job.message)}. ${REMEDY[job.clip_status] ?? ""}`);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (problem.status === 404) forget(id);
    end("is not here", problem.message);
  }
}

async function cancel(id) {
  $("cancel").disabled = true;
  try {
    await call(`jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
    remember({ id, outcome: "cancelled" });
    end("was cancelled", "It was not analysed, and is removed.");
  } catch (problem) {
    if (problem.status !== 404) $("doing").textContent = problem.message;
  } finally {
    $("cancel").disabled = false;
  }
}

const name = (text) => { $("clip-title").firstElementChild.textContent = visible(text); };

function begin(called, turn) {
  name(called);
  $("clip-kind").textContent = "Your clip";
  $("way").hidden = false;
  $("ended").hidden = $("lost").hidden = true;
  turn("clip", visible(called));
}

/** Show a job's state. */
function moved(job) {
  name(job.name);
  if (job.status === "queued") {
    step("queued", job.position > 1 ? `Waiting: number ${job.position} in the queue` : "Waiting: next in the queue", null);
  } else if (job.status === "running") step("running", capital(job.stage), job.progress);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Mark a step; the share is in [0, 1], or null where it cannot be told. Each new sentence is said once, percentages are not. */
function step(which, words, share) {
  for (const each of $("steps").children) {
    const place = STEPS.indexOf(each.dataset.step), now = STEPS.indexOf(which);
    each.classList.toggle("past", place < now);
    if (place === now) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
  }
  $("doing").textContent = words;
  $("share").textContent = share === null ? "" : `${Math.round(100 * share)} %`;
  if (share === null) $("bar").removeAttribute("value");
  else $("bar").value = share;
  say(words);
}

function end(kind, why, { again = false } = {}) {
  $("clip-kind").textContent = `This clip ${kind}`;
  $("way").hidden = true;
  $("ended").hidden = false;
  $("again").hidden = !again;
  $("why").textContent = why ?? "";
  $("why").focus();
  say("");
}

$("cancel").addEventListener("click", () => onCancel());
$("again").addEventListener("click", () => onAgain());
