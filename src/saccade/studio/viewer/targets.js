// Things to choose by name, objects or classes: where the query of each looked, as maps over the picture's patches.
import { inflate, mean } from './attend.js';
import { figure, percent } from './texts.js';

/** The same face as Look, for named things in place of tokens: `token` is the index of one. */
export class TargetLook {
  /** packed(name): bytes in base64. */
  constructor(page, packed) {
    Object.assign(this, { page, packed, first: 0, prefix: [], views: ['row'], speaker: 0, whole: true });
    this.targets = page.targets;
    this.infos = page.targets.layers;
    this.patches = page.grid[0] * page.grid[1];
    this.tokens = this.infos[0].tokens; // that a row of weights is shared over
    this.last = (page.targets.count ?? page.targets.names.length) - 1;
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

  /** The weights that one query gives to the patches, by one head: largest · (byte / 255)². */
  see(data, head, token) {
    const from = (head * (this.last + 1) + token) * this.patches;
    const scale = data.largest[head][token] / 255 ** 2;
    return Float32Array.from(data.bytes.subarray(from, from + this.patches), (byte) => scale * byte * byte);
  }

  weights(l, head, token) {
    const heads = head < 0 ? [...Array(this.infos[l].heads).keys()] : [head];
    return mean(heads.map((one) => this.see(this.layers[l], one, token)));
  }

  peak(weights) {
    return Math.max(1 / this.tokens, ...weights);
  }

  canRollOut() {
    return false;
  }

  name(token) {
    return this.targets.names[token];
  }

  chips() {
    return [...Array(this.last + 1).keys()];
  }

  spot(patch, say) {
    const columns = this.page.grid[1];
    return say('patch', { row: Math.floor(patch / columns) + 1, column: (patch % columns) + 1 });
  }

  /** Weight that went to tokens without a place in the picture: only where queries are tokens beside the patches. */
  outside(weights, say) {
    if (this.tokens === this.patches) return [];
    return [[say('elsewhere'), Math.max(0, 1 - weights.reduce((a, b) => a + b, 0))]];
  }

  /** What one query gives to the other queries: [token, weight], most first, and what went to the rest. */
  among(l, head, token) {
    const heads = this.infos[l].among;
    if (!heads) return null;
    const rows = head < 0 ? heads.map((one) => one[token]) : [heads[head][token]];
    const given = mean(rows);
    const pairs = [...given.entries()].filter(([other]) => other !== token).sort((a, b) => b[1] - a[1]);
    return { pairs, own: given[token], rest: Math.max(0, 1 - given.reduce((a, b) => a + b, 0)) };
  }

  /** Whatever else its query could attend to, in words, besides so many that are known; empty if there is nothing. */
  rest(say, known = 0) {
    const { queries, found, names } = this.targets;
    const count = queries - this.last - 1 + known;
    if (this.tokens !== this.patches) return say('restTokens');
    return count && say(known || found > names.length ? 'restQueries' : 'nothing', { count });
  }

  /** How much of what it gives to the picture lies inside its place, in words. */
  inside(l, head, token, say) {
    const [share, area] = [this.infos[l].inside[head + 1][token], this.targets.area[token]];
    const facts = { name: this.name(token), share: percent(share), area: percent(area) };
    return area > 0 ? say('inside', { ...facts, times: figure(share / area, 2) }) : say('insideNone', facts);
  }
}
