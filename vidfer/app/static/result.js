// A finished clip: its report in place, and everything to download.

import { call } from "./api.js";
import { $, make, say, visible } from "./dom.js";
import { forget } from "./history.js";

const TABLES = {
  clips: "the clip",
  people: "a person",
  seconds: "a second of a person",
  segments: "a time with one expression",
  frames: "a face in a frame",
  windows: "a window of sound",
};
let remove = () => {};

/** Show a finished clip until its view is left. */
export function showResult(id, name, turn, signal) {
  const place = `jobs/${encodeURIComponent(id)}`, report = { title: `Report of ${visible(name)}`, src: `${place}/report` };
  $("result-title").firstElementChild.textContent = visible(name);
  frame(report);
  signal.addEventListener("abort", () => frame(), { once: true });
  $("own-tab").href = $("save-report").href = report.src;
  $("save-report").download = `${name}.report.html`;
  $("zip").href = `${place}/tables.zip`;
  $("tables").replaceChildren(...Object.entries(TABLES).map(([table, row]) => {
    const links = ["csv", "parquet"].map((form) =>
      make("a", { href: `${place}/tables/${table}.${form}`, download: "", "aria-label": `${table} as ${form}` }, form === "csv" ? "CSV" : "Parquet"));
    return make("tr", {}, make("th", { scope: "row" }, table), make("td", {}, row), make("td", { class: "nowrap" }, links[0], " ", links[1]));
  }));
  $("downloads").open = false;
  remove = async () => {
    frame(); // what it still loads would not be found any more
    try {
      await call(place, { method: "DELETE" });
    } catch (problem) {
      if (problem.status !== 404) {
        if (!signal.aborted) frame(report);
        return say(problem.message);
      }
    }
    forget(id);
    location.hash = "";
  };
  turn("result", visible(name));
  say("The result is here.");
}

/** Put a new frame in the place of the report's. Taking a frame away ends at once what it loads and plays. */
function frame(attributes = { title: "Report" }) {
  const made = make("iframe", { id: "report", ...attributes });
  made.addEventListener("load", fit);
  $("report").replaceWith(made);
}

// In its frame, the report needs no name and switch of its own: the colours are those that are chosen here. What it links to, such
// as the clip's file, opens in a tab, so that the report stays.
function fit() {
  const inside = $("report").contentDocument; // null where the browser shows a fault of its own
  for (const double of inside?.querySelectorAll(".topbar .brand, .topbar [data-theme-switch]") ?? []) double.hidden = true;
  for (const link of inside?.querySelectorAll("a[href]:not([href^='#'])") ?? []) Object.assign(link, { target: "_blank", rel: "noopener" });
}
document.addEventListener("themechange", () => {
  const inside = $("report").contentDocument, { theme } = document.documentElement.dataset;
  if (!inside) return;
  if (theme) inside.documentElement.dataset.theme = theme;
  else delete inside.documentElement.dataset.theme;
  inside.dispatchEvent(new Event("themechange"));
});

$("remove").addEventListener("click", () => remove());

// A menu closes by Escape, by a click elsewhere, and when the focus leaves it.
const menu = $("downloads");
const close = (back) => {
  if (!menu.open) return;
  menu.open = false;
  if (back) menu.firstElementChild.focus();
};
menu.addEventListener("keydown", (event) => { if (event.key === "Escape") close(true); });
menu.addEventListener("focusout", (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) close(false); });
addEventListener("click", (event) => { if (!menu.contains(event.target)) close(false); });
addEventListener("blur", () => close(false)); // into the report's frame
