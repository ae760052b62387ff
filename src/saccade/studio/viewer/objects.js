// A detector's objects: where the query that found each one looked, as maps over the picture's patches.
import { inflate, mean } from './attend.js';
import { figure, percent } from './words.js';

// Told apart on any picture by hue, and light enough for dark letters.
const HUES = ['#ff6f61', '#3ecf76', '#5aaaff', '#ffc73b', '#cf8bff', '#19cfd0', '#ff94cc', '#b5d63d', '#ffa24d', '#9aa5ff'];

/** The same face as Look, for objects in place of tokens: `token` is the index of an object, surest first. */
export class ObjectLook {
  constructor(page, packed) {
    Object.assign(this, { page, packed, first: 0, prefix: [], views: ['row'], speaker: 0, whole: true });
    this.objects = page.objects;
    this.infos = page.objects.layers;
    this.patches = page.grid[0] * page.grid[1];
    this.tokens = this.infos[0].tokens; // that a row of weights is shared over
    this.last = this.objects.names.length - 1;
    this.rollouts = new Map();
    this.coming = [];
    this.layers = [];
  }

  kept() {
    return true;
  }

  load(l) {
    this.coming[l] ??= inflate(this.packed(l)).then((bytes) => {
      this.layers[l] = { ...this.infos[l], bytes };
      return this.layers[l];
    });
    return this.coming[l];
  }

  /** The weights that one object's query gives to the patches, by one head: largest · (byte / 255)². */
  see(data, head, object) {
    const from = (head * (this.last + 1) + object) * this.patches;
    const scale = data.largest[head][object] / 255 ** 2;
    return Float32Array.from(data.bytes.subarray(from, from + this.patches), (byte) => scale * byte * byte);
  }

  weights(l, head, object) {
    const heads = head < 0 ? [...Array(this.infos[l].heads).keys()] : [head];
    return mean(heads.map((one) => this.see(this.layers[l], one, object)));
  }

  peak(weights) {
    return Math.max(1 / this.tokens, ...weights);
  }

  canRollOut() {
    return false;
  }

  name(object) {
    return this.objects.names[object];
  }

  colour(object) {
    return HUES[object % HUES.length];
  }

  chips() {
    return [...this.objects.names.keys()];
  }

  score(object) {
    return `${Math.round(100 * this.objects.scores[object])} %`;
  }

  spot(patch, say) {
    const columns = this.page.grid[1];
    return say('patch', { row: Math.floor(patch / columns) + 1, column: (patch % columns) + 1 });
  }

  /** The object's box in patches, to be outlined on the map. */
  outline(object) {
    const [rows, columns] = this.page.grid;
    const [left, top, right, bottom] = this.objects.boxes[object];
    const size = { width: (right - left) * columns, height: (bottom - top) * rows };
    return { x: left * columns, y: top * rows, ...size, class: 'found main', stroke: this.colour(object) };
  }

  /** Weight that went to tokens without a place in the picture: only where queries are tokens beside the patches. */
  outside(weights, say) {
    if (this.tokens === this.patches) return [];
    return [[say('elsewhere'), Math.max(0, 1 - weights.reduce((a, b) => a + b, 0))]];
  }

  /** What one object's query gives to the other queries: [object, weight], most first, and what went to the rest. */
  among(l, head, object) {
    const heads = this.infos[l].among;
    if (!heads) return null;
    const rows = head < 0 ? heads.map((one) => one[object]) : [heads[head][object]];
    const given = mean(rows);
    const pairs = [...given.entries()].filter(([other]) => other !== object).sort((a, b) => b[1] - a[1]);
    return { pairs, own: given[object], rest: Math.max(0, 1 - given.reduce((a, b) => a + b, 0)) };
  }

  /** Whatever else its query could attend to, in words; empty if there is nothing. */
  rest(say) {
    const { queries, found, names } = this.objects;
    const count = queries - names.length;
    if (this.tokens !== this.patches) return say('restTokens');
    return count && say(found > names.length ? 'restQueries' : 'nothing', { count });
  }

  /** Relations of one object, surest first, those between the same two joined: { subject, object, names, score }. */
  relations(chosen) {
    const pairs = new Map();
    for (const [subject, name, object, score] of this.objects.relations) {
      if (subject !== chosen && object !== chosen) continue;
      const key = `${subject} ${object}`;
      if (!pairs.has(key)) pairs.set(key, { subject, object, names: [], score });
      pairs.get(key).names.push(name);
    }
    return [...pairs.values()].sort((a, b) => (b.subject === chosen) - (a.subject === chosen) || b.score - a.score);
  }

  /** How much of what it gives to the picture lies inside its box, in words. */
  inside(l, head, object, say) {
    const [share, area] = [this.infos[l].inside[head + 1][object], this.objects.area[object]];
    return say('inside', { share: percent(share), area: percent(area), times: figure(share / Math.max(area, 1e-9), 2) });
  }
}
