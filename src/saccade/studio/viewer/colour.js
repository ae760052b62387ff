// The colour scale: dark to light, so that it reads the same to every eye and in grey.

const STOPS = ['#140d36', '#45197d', '#8b2480', '#cb3e62', '#f1763b', '#fab744', '#fdf4b8'];
export const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
const gamma = (x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);

/** OKLab (Ottosson 2020), in which equal distances look equally large. */
export function oklab([r, g, b]) {
  const [R, G, B] = [linear(r / 255), linear(g / 255), linear(b / 255)];
  const l = Math.cbrt(0.4122214708 * R + 0.5363325363 * G + 0.0514459929 * B);
  const m = Math.cbrt(0.2119034982 * R + 0.6806995451 * G + 0.1073969566 * B);
  const s = Math.cbrt(0.0883024619 * R + 0.2817188376 * G + 0.6299787005 * B);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function rgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const out = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return out.map((x) => Math.round(255 * Math.min(1, Math.max(0, gamma(Math.max(0, x))))));
}

/** 256 colours at equal OKLab distances along the line through the stops. */
function table() {
  const stops = STOPS.map((hex) => oklab([1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))));
  const along = [0];
  for (let i = 1; i < stops.length; i++) {
    along.push(along[i - 1] + Math.hypot(...stops[i].map((x, c) => x - stops[i - 1][c])));
  }
  return Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * along[along.length - 1];
    const z = Math.max(1, along.findIndex((x) => x >= at - 1e-9));
    const t = (at - along[z - 1]) / (along[z] - along[z - 1]);
    return rgb(stops[z].map((x, c) => stops[z - 1][c] * (1 - t) + x * t));
  });
}

export const COLOURS = table();

/** Place of a weight on the scale, 0 to 1. A log scale starts at 1/256 of its end. */
export function place(weight, end, log) {
  if (!(end > 0)) return 0;
  const t = log ? 1 + Math.log2(Math.max(weight / end, 1e-30)) / 8 : weight / end;
  return Math.min(1, Math.max(0, t));
}

/** The weight at a place of the scale: the inverse of `place`. */
export const weightAt = (t, end, log) => (log ? end * 2 ** (8 * (t - 1)) : end * t);

/** The colour of a weight, for CSS. */
export const css = (weight, end, log) => `rgb(${COLOURS[Math.round(255 * place(weight, end, log))].join(' ')})`;

const PIXELS = Uint32Array.from(COLOURS, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);

/** Paint red, green and blue of every patch of a grid into a canvas, one pixel a patch. */
export function paintColours(canvas, rgb, [rows, columns]) {
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext('2d');
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) image.data.set([rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2], 255], 4 * i);
  context.putImageData(image, 0, 0);
}

/**
 * Paint weights (from `first` on) of a grid into a canvas, one pixel a patch; CSS makes it large. hidden(token): whether
 * a patch is left transparent, as it has no weight at all.
 */
export function paint(canvas, weights, first, [rows, columns], end, log, hidden = null) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext('2d');
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = hidden?.(first + i) ? 0 : PIXELS[Math.round(255 * place(weights[first + i], end, log))];
  context.putImageData(image, 0, 0);
}
