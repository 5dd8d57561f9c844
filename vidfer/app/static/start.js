// The first view: a clip is dropped or chosen, or the example taken; limits are told beforehand.

import { ENDED, call } from "./api.js";
import { $, Problem, duration, make, megabytes, tell, visible } from "./dom.js";
import { clips, forget, remember } from "./history.js";

let limits = null; // the server's, once they are known
let send = () => {};

/** The server's limits, asked for once: `max_bytes`, `max_duration_s`, `keep_s`. */
export async function getLimits() {
  limits ??= await call("limits");
  return limits;
}

export function startView(turn, onFile, signal) {
  send = onFile;
  turn("start");
  tell($("start-problem"), null);
  listEarlier();
  askEarlier(signal);
  tellLimits();
  signal.addEventListener("abort", () => $("drop").classList.remove("over"));
}

async function tellLimits() {
  try {
    const { max_bytes, max_duration_s, keep_s } = await getLimits();
    $("limits").textContent = `Up to ${megabytes(max_bytes)} and ${duration(max_duration_s)}. Video, sound or picture: MP4, MOV, WebM, MKV, AVI, `
      + `WAV, JPEG and whatever else FFmpeg reads. It goes to this vidfer server only, which removes it ${duration(keep_s)} after it is done.`;
    for (const place of document.querySelectorAll("[data-keep]")) place.textContent = duration(keep_s);
  } catch (problem) {
    tell($("start-problem"), problem);
  }
}

function listEarlier() {
  const list = clips();
  $("earlier").hidden = !list.length;
  $("earlier-list").replaceChildren(...list.map(({ id, name, outcome }) => {
    const link = make("a", { href: `#clip/${encodeURIComponent(id)}` }, make("bdi", {}, visible(name)));
    return make("li", {}, link, make("span", { class: "muted small" }, outcome ?? "on its way"));
  }));
}

/** Find out what became of clips whose view was left before they were done. */
async function askEarlier(signal) {
  for (const { id } of clips().filter((each) => !each.outcome)) {
    try {
      const { status } = await call(`jobs/${encodeURIComponent(id)}`, { signal });
      if (ENDED.has(status)) remember({ id, outcome: status });
    } catch (problem) {
      if (problem.status !== 404) return; // left, or no answer now
      forget(id);
    }
    listEarlier();
  }
}

function take(files) {
  const [file] = files;
  try {
    if (!file) return;
    if (files.length > 1) throw new Problem("One clip at a time: drop a single file.");
    if (!file.size) throw new Problem(`${visible(file.name)} is empty, or a folder: choose a file.`);
    if (limits && file.size > limits.max_bytes) {
      const most = `vidfer takes up to ${megabytes(limits.max_bytes)} here`;
      throw new Problem(`${visible(file.name)} has ${megabytes(file.size)}, and ${most}: cut it, or use vidfer analyze on this machine.`);
    }
    send(file);
  } catch (problem) {
    tell($("start-problem"), problem);
  }
}

$("file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});

// A clip may be dropped anywhere on the first view; elsewhere a drop would make the browser leave the page.
let depth = 0;
const here = () => !$("start").hidden;
addEventListener("dragenter", () => { depth += 1; $("drop").classList.toggle("over", here()); });
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) $("drop").classList.remove("over"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  $("drop").classList.remove("over");
  if (here()) take([...event.dataTransfer.files]);
});
