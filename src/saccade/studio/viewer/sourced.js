// A picture that was painted from other pictures: which of their places each of its patches attends to.
import { inflate, mean } from './attend.js';
import { PaintedLook } from './painted.js';

/**
 * `token` is the index of a word, or, after the words, a place of a source picture. Source pictures are words too, each
 * with all of its places together; the weight of a place is a part of the weight of its source.
 */
export class SourcedLook extends PaintedLook {
  constructor(page, packed) {
    super(page, packed);
    this.keys = [];
  }

  read(text) {
    super.read(text);
    let first = 0;
    this.pictures = this.targets.sources.map((one) => {
      const count = one.grid[0] * one.grid[1];
      first += count;
      return { ...one, first: first - count, count, word: this.given[one.name] };
    });
    this.last = this.words + first - 1;
  }

  /** A token's source and its place there; null for a word. */
  placed(token) {
    const source = token < this.words ? null : this.pictures.find(({ first, count }) => token - this.words < first + count);
    return source ? { source, at: token - this.words - source.first } : null;
  }

  /** The token of a place of a source. */
  tokenOf(source, at) {
    return this.words + source.first + at;
  }

  async fetch(l) {
    const { infos, before } = this;
    const whole = (name) => inflate(this.packed(name)).then(sixteenBits);
    this.keys[l] ??= whole(`keys-${l}`); // of both texts
    const [data, queries, keys] = await Promise.all([super.fetch(l), whole(`${before}queries-${l}`), this.keys[l]]);
    const { width, query, key } = infos[l].places;
    return { ...data, queries, keys, width, unit: query * key * data.scale };
  }

  /** The query of a patch at the chosen step, counted in units. */
  queryOf(data, head, place) {
    const from = (this.slot(this.step) * data.heads + head) * data.width * this.all + place;
    return Float64Array.from({ length: data.width }, (_, c) => data.queries[from + c * this.all]);
  }

  /** The scaled score of a query with a place of the sources. */
  scoreWith(data, head, query, at) {
    const from = (head * (this.last + 1 - this.words) + at) * data.width;
    let sum = 0;
    for (let c = 0; c < data.width; c++) sum += query[c] * data.keys[from + c];
    return sum * data.unit;
  }

  /** What a patch attends to in a source, which sums to the source's weight. */
  row(data, head, source, at) {
    const out = new Float32Array(source.count);
    if (source.word === undefined) return out;
    const place = this.place(at);
    const [weight, score] = this.inSource(data, head, source, place);
    const query = this.queryOf(data, head, place);
    return out.map((_, to) => weight * Math.exp(this.scoreWith(data, head, query, source.first + to) - score));
  }

  /** The weight of a source for a patch, and its score: the log of the sum of exp(score) over its places. */
  inSource(data, head, { word }, place) {
    return [this.wordMap(data, this.step, head, word)[place], this.scoreOf(data, this.step, head, word, place)];
  }

  /** The same as `row` with head −1 for the mean of all heads. */
  rowOf(l, head, source, at) {
    const heads = head < 0 ? [...Array(this.infos[l].heads).keys()] : [head];
    return mean(heads.map((one) => this.row(this.layers[l], one, source, at)));
  }

  /** The map of a place: how much each patch attends to it. */
  see(data, head, token) {
    const placed = this.placed(token);
    if (!placed) return super.see(data, head, token);
    const { source, at } = placed;
    const out = new Float32Array(this.patches);
    if (source.word === undefined) return out;
    return out.map((_, patch) => {
      const place = this.place(patch);
      const [weight, score] = this.inSource(data, head, source, place);
      return weight * Math.exp(this.scoreWith(data, head, this.queryOf(data, head, place), source.first + at) - score);
    });
  }

  /** How much of a patch's attention goes to the words, to each source, and to the tokens of sources that are absent. */
  shares(l, head, at) {
    const weights = this.chips().map((word) => this.weights(l, head, word)[at]);
    const pictures = this.targets.sources.map(({ name }) => [name, this.given[name] === undefined ? 0 : weights[this.given[name]]]);
    const texts = weights.slice(0, this.words - this.other).reduce((a, b) => a + b, 0);
    const absent = 1 - texts - pictures.reduce((sum, [, share]) => sum + share, 0);
    const lacking = this.other > Object.keys(this.given).length;
    return [['words', texts], ...pictures, ...(lacking ? [['absent', Math.max(0, absent)]] : [])];
  }

  /** Words and sources; then the places of the sources with the highest weights, and the selected one. */
  terms(data, head, at) {
    const place = this.place(at);
    return super.terms(data, head, at).map((term) => {
      const source = this.pictures.find(({ word }) => word === term.word);
      return source ? { ...term, keys: source.count, places: this.placesOf(data, head, source, place) } : term;
    });
  }

  placesOf(data, head, source, place) {
    const query = this.queryOf(data, head, place);
    const all = Array.from({ length: source.count }, (_, at) => ({ word: this.tokenOf(source, at), score: this.scoreWith(data, head, query, source.first + at), bias: this.bias[source.word], keys: 1 }));
    return all.sort((a, b) => b.score - a.score);
  }

  /** A place has no entropy on the page. */
  uncharted(token) {
    return token >= this.words;
  }

  name(token, say) {
    const placed = this.placed(token);
    if (!placed) return super.name(token);
    const columns = placed.source.grid[1];
    return say('sourcePlace', { source: say(`source ${placed.source.name}`), row: Math.floor(placed.at / columns) + 1, column: (placed.at % columns) + 1 });
  }

  score(token) {
    return token < this.words ? super.score(token) : '';
  }
}

/** Whole numbers of 16 bits: all low bytes, then all high ones. */
function sixteenBits(bytes) {
  const n = bytes.length / 2;
  return Int16Array.from({ length: n }, (_, i) => (bytes[n + i] << 24 >> 16) | bytes[i]);
}
