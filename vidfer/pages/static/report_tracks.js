// The tracks of a report, one under the other on one axis of time: people, sound, events. uPlot draws the areas and the axis.
const ReportTracks = (() => {
  "use strict";
  const AREA = 84, FACE = 40, QUALITY = 12, SPEECH = 12, AXIS = 30, SIDE = 20;
  const NO_CURSOR = { cursor: { show: false }, legend: { show: false }, select: { show: false }, padding: [0, 0, 0, 0] };

  function make(tag, options = {}, ...children) {
    const element = Object.assign(document.createElement(tag), options);
    element.append(...children);
    return element;
  }

  /** A text from outside: as it is, of a direction of its own. */
  function named(text) {
    return make("bdi", { textContent: text });
  }

  function track(title, ...parts) {
    const plot = make("div", { className: "plot" }, ...parts);
    return { row: make("div", { className: "track" }, make("div", { className: "name" }, ...title), plot), plot };
  }

  function canvas(text) {
    const made = make("canvas");
    made.setAttribute("aria-hidden", "true");
    if (text) made.title = text;
    return made;
  }

  /** Stacked areas by uPlot in a box; `cells` gives its columns for a view, `under` and `over` draw beneath and upon them. */
  function areas(box, chart, view, height, cells, under, over) {
    const series = [{}, ...[...chart.order].reverse().map((name) => ({
      fill: chart.colours[name], width: 0, points: { show: false }, spanGaps: false,
    }))];
    const drawn = (draw) => (plot) => {
      const context = plot.ctx, ratio = uPlot.pxRatio;
      context.save();
      context.beginPath();
      context.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
      context.clip();
      context.scale(ratio, ratio);
      draw(context);
      context.restore();
    };
    const plot = new uPlot({
      ...NO_CURSOR, width: view.width, height, series,
      scales: { x: { time: false, range: () => [view.from, view.to] }, y: { range: () => [0, 1] } },
      axes: [{ show: false }, { show: false }],
      hooks: { drawClear: [drawn(under)], draw: [drawn(over)] },
    }, cells(), box);
    return () => {
      if (plot.width !== view.width) plot.setSize({ width: view.width, height });
      plot.setData(cells());
    };
  }

  function personTitle(band) {
    const picture = document.querySelector(`#person-${CSS.escape(band.key)} img.face`);
    const link = make("a", { href: `#person-${band.key}` }, named(band.name));
    const shown = picture ? [make("img", { src: picture.src, width: 40, height: 40, alt: "" }), link] : [link];
    return [make("div", { className: "row" }, ...shown)];
  }

  function person(band, chart, view, palette, title) {
    const box = make("div", { className: "area" });
    const strip = (band.strips ?? []).length ? canvas() : null;
    const quality = canvas("quality of the face images");
    const { row } = track(title, box, ...(strip ? [strip] : []), quality);
    const gaps = band.gaps();
    if (band.name) gaps.push(...unseen(band, chart));
    const tiles = (band.strips ?? []).flatMap((one) => {
      const image = make("img", { src: one.src });
      image.decode().then(() => refresh(), () => undefined);
      return one.times.map((time, place) => ({ image, time, place, tile: one.tile }));
    }).sort((one, other) => one.time - other.time);
    let update = null;
    const refresh = () => {
      if (strip) ReportLanes.faces(strip, view, band, tiles, FACE);
      ReportLanes.quality(quality, view, band, QUALITY, palette());
      for (const [lane, height] of [[strip, FACE], [quality, QUALITY]]) if (lane) lane.style.height = `${height}px`;
    };
    const draw = () => {
      update ??= areas(box, chart, view, AREA,
        () => band.areas(view.from, view.to, view.width),
        (context) => {
          context.font = palette().font;
          ReportLanes.hatch(context, view, gaps, AREA, palette());
        },
        (context) => {
          context.font = palette().font;
          ReportLanes.ticks(context, view, chart.cuts, AREA, palette());
          ReportLanes.names(context, view, band, AREA, chart.order);
        });
      update();
      refresh();
    };
    return { row, draw, band };
  }

  /** The times before and after a person is seen. */
  function unseen(band, chart) {
    const first = band.times[0] ?? chart.end, last = band.count ? band.end(band.count - 1) : 0;
    return [{ start: 0, end: first, reason: "not seen yet" }, { start: last, end: chart.end, reason: "not seen any more" }]
      .filter((gap) => gap.end - gap.start > chart.step);
  }

  function sound(chart, view, palette) {
    const box = make("div", { className: "area" }), lane = canvas("share of speech");
    const title = [make("strong", { textContent: "sound" }), make("div", { className: "muted", textContent: "below: speech" })];
    const { row } = track(title, box, lane);
    const gaps = chart.sound.filter((cell) => !cell.shares).reduce((found, cell) => {
      const before = found.at(-1);
      if (before && before.reason === cell.status && cell.start - before.end < 1e-6) before.end = cell.end;
      else found.push({ start: cell.start, end: cell.end, reason: cell.status });
      return found;
    }, []);
    let update = null;
    const draw = () => {
      update ??= areas(box, chart, view, AREA, () => ReportData.stack(chart.sound, 7, true),
        (context) => {
          context.font = palette().font;
          ReportLanes.hatch(context, view, gaps, AREA, palette());
        },
        (context) => {
          context.font = palette().font;
          for (const cell of chart.sound) {
            if (!cell.shares) continue;
            const name = chart.order[ReportData.top(cell.shares)], at = chart.order.indexOf(name);
            const below = cell.shares.slice(0, at).reduce((sum, share) => sum + share, 0), share = cell.shares[at];
            const from = Math.max(0, view.x(cell.start)), to = Math.min(view.width, view.x(cell.end));
            if (share * AREA > 15) ReportLanes.label(context, name, from, to, AREA * (1 - below - share / 2), ReportLanes.inkOn(name));
          }
        });
      update();
      ReportLanes.speech(lane, view, chart.sound, SPEECH, palette());
      lane.style.height = `${SPEECH}px`;
    };
    return { row, draw };
  }

  /** Markers in rows, so that none hides another. */
  function rowsOf(markers) {
    const rows = [];
    for (const marker of markers) {
      const row = rows.find((one) => one.at(-1).end !== null && one.at(-1).end <= marker.start);
      if (row) row.push(marker);
      else rows.push([marker]);
    }
    return rows;
  }

  function events(chart, view, palette) {
    const lane = canvas(), rows = rowsOf(chart.markers);
    const words = [chart.markers.length ? "markers" : "", chart.cuts.length ? "scene cuts (dashes)" : ""].filter(Boolean);
    const { row } = track([make("span", { className: "muted", textContent: words.join(", ") })], lane);
    return {
      row,
      draw: () => {
        ReportLanes.events(lane, view, chart, rows, palette());
        lane.style.height = `${Math.max(1, rows.length) * 20}px`;
      },
    };
  }

  function axis(view, palette) {
    const box = make("div", { className: "axis" }), { row } = track([], box);
    let plot = null;
    const draw = () => {
      const look = { stroke: () => palette().muted, font: palette().font, ticks: { stroke: () => palette().edge, width: 1, size: 5 } };
      plot ??= new uPlot({
        ...NO_CURSOR, padding: [0, SIDE, 0, SIDE], width: view.width + 2 * SIDE, height: AXIS, series: [{}, {}],
        scales: { x: { time: false, range: () => [view.from, view.to] }, y: { range: () => [0, 1] } },
        axes: [{ ...look, size: AXIS, gap: 3, space: 70, grid: { show: false }, values: (_, times) => times.map((time) => ReportData.clock(time, times.every(Number.isInteger))) }, { show: false }],
      }, [[view.from, view.to], [null, null]], box);
      if (plot.width !== view.width + 2 * SIDE) plot.setSize({ width: view.width + 2 * SIDE, height: AXIS });
      plot.setData([[view.from, view.to], [null, null]]);
    };
    return { row, draw };
  }

  return { make, named, person, personTitle, sound, events, axis };
})();
