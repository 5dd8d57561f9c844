// A clip's report: one time for player, timeline and readout, moved by mouse, touch and keys.
(() => {
  "use strict";
  const holder = document.getElementById("tracks");
  if (!holder) return; // nothing was read of the clip
  const { make, named } = ReportTracks, { top, clock } = ReportData;
  const chart = ReportData.read(document.getElementById("data").textContent);
  const video = document.getElementById("video");
  const view = {
    from: 0, to: chart.end, width: 600,
    x(time) { return ((time - this.from) / (this.to - this.from)) * this.width; },
    time(x) { return this.from + (x / this.width) * (this.to - this.from); },
  };
  const SHOWN = 6;
  const most = [...chart.people].sort((one, other) => other.faces - one.faces).slice(0, SHOWN);
  const shown = new Set(most);
  let now = 0, hover = null, playable = false, palette = null;

  function look() {
    const found = ReportLanes.colours(["ink", "muted", "edge", "raised", "surface", "accent", "bad", "hatch"]);
    const family = getComputedStyle(document.body).fontFamily;
    return { ...found, pattern: ReportLanes.hatching(found.hatch), font: `12px ${family}` };
  }
  const currentPalette = () => (palette ??= look());

  // Tracks
  const cursor = make("div", { id: "cursor", tabIndex: 0 });
  const headLine = make("i", { className: "head-line" }), hoverLine = make("i", { className: "hover-line", hidden: true });
  const chosen = make("i", { className: "chosen", hidden: true });
  cursor.append(headLine, hoverLine, chosen);
  for (const [name, value] of [["role", "slider"], ["aria-label", "Time in the clip"], ["aria-orientation", "horizontal"],
    ["aria-valuemin", "0"], ["aria-valuemax", chart.end.toFixed(2)]]) cursor.setAttribute(name, value);
  const tracks = [];
  if (chart.markers.length || chart.cuts.length) tracks.push(ReportTracks.events(chart, view, currentPalette));
  for (const band of chart.people) {
    tracks.push(ReportTracks.person(band, chart, view, currentPalette, ReportTracks.personTitle(band)));
  }
  if (chart.nobody) tracks.push(ReportTracks.person(chart.nobody, chart, view, currentPalette, [make("span", { textContent: "nobody" })]));
  if (chart.sound.length) tracks.push(ReportTracks.sound(chart, view, currentPalette));
  tracks.push(ReportTracks.axis(view, currentPalette));
  holder.append(...tracks.map((track) => track.row), cursor);

  function draw() {
    const plot = tracks.at(-1).row.querySelector(".plot");
    view.width = Math.max(50, Math.floor(plot.clientWidth));
    for (const track of tracks) {
      track.row.hidden = Boolean(track.band?.name) && !shown.has(track.band);
      if (!track.row.hidden) track.draw();
    }
    place();
  }

  // Readout
  const values = document.getElementById("values"), when = document.getElementById("when");
  const body = make("tbody");
  values.append(make("table", {}, body));
  let rows = [];

  function layOut() {
    rows = [...chart.people.filter((band) => shown.has(band)), ...(chart.nobody ? [chart.nobody] : []), ...(chart.sound.length ? ["sound"] : [])]
      .map((what) => {
        const swatch = make("span", { className: "swatch" }), says = make("span"), more = make("div", { className: "line muted small" });
        swatch.setAttribute("aria-hidden", "true");
        const bars = stackedBar();
        const title = what === "sound" ? "sound" : what.name ? named(what.name) : "nobody";
        const row = make("tr", {}, make("th", { scope: "row" }, title), make("td", {}, make("div", { className: "line" }, swatch, " ", says), bars.drawing, more));
        return { what, row, swatch, says, more, bars };
      });
    body.replaceChildren(...rows.map((each) => each.row));
  }

  /** Seven shares side by side, as attributes of a drawing: the policy of the page allows no styles. */
  function stackedBar() {
    const SVG = "http://www.w3.org/2000/svg", drawing = document.createElementNS(SVG, "svg");
    for (const [name, value] of [["viewBox", "0 0 1 1"], ["preserveAspectRatio", "none"], ["class", "shares7"], ["aria-hidden", "true"]]) {
      drawing.setAttribute(name, value);
    }
    const parts = chart.order.map((name) => {
      const part = drawing.appendChild(document.createElementNS(SVG, "rect"));
      part.setAttribute("class", `fill e-${name}`);
      part.setAttribute("height", "1");
      return part;
    });
    return {
      drawing,
      show(shares) {
        let left = 0;
        parts.forEach((part, row) => {
          part.setAttribute("x", left);
          part.setAttribute("width", shares ? shares[row] : 0);
          left += shares ? shares[row] : 0;
        });
      },
    };
  }

  /** What is shown at a time: name of the expression (or none), words, more words, and the shares if there are any. */
  function describe(what, time) {
    if (what === "sound") {
      const cell = chart.sound.find((one) => time >= one.start && time < one.end);
      if (!cell) return [null, "no window", ""];
      const range = `window ${clock(chart.windows.start[cell.place])} to ${clock(chart.windows.end[cell.place])}, speech ${Math.round(100 * cell.speech)} %`;
      return cell.shares ? [...best(cell.shares), range, cell.shares] : [null, cell.status, range];
    }
    const place = what.at(time);
    if (place < 0) return [null, "not seen", ""];
    const weight = what.weight[place] / 255, flag = chart.flags[what.flag[place]];
    const quality = weight ? `face: ${flag || "good"}, weight ${weight.toFixed(2)}` : flag;
    if (what.missing(place)) return [null, what.reason(place), ""];
    const shares = what.shares(place);
    return [...best(shares), quality, shares];
  }

  function best(shares) {
    const first = top(shares), name = chart.order[first], value = shares[first];
    const second = top(shares.map((share, row) => (row === first ? -1 : share)));
    const sure = chart.abstain === null || value >= chart.abstain;
    const next = `, then ${chart.order[second]} ${shares[second].toFixed(2)}`;
    return sure ? [name, `${name} ${value.toFixed(2)}${next}`] : [name, `uncertain (${name} ${value.toFixed(2)}${next})`];
  }

  function place() {
    const time = hover ?? now;
    when.textContent = hover === null ? `At ${clock(time)}` : `At ${clock(time)} (pointer)`;
    for (const each of rows) {
      const [name, words, more, shares] = describe(each.what, time);
      each.swatch.className = name ? `swatch e-${name}` : "swatch hatched";
      each.says.textContent = words;
      each.more.textContent = more;
      each.bars.show(shares);
    }
    const said = rows.map(({ what }) => `${what === "sound" ? "sound" : what.name ?? "nobody"}: ${describe(what, now)[1].split(",")[0]}`);
    cursor.setAttribute("aria-valuenow", now.toFixed(2));
    cursor.setAttribute("aria-valuetext", [clock(now), ...said].join(", "));
    headLine.style.transform = `translateX(${view.x(now)}px)`;
    headLine.hidden = now < view.from || now > view.to;
    hoverLine.hidden = hover === null;
    if (hover !== null) hoverLine.style.transform = `translateX(${view.x(hover)}px)`;
  }

  // Time
  function seek(time) {
    now = Math.min(chart.end, Math.max(0, time));
    if (playable) video.currentTime = now;
    follow();
  }

  /** Keep the cursor within what is shown. */
  function follow() {
    const width = view.to - view.from;
    if (now < view.from || now > view.to) {
      view.from = Math.max(0, Math.min(chart.end - width, now - 0.1 * width));
      view.to = view.from + width;
      draw();
    } else place();
  }

  function zoom(from, to) {
    const least = Math.min(chart.end, Math.max(0.2, 2 * chart.step));
    const width = Math.min(chart.end, Math.max(least, to - from));
    view.from = Math.max(0, Math.min(chart.end - width, from));
    view.to = view.from + width;
    draw();
  }

  function zoomBy(factor) {
    const width = (view.to - view.from) * factor, share = (Math.min(view.to, Math.max(view.from, now)) - view.from) / (view.to - view.from);
    zoom(now - share * width, now + (1 - share) * width);
  }

  // Mouse and touch
  let drag = null;
  const xOf = (event) => Math.min(view.width, Math.max(0, event.clientX - cursor.getBoundingClientRect().left));
  cursor.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = xOf(event);
    cursor.setPointerCapture(event.pointerId);
  });
  cursor.addEventListener("pointermove", (event) => {
    const x = xOf(event);
    hover = event.pointerType === "mouse" || drag !== null ? view.time(x) : null;
    if (drag !== null && Math.abs(x - drag) > 5) {
      chosen.hidden = false;
      chosen.style.transform = `translateX(${Math.min(x, drag)}px)`;
      chosen.style.width = `${Math.abs(x - drag)}px`;
    }
    place();
  });
  cursor.addEventListener("pointerup", (event) => {
    if (drag === null) return;
    const [from, to] = [drag, xOf(event)].sort((one, other) => one - other);
    drag = null;
    chosen.hidden = true;
    if (event.pointerType !== "mouse") hover = null;
    if (to - from > 5) zoom(view.time(from), view.time(to));
    else seek(view.time(to));
  });
  for (const end of ["pointerleave", "pointercancel"]) cursor.addEventListener(end, () => {
    if (end === "pointercancel") drag = null;
    chosen.hidden = true;
    hover = null;
    place();
  });
  cursor.addEventListener("dblclick", () => zoom(0, chart.end));
  document.getElementById("zoom").addEventListener("click", (event) => {
    const how = event.target.closest("[data-zoom]")?.dataset.zoom;
    if (how === "all") zoom(0, chart.end);
    else if (how) zoomBy(how === "in" ? 0.5 : 2);
  });

  // Keys
  const page = () => Math.max(chart.step, (view.to - view.from) / 10);
  const KEYS = {
    ArrowLeft: () => seek(now - chart.step), ArrowDown: () => seek(now - chart.step),
    ArrowRight: () => seek(now + chart.step), ArrowUp: () => seek(now + chart.step),
    PageDown: () => seek(now - page()), PageUp: () => seek(now + page()),
    Home: () => seek(0), End: () => seek(chart.end),
    "+": () => zoomBy(0.5), "-": () => zoomBy(2), Escape: () => zoom(0, chart.end),
    " ": () => { if (playable) video.paused ? play() : video.pause(); },
  };
  cursor.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    hover = null;
    KEYS[event.key]();
  });

  // Player
  /** Play; that it is broken off by a pause, or by the other video, is no fault, and the player itself says what it cannot play. */
  function play() {
    video.play().catch(() => {});
  }

  if (video) {
    const tick = () => {
      if (playable) {
        now = Math.min(chart.end, video.currentTime);
        follow();
      }
      if (!video.paused && !video.ended) requestAnimationFrame(tick);
    };
    const gone = () => {
      playable = false;
      document.getElementById("unplayable").hidden = false;
    };
    for (const name of ["play", "seeked", "timeupdate"]) video.addEventListener(name, tick);
    video.addEventListener("error", gone);
    video.addEventListener("loadedmetadata", () => {
      playable = true;
      document.getElementById("unplayable").hidden = true;
      if (now > 0) video.currentTime = now;
    });
    if (video.error) gone();
    else if (video.readyState > 0) playable = true;
    const button = document.getElementById("overlay"), plain = video.getAttribute("src");
    button.hidden = !chart.overlay;
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true", playing = !video.paused;
      button.setAttribute("aria-pressed", String(on));
      playable = false;
      video.src = on ? chart.overlay : plain;
      if (playing) play();
    });
  }

  // People
  const chooser = document.getElementById("chooser");
  if (chart.people.length > SHOWN) {
    chooser.hidden = false;
    for (const band of chart.people) {
      const box = make("input", { type: "checkbox", checked: shown.has(band) });
      box.addEventListener("change", () => {
        if (box.checked) shown.add(band);
        else shown.delete(band);
        layOut();
        draw();
      });
      chooser.querySelector(".row").append(make("label", {}, box, named(band.name)));
    }
  }

  const again = () => {
    palette = null;
    draw();
  };
  document.addEventListener("themechange", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth === width) return;
    width = holder.clientWidth;
    draw();
  }).observe(holder);
  layOut();
  draw();
  document.documentElement.dataset.ready = "true";
})();
