// The server's answers, and a sentence for each that is none.

import { Problem, pause } from "./dom.js";

const NO_ANSWER = "vidfer does not answer. See whether it still runs where it was started, then try again.";

/** The states in which a job stays. */
export const ENDED = new Set(["done", "failed", "cancelled"]);

/** What the server says was wrong: its own sentence, if it sent one. */
function sentence(status, text) {
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") return detail;
  } catch { /* no JSON: a proxy's page, or nothing */ }
  if (status === 401 || status === 403) return "vidfer wants its token: open the address that it printed when it was started.";
  if (status === 404) return "vidfer does not have this clip any more. Clips are removed a while after they were analysed, and when vidfer ends.";
  if (status === 413) return "The file is larger than vidfer takes.";
  return `vidfer answered with fault ${status}. Try again, and look at its terminal if that does not help.`;
}

/** Ask the server, and return the JSON of its answer, or null for an empty one. */
export async function call(path, options = {}) {
  let response, text;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
    text = await response.text();
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Problem(NO_ANSWER, { lost: true });
  }
  if (!response.ok) throw new Problem(sentence(response.status, text), { status: response.status });
  return text ? JSON.parse(text) : null;
}

/** Send a file and return the new job; `moved` hears the share that is sent. fetch cannot tell that, so this is an XMLHttpRequest. */
export function upload(file, name, moved, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(), form = new FormData();
    form.append("file", file, name);
    request.open("POST", "analyze");
    request.upload.onprogress = (event) => moved(event.lengthComputable ? event.loaded / event.total : 0);
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(new Problem(sentence(request.status, request.responseText), { status: request.status }));
    };
    request.onerror = () => reject(new Problem("The connection was lost before the whole clip was sent. Try again.", { lost: true }));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/**
 * Ask for a job's state until it has ended, and return the last one. `moved` hears every state; `lost` hears true when the server
 * does not answer, and false when it does again: asking goes on, less and less often.
 */
export async function follow(id, { moved, lost }, signal) {
  let wait = 300, away = false;
  for (;;) {
    try {
      const job = await call(`jobs/${encodeURIComponent(id)}`, { signal });
      if (away) lost(away = false);
      moved(job);
      if (ENDED.has(job.status)) return job;
      wait = Math.min(wait + 50, 1000);
    } catch (problem) {
      if (!problem.lost) throw problem;
      if (!away) lost(away = true);
      wait = Math.min(wait * 1.5, 5000);
    }
    await pause(wait, signal);
  }
}
