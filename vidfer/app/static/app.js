// Chooses the view by the address after #: (start), #sending, #example, #clip/ID, #record, #live.

import { clipView, exampleView, sendView } from "./clip.js";
import { $ } from "./dom.js";
import { liveView } from "./live.js";
import { recordView } from "./record.js";
import { startView } from "./start.js";

let waiting = null; // a file that was chosen and is not sent yet
let leave = new AbortController();

/** Send a file: the view of its upload takes it from here. */
function send(file, name = file.name) {
  waiting = { file, name };
  location.hash = "sending";
}

/** Show one view, with the focus on its title unless the page has just been opened. */
function show(id, title, focus) {
  for (const view of document.querySelectorAll("section[data-view]")) view.hidden = view.id !== id;
  document.body.dataset.view = id;
  document.title = title ? `${title} – vidfer` : "vidfer";
  if (focus) $(`${id}-title`).focus();
  scrollTo(0, 0);
}

function route(opened = false) {
  leave.abort(new DOMException("left", "AbortError"));
  leave = new AbortController();
  const [name, id] = location.hash.slice(1).split("/"), { signal } = leave;
  const turn = (view, title) => show(view, title, !opened);
  if (name === "sending" && waiting) {
    const { file, name: called } = waiting;
    waiting = null;
    sendView(file, called, turn, signal);
  } else if (name === "clip" && id) clipView(decodeURIComponent(id), turn, signal);
  else if (name === "example") exampleView(turn, signal);
  else if (name === "record") recordView(turn, send, signal);
  else if (name === "live") liveView(turn, signal);
  else {
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    startView(turn, send, signal);
  }
}

addEventListener("hashchange", () => route());
route(true);
