// What a page of layers on several grids is about: each layer's weights between the places of its own grid.
import { inflate, mean } from './attend.js';
import { LAYERED } from './extraviews.js';

const NONE = 65535; // the number of a weight of 0
const PADDING = -2;

/** The cell of a grid in which a cell of another one lies, by its middle. */
export function cellIn(cell, [rows, columns], [otherRows, otherColumns]) {
  const [y, x] = [Math.floor(cell / columns), cell % columns];
  return Math.floor(((y + 0.5) * otherRows) / rows) * otherColumns + Math.floor(((x + 0.5) * otherColumns) / columns);
}

/** A layer from its bytes: where its tokens lie, and −log of its weights in steps. */
export function readPlaces(bytes, info) {
  const [n, m] = [info.targets[0], info.sources[0]];
  const cells = (from, count) => new Int32Array(bytes.buffer.slice(bytes.byteOffset + 4 * from, bytes.byteOffset + 4 * (from + count)));
  const targets = cells(0, info.windows * n);
  const sources = cells(info.windows * n, info.windows * m);
  const size = info.windows * info.heads * n * m;
  const start = 4 * info.windows * (n + m);
  const [low, high] = [bytes.subarray(start, start + size), bytes.subarray(start + size, start + 2 * size)];
  const at = new Map(); // cell of a target -> its number over all windows
  const others = []; // targets without a place, likewise
  targets.forEach((cell, i) => (cell >= 0 ? at.set(cell, i) : cell !== PADDING && others.push(i)));
  return { ...info, n, m, targetCells: targets, sourceCells: sources, low, high, at, others };
}

/** The weight of a target (over all windows) on a source of its window. */
function weight(data, head, target, source) {
  const { n, m, heads } = data;
  const i = ((Math.floor(target / n) * heads + head) * n + (target % n)) * m + source;
  const code = (data.high[i] << 8) | data.low[i];
  return code === NONE ? 0 : Math.exp(-code * data.step);
}

/** What a target attends to: its weights on the sources of its window, in their order. */
export function placesRow(data, head, target) {
  return Float32Array.from({ length: data.m }, (_, source) => weight(data, head, target, source));
}

/**
 * The same face as Look. A token is a place of the finest grid, or past these one that has no place. featured: the grid
 * of the large map where that is of features, which may be another than those of the layer's attention.
 */
export class PlacesLook {
  constructor(page, packed) {
    Object.assign(this, { page, packed, first: 0, prefix: [], views: ['row', 'column', ...(page.targets.features ? LAYERED : [])], featured: null, whole: true, placed: true });
    this.targets = page.targets;
    this.infos = page.targets.layers;
    this.patches = page.grid[0] * page.grid[1];
    this.others = Math.max(...this.infos.map((info) => info.others));
    this.last = this.patches + this.others - 1;
    this.start = this.infos.findLastIndex((info) => info.targets[1]);
    this.speaker = this.start < 0 ? this.patches : Math.floor(page.grid[0] / 2) * page.grid[1] + Math.floor(page.grid[1] / 2);
    this.start = Math.max(0, this.start);
    Object.assign(this, { layer: this.start, kind: 'row', rollouts: new Map(), coming: [], layers: [] });
  }

  kept() {
    return true;
  }

  load(l) {
    this.coming[l] ??= inflate(this.packed(l)).then((bytes) => (this.layers[l] = readPlaces(bytes, this.infos[l])));
    return this.coming[l];
  }

  /** The grid on which a map of a layer lies. */
  gridOf(l, kind = this.kind) {
    const { targets, sources } = this.infos[l];
    return (kind === 'column' ? targets[1] : sources[1]) ?? this.page.grid;
  }

  /** That of the large map. */
  get layerGrid() {
    return this.featured ?? this.gridOf(this.layer);
  }

  /** The cell of a grid in which a token lies; null for one without a place. */
  cellOn(token, grid) {
    return token < this.patches ? cellIn(token, this.page.grid, grid) : null;
  }

  /** The number of the target that a token is in a layer; undefined if it is none. */
  targetOf(data, token) {
    if (token >= this.patches) return data.others[token - this.patches];
    return data.targets[1] ? data.at.get(cellIn(token, this.page.grid, data.targets[1])) : undefined;
  }

  /** The cell of a layer's sources in which a token lies; -1 for one without a place. */
  sourceOf(info, token) {
    return token < this.patches ? cellIn(token, this.page.grid, info.sources[1]) : -1;
  }

  see(data, head, token, kind) {
    return kind === 'column' ? this.readers(data, head, token) : this.spread(data, head, token);
  }

  /** What a target attends to, on the grid of the sources. */
  spread(data, head, token) {
    const out = new Float32Array(data.sources[1][0] * data.sources[1][1]);
    const target = this.targetOf(data, token);
    if (target === undefined) return out;
    const from = Math.floor(target / data.n) * data.m;
    placesRow(data, head, target).forEach((x, source) => {
      const cell = data.sourceCells[from + source];
      if (cell >= 0) out[cell] += x;
    });
    return out;
  }

  /** What attends to a source, on the grid of the targets. */
  readers(data, head, token) {
    const grid = data.targets[1] ?? this.page.grid;
    const out = new Float32Array(grid[0] * grid[1]);
    const cell = this.sourceOf(data, token);
    if (cell < 0) return out;
    data.sourceCells.forEach((one, i) => {
      if (one !== cell) return;
      const [window, source] = [Math.floor(i / data.m), i % data.m];
      for (let target = window * data.n; target < (window + 1) * data.n; target++) {
        if (data.targetCells[target] >= 0) out[data.targetCells[target]] += weight(data, head, target, source);
      }
    });
    return out;
  }

  weights(l, head, token, kind) {
    const heads = head < 0 ? [...Array(this.infos[l].heads).keys()] : [head];
    return mean(heads.map((one) => this.see(this.layers[l], one, token, kind)));
  }

  /** Whether a token takes no part in a layer. */
  absent(l, token, kind = this.kind) {
    const data = this.layers[l];
    if (!data) return false;
    return kind === 'column' ? this.sourceOf(data, token) < 0 || !data.targets[1] : this.targetOf(data, token) === undefined;
  }

  /** Cells of a map that are no sources of a target (or attend to no such source): those outside its window. */
  hidden(l, token, kind = this.kind) {
    const data = this.layers[l];
    if (!data || this.absent(l, token, kind)) return () => true;
    const seen = new Set();
    if (kind === 'column') {
      const cell = this.sourceOf(data, token);
      data.sourceCells.forEach((one, i) => {
        const window = Math.floor(i / data.m);
        if (one === cell) data.targetCells.subarray(window * data.n, (window + 1) * data.n).forEach((at) => seen.add(at));
      });
    } else {
      const window = Math.floor(this.targetOf(data, token) / data.n);
      data.sourceCells.subarray(window * data.m, (window + 1) * data.m).forEach((at) => seen.add(at));
    }
    return (at) => !seen.has(at);
  }

  /** Whether a cell of the large map is none of those that the token attends to. */
  notSource(cell) {
    return cell !== null && this.hidden(this.layer, this.token ?? this.speaker)(cell);
  }

  sources(l) {
    return this.infos[l].sources[0];
  }

  peak(weights) {
    return weights.reduce((a, b) => Math.max(a, b), 1e-6);
  }

  canRollOut() {
    return false;
  }

  name(token, say) {
    if (token >= this.patches) return this.tokenName(token - this.patches);
    const grid = this.featured ?? this.infos[this.layer].targets[1] ?? this.infos[this.layer].sources[1];
    return this.cellName(cellIn(token, this.page.grid, grid), grid, say);
  }

  tokenName(i) {
    return this.targets.tokens[i] ?? String(i + 1);
  }

  cellName(cell, grid, say) {
    return say('patch', { row: Math.floor(cell / grid[1]) + 1, column: (cell % grid[1]) + 1 });
  }

  /** A cell of the large map, in words. */
  spot(cell, say) {
    return this.cellName(cell, this.layerGrid, say);
  }

  /** The targets of the layer that have no place. */
  chips() {
    return Array.from({ length: this.infos[this.layer].others }, (_, i) => this.patches + i);
  }

  score() {
    return '';
  }

  layerName(l, say) {
    return `${say('layerName', { layer: l + 1, count: this.infos.length })} · ${this.infos[l].name}`;
  }

  /** The place of a token in the layer, in cells of a grid. */
  outline(token, grid = this.layerGrid) {
    if (token >= this.patches) return null;
    const info = this.infos[this.layer];
    const own = this.featured ?? (this.kind === 'column' ? info.sources[1] : info.targets[1]) ?? grid;
    const cell = cellIn(token, this.page.grid, own);
    const [height, width] = [grid[0] / own[0], grid[1] / own[1]];
    return { x: (cell % own[1]) * width, y: Math.floor(cell / own[1]) * height, width, height };
  }

  /** What went to tokens without a place, and to padding. */
  outside(weights, say) {
    if (this.kind === 'column' || this.featured) return [];
    const [info, token] = [this.infos[this.layer], this.token ?? this.speaker];
    const [data, lost] = [this.layers[this.layer], 1 - weights.reduce((a, b) => a + b, 0)];
    if (!data || lost < 1e-3 || this.absent(this.layer, token)) return [];
    const from = Math.floor(this.targetOf(data, token) / data.n) * data.m;
    const padded = data.sourceCells.subarray(from, from + info.sources[0]).includes(PADDING);
    return [[say(padded ? 'padding' : 'elsewhere'), lost]];
  }

  /** What the layer is, in words. */
  inside(l, token, say) {
    const { windows, targets, sources, joined, others, places } = this.infos[l];
    const size = (grid) => grid?.join(' × ');
    const facts = { targets: size(targets[1]), sources: size(sources[1]), windows, count: sources[0], joined: Math.max(...joined), others, real: places[0], seen: places[1] };
    const whole = [targets[1], sources[1]].every((grid, i) => grid && grid[0] * grid[1] === places[i]);
    const kind = !targets[1] ? 'inTokens' : windows > 1 ? 'inWindows' : whole ? 'inWhole' : 'inPart';
    return [say(kind, facts), ...(facts.joined > 1 ? [say('joinedPlaces', facts)] : [])].join(' ');
  }
}
