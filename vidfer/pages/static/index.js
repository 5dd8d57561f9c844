// The table of clips: sorted by its headers, filtered by words and choices, so many rows at once. Without this it is a plain table.
(() => {
  "use strict";
  const { atOnce } = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("clips"), body = table.tBodies[0], filters = document.getElementById("filters");
  const pages = document.getElementById("pages"), count = document.getElementById("count");
  const headers = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  const valueOf = (cell, kind) => {
    const text = (cell.dataset.value ?? (cell.querySelector(".name > a, .name > bdi") ?? cell).textContent).trim();
    if (text === "" || text === "–") return null;
    return kind === "number" ? Number(text.replaceAll(",", "")) : text;
  };
  const rows = [...body.rows].map((row, at) => ({
    row, at, text: fold(row.textContent), values: headers.map((header, column) => valueOf(row.cells[column], header.dataset.kind)),
  }));
  let column = -1, falling = false, page = 0;

  const order = (one, other) => {
    if (column < 0) return one.at - other.at;
    const [a, b] = [one.values[column], other.values[column]];
    if (a === null || b === null) return (a === null) - (b === null) || one.at - other.at; // what is missing comes last
    const found = typeof a === "number" ? a - b : collator.compare(a, b);
    return (falling ? -found : found) || one.at - other.at;
  };

  const show = () => {
    const words = fold(filters.elements.text.value).split(/\s+/).filter(Boolean);
    const choices = [...filters.querySelectorAll("select:not([name=sort])")].filter((select) => select.value !== "");
    const kept = rows.filter(({ row, text }) => words.every((word) => text.includes(word))
      && choices.every((select) => row.dataset[select.name] === select.value)).sort(order);
    const last = Math.max(0, Math.ceil(kept.length / atOnce) - 1);
    page = Math.min(page, last);
    const shown = kept.slice(page * atOnce, (page + 1) * atOnce);
    body.replaceChildren(...shown.map(({ row }) => row));
    const number = (value) => value.toLocaleString("en");
    const of = kept.length === rows.length ? `${number(kept.length)} clip${kept.length === 1 ? "" : "s"}`
      : `${number(kept.length)} of ${number(rows.length)} clips`;
    const part = last ? `, ${number(page * atOnce + 1)} to ${number(page * atOnce + shown.length)} shown` : "";
    count.textContent = kept.length ? of + part : "No clip is like this.";
    pages.hidden = !last;
    pages.querySelector("span").textContent = `Page ${page + 1} of ${last + 1}`;
    pages.querySelector("[data-step='-1']").disabled = page === 0;
    pages.querySelector("[data-step='1']").disabled = page === last;
    headers.forEach((header, at) => {
      if (at === column) header.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    filters.elements.sort.value = column < 0 ? "" : headers[column].dataset.key;
  };
  const sortBy = (at) => {
    // numbers: the highest first; a second time the other way round, a third time as the run has them
    const first = headers[at]?.dataset.kind === "number";
    if (at !== column) [column, falling] = [at, first];
    else if (falling === first) falling = !first;
    else [column, falling] = [-1, false];
    page = 0;
    show();
  };

  headers.forEach((header, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sortBy(at));
    header.replaceChildren(button);
  });
  const changed = (event) => {
    if (event.target.name === "sort") {
      column = -1;
      const at = headers.findIndex((header) => header.dataset.key === event.target.value);
      if (at >= 0) return sortBy(at);
    }
    page = 0;
    show();
  };
  filters.addEventListener("input", changed);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(() => { // after the fields are empty
    [column, falling, page] = [-1, false, 0];
    show();
  }));
  pages.addEventListener("click", (event) => {
    const step = Number(event.target.closest("[data-step]")?.dataset.step);
    if (!step) return;
    page += step;
    show();
    document.getElementById("clips-title").scrollIntoView();
  });
  filters.hidden = rows.length < 2;
  show();
})();
