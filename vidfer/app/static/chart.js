// The last minute of each person, as stacked probabilities.

import { $, make } from "./dom.js";

const SPAN = 60; // s that are shown
const GAP = 1; // s without a face after which the areas break off
const MOST = 4; // people with a chart; more would be a wall of them
const EVERY = 250; // ms between two drawings
const NAMES = Object.keys(JSON.parse($("colours").textContent));

/** Everybody who was seen in the last minute. */
export class People {
  charts = new Map();
  drawn = 0;

  constructor() {
    $("live-people").replaceChildren();
    $("live-nobody").hidden = false;
  }

  /** Take the answer to one picture, at its time in s. */
  add(at, people) {
    for (const person of people) {
      if (!this.charts.has(person.person) && this.charts.size < MOST) this.charts.set(person.person, new Chart(person.person));
      this.charts.get(person.person)?.add(at, person);
    }
    if (performance.now() - this.drawn < EVERY) return;
    this.drawn = performance.now();
    for (const [number, chart] of this.charts) {
      if (at - chart.last > SPAN) {
        chart.end();
        this.charts.delete(number);
      } else chart.draw(at);
    }
    $("live-nobody").hidden = this.charts.size > 0;
  }
}

/** A colour of the style sheet as a canvas takes it: `light-dark()` is resolved where it is a property's value only. */
function style(name) {
  $("live-people").style.outlineColor = `var(${name})`;
  return getComputedStyle($("live-people")).outlineColor;
}

/** One person's timeline. */
class Chart {
  rows = []; // [time in s, probabilities of the classes in order, or null for a gap]
  last = -Infinity;

  constructor(number) {
    this.number = number;
    this.words = make("figcaption", { class: "row spread" });
    this.place = make("div", { class: "chart", "aria-hidden": "true" });
    this.figure = make("figure", { class: "person" }, this.words, this.place);
    $("live-people").append(this.figure);
    this.plot = new uPlot(this.options(), [[], ...NAMES.map(() => [])], this.place);
    this.sized = new ResizeObserver(() => this.plot.setSize({ width: this.place.clientWidth, height: 110 }));
    this.sized.observe(this.place);
  }

  options() {
    const ink = () => style("--muted"), line = { stroke: () => style("--line"), width: 1 };
    // The sum of all classes is drawn first and the bottom class last, each filled down to 0: what stays visible is the stack.
    const series = NAMES.map((name) => ({ label: name, fill: () => style(`--${name}`), stroke: () => style("--edge"), width: 0.5, points: { show: false } })).reverse();
    return {
      width: this.place.clientWidth || 300, height: 110, padding: [8, 14, 0, 0], legend: { show: false }, cursor: { show: false }, select: { show: false },
      scales: { x: { time: false, auto: false }, y: { range: [0, 1] } },
      axes: [
        { stroke: ink, grid: line, ticks: line, size: 24, font: "11px system-ui", values: (_, at) => at.map((each) => (each === 0 ? "now" : `${each} s`)) },
        { stroke: ink, grid: line, ticks: line, size: 54, font: "11px system-ui", splits: [0, 0.5, 1], values: ["0", "50 %", "100 %"] },
      ],
      series: [{}, ...series],
    };
  }

  add(at, person) {
    if (this.rows.length && at - this.last > GAP) this.rows.push([this.last + 0.001, null]);
    this.last = at;
    this.rows.push([at, person.smooth ? NAMES.map((name) => person.smooth[name]) : null]);
    this.now = person;
  }

  draw(now) {
    this.rows = this.rows.filter(([at]) => now - at <= SPAN + GAP);
    const sums = this.rows.map(([, values]) => {
      let sum = 0;
      return values?.map((value) => (sum += value));
    });
    const data = NAMES.map((_, place) => sums.map((row) => row?.[place] ?? null)).reverse();
    this.plot.setData([this.rows.map(([at]) => at - now), ...data], false);
    this.plot.setScale("x", { min: -SPAN, max: 0 });
    this.caption(now);
  }

  caption(now) {
    const { smooth, smooth_expression: name } = this.now;
    let words = "not clear enough to read";
    if (now - this.last > GAP) words = "not seen now";
    else if (name) words = smooth[name] === undefined ? name : `${name} ${Math.round(100 * smooth[name])} %`;
    const who = `Person ${this.number}`;
    if (this.words.dataset.words === words) return;
    this.words.dataset.words = words;
    this.words.replaceChildren(make("strong", {}, who), make("span", {}, words));
  }

  end() {
    this.sized.disconnect();
    this.plot.destroy();
    this.figure.remove();
  }
}
