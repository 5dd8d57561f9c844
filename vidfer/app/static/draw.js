// Boxes, names and bars over the camera's picture.

const COLOURS = JSON.parse(document.getElementById("colours").textContent);
const NAMES = Object.keys(COLOURS);
const SCRIM = "rgb(12 14 18 / 78%)";

/**
 * Draw the answer to one picture over the video.
 *
 * `picture` is what was sent: boxes are in its px. Where the video is mirrored, boxes are, and letters are not.
 */
export function draw(canvas, video, picture, people) {
  const { width, height } = video.getBoundingClientRect(), dense = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  const pen = canvas.getContext("2d"), mirrored = video.classList.contains("mirrored");
  pen.scale(dense, dense);
  const across = width / picture.width, down = height / picture.height;
  for (const person of people) {
    let [x0, y0, x1, y1] = person.box;
    if (mirrored) [x0, x1] = [picture.width - x1, picture.width - x0];
    face(pen, person, x0 * across, y0 * down, x1 * across, y1 * down, width, height);
  }
}

function face(pen, person, x0, y0, x1, y1, width, height) {
  const answer = person.smooth ?? person.probabilities, name = person.smooth_expression ?? person.expression;
  for (const [line, style] of [[5, SCRIM], [2.5, COLOURS[name] ?? "#fff"]]) {
    pen.lineWidth = line;
    pen.strokeStyle = style;
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  const share = answer[name] === undefined ? "" : ` ${Math.round(100 * answer[name])} %`;
  label(pen, `${person.person} · ${name}${share}`, x0, y0, width);
  bars(pen, answer, x0, y0, x1, width, height);
}

/** The person's number and expression above the box, or inside where there is no room. */
function label(pen, text, x0, y0, width) {
  pen.font = "600 14px system-ui, sans-serif";
  const long = pen.measureText(text).width + 12, x = Math.min(Math.max(0, x0 - 2), width - long), y = y0 < 26 ? y0 + 4 : y0 - 26;
  pen.fillStyle = SCRIM;
  pen.fillRect(x, y, long, 22);
  pen.fillStyle = "#fff";
  pen.fillText(text, x + 6, y + 16);
}

/** A bar for each expression beside the box, where there is room on a side. */
function bars(pen, answer, x0, y0, x1, width, height) {
  const wide = 116, row = 15, tall = 7 * row + 8;
  const x = width - x1 >= wide + 8 ? x1 + 6 : x0 - wide - 6, y = Math.min(Math.max(0, y0), height - tall);
  if (x < 0) return;
  pen.fillStyle = SCRIM;
  pen.fillRect(x, y, wide, tall);
  pen.font = "11px system-ui, sans-serif";
  NAMES.forEach((name, place) => {
    const top = y + 4 + place * row;
    pen.fillStyle = "#fff";
    pen.fillText(name, x + 5, top + 11);
    pen.fillStyle = "rgb(255 255 255 / 18%)";
    pen.fillRect(x + 58, top + 3, 52, 9);
    pen.fillStyle = COLOURS[name];
    pen.fillRect(x + 58, top + 3, 52 * answer[name], 9);
  });
}
