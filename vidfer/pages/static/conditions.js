// Means of conditions with their intervals: a group of marks for each expression, drawn by uPlot.
(() => {
  "use strict";
  const place = document.getElementById("conditions-chart"), { chart } = JSON.parse(document.getElementById("data").textContent);
  if (!place || !chart) return;
  const { expressions, conditions } = chart, count = conditions.length;
  const offset = (at) => 0.62 * ((at + 0.5) / count - 0.5);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const probe = document.createElement("span");
  place.append(probe);
  const colour = (variable) => { // as the scheme has it
    probe.style.color = `var(${variable})`;
    return getComputedStyle(probe).color;
  };
  // circle, square, diamond, triangle up, triangle down, plus, cross, star: as corners around the middle
  const around = (corners, turn, inner = 1) => [...Array(corners)].map((_, at) => {
    const angle = turn + (2 * Math.PI * at) / corners, reach = at % 2 ? inner : 1;
    return [reach * Math.cos(angle), reach * Math.sin(angle)];
  });
  const MARKS = [around(24, 0), around(4, Math.PI / 4), around(4, 0), around(3, -Math.PI / 2), around(3, Math.PI / 2),
    around(8, 0, 0.35), around(8, Math.PI / 4, 0.35), around(10, -Math.PI / 2, 0.45)];
  const mark = (context, at, x, y, size) => {
    context.beginPath();
    MARKS[at].forEach(([dx, dy]) => context.lineTo(x + size * dx, y + size * dy));
    context.closePath();
    context.fill();
  };

  const draw = (plot) => {
    const { ctx: context } = plot, ratio = devicePixelRatio;
    context.save();
    conditions.forEach(({ mean, low, high }, at) => {
      context.fillStyle = context.strokeStyle = colour(`--condition-${at}`);
      context.lineWidth = 2 * ratio;
      expressions.forEach((_, row) => {
        if (mean[row] === null) return;
        const x = plot.valToPos(row + offset(at), "x", true), y = (value) => plot.valToPos(value, "y", true);
        if (low[row] !== null) {
          context.beginPath();
          context.moveTo(x, y(low[row]));
          context.lineTo(x, y(high[row]));
          context.stroke();
        }
        mark(context, at, x, y(mean[row]), 5.5 * ratio);
      });
    });
    context.restore();
  };

  const legend = document.createElement("ul");
  legend.className = "legend";
  const drawLegend = () => legend.replaceChildren(...conditions.map(({ name, n }, at) => {
    const item = document.createElement("li"), canvas = document.createElement("canvas"), ratio = devicePixelRatio;
    canvas.width = canvas.height = 14 * ratio;
    canvas.className = "mark";
    const context = canvas.getContext("2d");
    context.fillStyle = colour(`--condition-${at}`);
    mark(context, at, 7 * ratio, 7 * ratio, 6 * ratio);
    item.append(canvas, ` ${name} (n = ${n})`);
    return item;
  }));

  let plot;
  const make = () => {
    plot?.destroy();
    drawLegend();
    const ink = colour("--muted"), line = colour("--line"), narrow = place.clientWidth < 560;
    const font = `${narrow ? 11 : 13}px ${css("--font")}`;
    const ends = conditions.flatMap(({ mean, high }) => [...mean, ...high]).filter((value) => value !== null);
    plot = new uPlot({
      padding: [8, narrow ? 22 : 8, 0, 0], width: place.clientWidth, height: narrow ? 280 : 320, legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: [-0.5, expressions.length - 0.5] }, y: { range: [0, Math.min(1, 1.08 * Math.max(0.05, ...ends))] } },
      axes: [
        { stroke: ink, font, grid: { show: false }, ticks: { show: false }, splits: expressions.map((_, at) => at),
          values: () => expressions, rotate: narrow ? -40 : 0, size: narrow ? 54 : 36 },
        { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, size: 48,
          label: narrow ? null : "mean probability", labelFont: font, labelSize: 22 },
      ],
      series: [{}, { show: true, stroke: "transparent", points: { show: false } }],
      hooks: { draw: [draw] },
    }, [expressions.map((_, at) => at), expressions.map(() => null)], place);
  };
  place.hidden = false;
  place.before(legend);
  make();
  let width = place.clientWidth;
  new ResizeObserver(() => {
    if (place.clientWidth !== width) {
      width = place.clientWidth;
      make();
    }
  }).observe(place);
  document.addEventListener("themechange", make);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", make);
})();
