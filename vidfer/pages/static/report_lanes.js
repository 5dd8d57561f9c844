// Drawing of what is not a stacked area: hatching with its reasons, names of expressions, faces, quality, speech, cuts and markers.
const ReportLanes = (() => {
  "use strict";

  /** A canvas as sharp as the screen, in px of the page. */
  function brush(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  /** Colours of the page as it is now; canvases cannot read variables. */
  function colours(names) {
    const probe = document.body.appendChild(document.createElement("i"));
    const found = {};
    for (const name of names) {
      probe.style.color = `var(--${name})`;
      found[name] = getComputedStyle(probe).color;
    }
    probe.remove();
    return found;
  }

  function hatching(colour) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const context = tile.getContext("2d");
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    context.beginPath();
    for (const shift of [-8, 0, 8]) {
      context.moveTo(shift, 8);
      context.lineTo(shift + 8, 0);
    }
    context.stroke();
    return context.createPattern(tile, "repeat");
  }

  /** Text inside a box, on its ground if one is given, where it fits. */
  function label(context, text, from, to, middle, colour, ground) {
    const size = context.measureText(text).width;
    if (size + 8 > to - from) return;
    const x = (from + to) / 2;
    if (ground) {
      context.fillStyle = ground;
      context.fillRect(x - size / 2 - 3, middle - 8, size + 6, 16);
    }
    context.fillStyle = colour;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x, middle);
  }

  /** The colour of letters on an expression's: 4.5:1 at least. */
  function inkOn(name) {
    return name === "sad" ? "#fff" : "#111";
  }

  function hatch(context, view, gaps, height, palette) {
    for (const gap of gaps) {
      if (gap.end < view.from || gap.start > view.to) continue;
      const from = Math.max(0, view.x(gap.start)), to = Math.min(view.width, view.x(gap.end));
      context.fillStyle = palette.pattern;
      context.fillRect(from, 0, Math.max(1, to - from), height);
      label(context, gap.reason, from, to, height / 2, palette.ink, palette.surface);
    }
  }

  function ticks(context, view, times, height, palette) {
    context.strokeStyle = palette.ink;
    context.setLineDash([2, 3]);
    context.lineWidth = 1;
    for (const time of times) {
      const x = Math.round(view.x(time)) + 0.5;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.stroke();
    }
    context.setLineDash([]);
  }

  /** Names of expressions inside the areas of a person's segments. */
  function names(context, view, band, height, order) {
    for (const [start, end, name] of band.segments ?? []) {
      const row = order.indexOf(name), from = Math.max(0, view.x(start)), to = Math.min(view.width, view.x(end));
      if (to - from < 30 || row < 0) continue;
      const place = band.at((Math.max(start, view.from) + Math.min(end, view.to)) / 2);
      if (place < 0 || band.missing(place)) continue;
      const shares = band.shares(place), below = shares.slice(0, row).reduce((sum, share) => sum + share, 0);
      if (shares[row] * height < 15) continue;
      label(context, name, from, to, height * (1 - below - shares[row] / 2), inkOn(name));
    }
  }

  /** Face images around their times, as many as there is room for; those at the ends stay within the time that is seen. */
  function faces(canvas, view, band, tiles, size) {
    const context = brush(canvas, view.width, size), first = view.x(band.times[0]), last = view.x(band.end(band.count - 1));
    let free = -Infinity;
    for (const { image, time, tile, place } of tiles) {
      const left = Math.max(first, Math.min(last - size, view.x(time) - size / 2));
      if (left < free || left > view.width || left + size < 0 || !image.complete || !image.naturalWidth) continue;
      context.drawImage(image, place * tile, 0, tile, tile, left, 0, size, size);
      free = left + size + 1;
    }
  }

  /** A stroke for each sample, as high as its weight; red and of full height where the face counts for nothing. */
  function quality(canvas, view, band, height, palette) {
    const context = brush(canvas, view.width, height), least = band.chart.unusable;
    const columns = new Map();
    for (let place = 0; place < band.count; place++) {
      const time = band.times[place];
      if (time < view.from - band.chart.step || time > view.to) continue;
      const weight = band.weight[place] / 255, x = Math.floor(view.x(time));
      if (weight === 0) continue;
      const wide = Math.max(1, view.x(band.end(place)) - view.x(time) - 1), seen = columns.get(x);
      if (!seen || weight < seen.weight) columns.set(x, { weight, wide: Math.max(wide, seen?.wide ?? 0) });
    }
    for (const [x, { weight, wide }] of columns) {
      const bad = weight < least, tall = bad ? height : Math.max(2, weight * height);
      context.fillStyle = bad ? palette.bad : palette.edge;
      context.fillRect(x, height - tall, wide, tall);
    }
  }

  function speech(canvas, view, cells, height, palette) {
    const context = brush(canvas, view.width, height);
    for (const cell of cells) {
      const from = view.x(cell.start), wide = Math.max(1, view.x(cell.end) - from - 0.5);
      context.fillStyle = palette.raised;
      context.fillRect(from, 0, wide, height);
      context.fillStyle = palette.accent;
      context.fillRect(from, height * (1 - cell.speech), wide, height * cell.speech);
    }
  }

  /** Markers as bars in rows that do not overlap, and cuts as dashes. */
  function events(canvas, view, chart, rows, palette) {
    const tall = 20, height = Math.max(1, rows.length) * tall;
    const context = brush(canvas, view.width, height);
    context.font = palette.font;
    rows.forEach((row, place) => {
      for (const marker of row) {
        const from = Math.max(-2, view.x(marker.start)), to = Math.min(view.width + 2, view.x(marker.end ?? chart.end));
        if (to < 0 || from > view.width) continue;
        const box = [from, place * tall + 2, Math.max(2, to - from), tall - 4];
        context.fillStyle = palette.raised;
        context.fillRect(...box);
        if (marker.exclude) {
          context.fillStyle = palette.pattern;
          context.fillRect(...box);
        }
        context.strokeStyle = palette.edge;
        context.strokeRect(...box);
        const middle = place * tall + tall / 2, long = `${marker.name} (excluded)`;
        const text = marker.exclude && context.measureText(long).width + 8 <= to - from ? long : marker.name;
        label(context, text, from, to, middle, palette.ink, palette.raised);
      }
    });
    ticks(context, view, chart.cuts, height, palette);
  }

  return { brush, colours, hatching, hatch, ticks, names, faces, quality, speech, events, label, inkOn };
})();
