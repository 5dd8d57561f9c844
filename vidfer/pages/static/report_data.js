// The series of a report (vidfer/pages/series.py): unpacked, looked up by time, and laid out as stacked areas for uPlot.
const ReportData = (() => {
  "use strict";

  function unpack(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    return new Kind(bytes.buffer);
  }

  /** The last place of a sorted array with a value of at most `value`, or -1. */
  function placeOf(sorted, value) {
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] <= value + 1e-6) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** A person's samples: shares p (6 of 7, the last is the rest), flag and weight. */
  class Band {
    constructor(raw, chart) {
      Object.assign(this, raw);
      this.chart = chart;
      this.p = unpack(raw.p, Uint16Array);
      this.flag = unpack(raw.flag, Uint8Array);
      this.weight = unpack(raw.weight, Uint8Array);
      this.times = chart.times.subarray(raw.first, raw.first + raw.count);
    }

    missing(place) {
      return this.p[place] === 65535;
    }

    /** Seven shares from bottom to top. */
    shares(place) {
      const found = [];
      let rest = 1;
      for (let row = 0; row < 6; row++) {
        found.push(this.p[row * this.count + place] / this.chart.scale);
        rest -= found[row];
      }
      return [...found, Math.max(0, rest)];
    }

    /** Where a sample ends: at the next one, or after a step. */
    end(place) {
      const usual = this.times[place] + this.chart.step;
      return place + 1 < this.count ? Math.min(this.times[place + 1], usual + 0.5 * this.chart.step) : usual;
    }

    /** The sample that holds at a time, or -1. */
    at(time) {
      const place = placeOf(this.times, time);
      return place >= 0 && time <= this.end(place) + 1e-6 ? place : -1;
    }

    reason(place) {
      const flag = this.chart.flags[this.flag[place]];
      return flag !== "excluded" && (flag === "" || this.weight[place] > 0) ? `unusable: ${flag || "no good face"}` : flag;
    }

    /** Stretches without a value, with the reason that most of their samples have. */
    gaps() {
      const found = [];
      for (let place = 0; place < this.count; place++) {
        if (!this.missing(place)) continue;
        const start = place, counts = new Map();
        for (; place < this.count && this.missing(place); place++) {
          const reason = this.reason(place);
          counts.set(reason, (counts.get(reason) ?? 0) + 1);
        }
        const [reason] = [...counts].reduce((most, one) => (one[1] > most[1] ? one : most));
        found.push({ start: this.times[start], end: this.end(place - 1), reason });
      }
      return found;
    }

    /** Stacked areas between two times for so many pixels; samples that share a pixel are averaged. */
    areas(from, to, pixels) {
      const first = Math.max(0, placeOf(this.times, from));
      const last = Math.min(this.count - 1, placeOf(this.times, to) + 1);
      const bin = Math.max(1, Math.floor((last - first + 1) / Math.max(1, pixels)));
      const cells = [];
      for (let place = first; place <= last; place += bin) {
        const stop = Math.min(place + bin, last + 1), sum = new Float64Array(7);
        let used = 0;
        for (let one = place; one < stop; one++) {
          if (this.missing(one)) continue;
          this.shares(one).forEach((share, row) => { sum[row] += share; });
          used++;
        }
        cells.push({ start: this.times[place], end: this.end(stop - 1), shares: used ? sum.map((each) => each / used) : null });
      }
      return stack(cells, 7, false);
    }
  }

  /** Cells {start, end, shares or null} as uPlot's columns: x, then tops from the uppermost down. Held cells are steps. */
  function stack(cells, rows, held) {
    const columns = Array.from({ length: rows + 1 }, () => []);
    const push = (x, shares) => {
      columns[0].push(x);
      let top = 0;
      for (let row = 0; row < rows; row++) {
        top += shares ? shares[row] : 0;
        columns[rows - row].push(shares ? (row === rows - 1 ? 1 : top) : null);
      }
    };
    cells.forEach((cell, place) => {
      if (!cell.shares) return;
      const next = cells[place + 1];
      push(cell.start, cell.shares);
      const goesOn = next && next.shares && next.start - cell.end < 1e-6;
      if (held || !goesOn) push(cell.end, cell.shares);
      if (!goesOn) push(cell.end, null);
    });
    return columns;
  }

  /** Windows of sound as cells around their middles, which do not overlap. */
  function soundCells(windows) {
    const middles = windows.start.map((start, place) => (start + windows.end[place]) / 2);
    return middles.map((middle, place) => {
      const before = place > 0 ? (middles[place - 1] + middle) / 2 : windows.start[place];
      const after = place + 1 < middles.length ? (middle + middles[place + 1]) / 2 : windows.end[place];
      return {
        start: Math.max(before, windows.start[place]), end: Math.min(after, windows.end[place]),
        shares: windows.p[place].length ? windows.p[place] : null,
        speech: windows.speech[place], status: windows.status[place], place,
      };
    });
  }

  function read(text) {
    const chart = JSON.parse(text);
    chart.times = Float64Array.from(unpack(chart.times, Uint32Array), (tick) => tick / 10000);
    chart.people = chart.people.map((raw) => new Band(raw, chart));
    chart.nobody = chart.nobody && new Band(chart.nobody, chart);
    chart.sound = soundCells(chart.windows);
    return chart;
  }

  /** Place of the largest share, from bottom to top. */
  function top(shares) {
    return shares.reduce((best, share, row) => (share > shares[best] ? row : best), 0);
  }

  function clock(time, whole = false) {
    const tenths = Math.round(10 * time), minutes = Math.floor(tenths / 600), rest = (tenths % 600) / 10, places = whole ? 0 : 1;
    if (minutes === 0) return `${rest.toFixed(places)} s`;
    const shown = rest.toFixed(places).padStart(whole ? 2 : 4, "0"), hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${shown}` : `${minutes}:${shown}`;
  }

  return { read, stack, top, clock };
})();
