// The classes of a segmenter: the area of each, and the probable classes of every patch.
import { inflate } from './attend.js';
import { linear } from './colour.js';
import { TargetLook } from './targets.js';
import { percent } from './texts.js';

const PADDING = 255; // in the mask: outside the image
const CELLS = 256; // cells along the longer side in which outlines and middles of areas are looked for

/** Classes, those of most pixels first. Areas are there once `ready` is. */
export class ClassLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    [this.height, this.width] = page.targets.mask;
    this.mask = null;
    this.outlines = new Map();
    this.speaker = Math.max(0, this.chips().findIndex((token) => this.there(token) && !this.isTransparent(token)));
    this.ready = Promise.all(['mask', 'likely'].map((name) => inflate(packed(name)))).then(([mask, likely]) => {
      Object.assign(this, { mask, bytes: likely, cells: reduced(mask, this.height, this.width) });
      this.middles = middles(this.cells, page.targets.names.length);
    });
  }

  colour(token) {
    return this.targets.colours[token];
  }

  /** Whether white letters are read better on its colour than dark ones (WCAG 2.2, relative luminance). */
  dark(token) {
    return luminance(this.colour(token)) < 0.18;
  }

  /** Its share of the picture's pixels. */
  score(token) {
    return this.there(token) ? shareOfPixels(this.targets.pixels[token]) : '';
  }

  /** Whether its area is left in the colours of the picture, as that of a background is. */
  isTransparent(token) {
    return this.targets.transparent_classes.includes(token);
  }

  /** Whether the picture has pixels of it. */
  there(token) {
    return this.targets.pixels[token] > 0;
  }

  /** The class at a place, both in shares of the canvas; null beside the picture. */
  at(x, y) {
    if (!this.mask || x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    const found = this.mask[Math.floor(y * this.height) * this.width + Math.floor(x * this.width)];
    return found === PADDING ? null : found;
  }

  /** The classes of a patch: [class, probability], highest first; none outside the image. */
  likely(patch) {
    if (!this.bytes) return [];
    const byte = (rank, plane) => this.bytes[(3 * rank + plane) * this.patches + patch];
    const all = [...Array(this.targets.ranks).keys()].map((rank) => [byte(rank, 0), (byte(rank, 1) + 256 * byte(rank, 2)) / 65535]);
    return all.filter(([, chance]) => chance > 0);
  }

  /** The edges of its area in patches, to be outlined on the map. */
  outline(token) {
    if (!this.mask || !this.there(token)) return null;
    if (!this.outlines.has(token)) this.outlines.set(token, contour(this.cells, token, this.page.grid));
    return { d: this.outlines.get(token), class: 'found main', stroke: this.colour(token) };
  }

  /** Where the name of a class may stand, in shares of the canvas, with the room around it; null where it has none. */
  middle(token) {
    return this.middles?.[token] ?? null;
  }

  rest(say, known = 0) {
    const count = this.targets.queries - this.last - 1 + known;
    return count && say('restQueries', { count });
  }

  /** Paint the mask into a canvas: all classes, or `only` one; a dark line along their borders. */
  paint(canvas, only = null) {
    const { width, height, mask, targets: { colours } } = this;
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const rgba = new Uint32Array(256);
    colours.forEach((hex, i) => {
      const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      if (only === null ? !this.isTransparent(i) : only === i) rgba[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
    const line = (220 << 24) | (30 << 16) | (22 << 8) | 20;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const one = mask[at];
        const right = x + 1 < width ? mask[at + 1] : one;
        const below = y + 1 < height ? mask[at + width] : one;
        const border = (other) => other !== one && (only === null || one === only || other === only);
        pixels[at] = (border(right) || border(below)) && one !== PADDING ? line : rgba[one];
      }
    }
    context.putImageData(image, 0, 0);
  }
}

/** Relative luminance of a colour, 0 to 1. */
function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => linear(parseInt(hex.slice(at, at + 2), 16) / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** A share of the pixels in words: what is there is never 0. */
export const shareOfPixels = (x) => (x > 0 && x < 0.0005 ? '< 0.1%' : percent(Number(x.toFixed(3))));

/** The mask at every so many pixels: { cells, rows, columns }. */
function reduced(mask, height, width) {
  const step = Math.max(1, Math.ceil(Math.max(height, width) / CELLS));
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const cells = new Uint8Array(rows * columns);
  for (let y = 0, at = 0; y < rows; y++) {
    const middle = Math.min(height - 1, y * step + (step >> 1)) * width;
    for (let x = 0; x < columns; x++, at++) cells[at] = mask[middle + Math.min(width - 1, x * step + (step >> 1))];
  }
  return { cells, rows, columns };
}

/** An SVG path along the edges of one class, in units of patches. */
function contour({ cells, rows, columns }, token, [down, across]) {
  const [sx, sy] = [across / columns, down / rows];
  const short = (x) => Number(x.toFixed(3));
  const is = (y, x) => y >= 0 && x >= 0 && y < rows && x < columns && cells[y * columns + x] === token;
  const parts = [];
  const walk = (lines, length, differs, draw) => {
    for (let i = 0; i <= lines; i++) {
      for (let j = 0, from = -1; j <= length; j++) {
        const on = j < length && differs(i, j);
        if (on && from < 0) from = j;
        if (!on && from >= 0) {
          parts.push(draw(i, from, j));
          from = -1;
        }
      }
    }
  };
  walk(rows, columns, (y, x) => is(y - 1, x) !== is(y, x), (y, a, b) => `M${short(a * sx)} ${short(y * sy)}H${short(b * sx)}`);
  walk(columns, rows, (x, y) => is(y, x - 1) !== is(y, x), (x, a, b) => `M${short(x * sx)} ${short(a * sy)}V${short(b * sy)}`);
  return parts.join('');
}

/**
 * For each class the cell that is farthest from any other class, by city blocks, and how far: { x, y, room } in shares
 * of the width and height.
 */
function middles({ cells, rows, columns }, count) {
  const far = new Uint16Array(rows * columns);
  const pass = (y, x, dy, dx) => {
    const at = y * columns + x;
    const known = [[dy, 0], [0, dx]].map(([oy, ox]) => {
      const [ny, nx] = [y + oy, x + ox];
      if (ny < 0 || nx < 0 || ny >= rows || nx >= columns) return 0;
      const other = ny * columns + nx;
      return cells[other] === cells[at] ? far[other] : 0;
    });
    return 1 + Math.min(...known);
  };
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) far[y * columns + x] = pass(y, x, -1, -1);
  for (let y = rows - 1; y >= 0; y--) {
    for (let x = columns - 1; x >= 0; x--) far[y * columns + x] = Math.min(far[y * columns + x], pass(y, x, 1, 1));
  }
  const best = Array(count).fill(null);
  far.forEach((room, at) => {
    const token = cells[at];
    if (token !== PADDING && room > (best[token]?.far ?? 0)) {
      best[token] = { far: room, room: room / columns, x: ((at % columns) + 0.5) / columns, y: (Math.floor(at / columns) + 0.5) / rows };
    }
  });
  return best;
}
