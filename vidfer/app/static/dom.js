// What every view needs: elements by id, words for numbers, and sentences for faults.

/** An element by its id. */
export const $ = (id) => document.getElementById(id);

/** A fault with a sentence for the user. `lost` says that the server did not answer at all; `status` is HTTP's. */
export class Problem extends Error {
  constructor(message, { lost = false, status = 0 } = {}) {
    super(message);
    Object.assign(this, { lost, status });
  }
}

/** Tell screen readers something, once. */
export function say(text) {
  if ($("said").textContent !== text) $("said").textContent = text;
}

/** Make an element with attributes, a class and children; texts stay text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Show a fault's sentence in an element and move the focus there; without one, hide it. */
export function tell(element, problem) {
  element.hidden = !problem;
  element.textContent = problem?.message ?? "";
  if (problem) element.focus();
}

/** A name in which signs that nobody sees, or that turn the text around, are written out. */
export function visible(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) =>
    sign === "\u200d" ? sign : `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** 1234567 -> "1.2 MB" */
export function megabytes(bytes) {
  const size = bytes / 1e6;
  return `${size >= 10 || Number.isInteger(size) ? Math.round(size) : size.toFixed(1)} MB`;
}

/** 600 -> "10 minutes", 90 -> "90 seconds" */
export function duration(seconds) {
  for (const [unit, name] of [[3600, "hour"], [60, "minute"]]) {
    const many = seconds / unit;
    if (many >= 1 && Number.isInteger(many)) return `${many} ${name}${many === 1 ? "" : "s"}`;
  }
  return `${Math.round(seconds)} seconds`;
}

/** 75 -> "1:15" */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** Wait, unless the signal says that nobody waits any more. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
