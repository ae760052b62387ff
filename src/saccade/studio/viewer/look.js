// What the page is about: its tokens, its layers (unpacked when first needed), its rollouts.
import { inflate, mean, readLayer, rollout, rolloutCost, row, column } from './attend.js';
import { extraNumbers, extraViews } from './extraviews.js';
import { patch } from './picture.js';

const MOST_WORK = 5e8; // multiply-adds of a rollout that the page does itself
const ROLLOUT_SLICE = 10; // milliseconds of it at a time

export class Look {
  /** page: the content that Python wrote; packed(layer): that layer's bytes in base64. */
  constructor(page, packed) {
    Object.assign(this, { page, packed, first: page.prefix.length, prefix: page.prefix, infos: page.layers });
    this.views = ['row', 'column', 'rollout', ...extraViews(page)];
    this.numbered = extraNumbers(page);
    this.tokens = this.first + page.grid[0] * page.grid[1];
    this.mean = this.tokens; // an index past the last token stands for the mean of all patches
    this.last = this.tokens - (page.target === 'mean' ? 0 : 1);
    this.speaker = page.target === 'mean' ? this.mean : page.target;
    this.middle = this.first + Math.floor(page.grid[0] / 2) * page.grid[1] + Math.floor(page.grid[1] / 2);
    this.whole = page.layers.every((_, l) => this.kept(l));
    this.rollouts = new Map([[this.speaker, Float32Array.from(page.rollout)]]);
    this.coming = [];
    this.layers = [];
  }

  kept(l) {
    return Boolean(this.page.layers[l].planes);
  }

  load(l) {
    this.coming[l] ??= inflate(this.packed(l)).then((bytes) => {
      this.layers[l] = readLayer(bytes, this.page.layers[l], this.page.grid, this.tokens);
      return this.layers[l];
    });
    return this.coming[l];
  }

  /** Weights of one head of a loaded layer. view: row or column. */
  see(layer, head, token, view) {
    return (view === 'column' ? column : row)(layer, head, token);
  }

  /** The same in layer l, or with head −1 the mean of all heads. */
  weights(l, head, token, view) {
    const heads = head < 0 ? [...Array(this.layers[l].heads).keys()] : [head];
    return mean(heads.map((one) => this.see(this.layers[l], one, token, view)));
  }

  name(token, say) {
    if (token === this.mean) return say('meanToken');
    if (token < this.first) return this.prefix[token];
    const [at, columns] = [token - this.first, this.page.grid[1]];
    return say('patch', { row: Math.floor(at / columns) + 1, column: (at % columns) + 1 });
  }

  /** What a weight is on, in words. */
  spot(token, say) {
    return this.name(token, say);
  }

  /** Tokens without a place in the picture, to be chosen by name. */
  chips() {
    return [...this.prefix.keys(), ...(this.speaker === this.mean ? [this.mean] : [])];
  }

  /** The patch of a token, in patches; null for one without a place. */
  outline(token) {
    return patch(token, this.first, this.page.grid);
  }

  /** Weights on tokens that have no place in the picture. */
  outside(weights) {
    return this.prefix.map((label, token) => [label, weights[token]]);
  }

  /**
   * The end of a map's own colour scale: the largest weight on a patch other than the chosen token itself, which often
   * outshines all others; yet at least 1/N, so that a map whose weights all lie elsewhere stays dark.
   */
  peak(weights, token) {
    let most = 1 / this.tokens;
    for (let j = this.first; j < weights.length; j++) if (weights[j] > most && j !== token) most = weights[j];
    return most;
  }

  canRollOut(token) {
    if (this.rollouts.has(token)) return true;
    return this.whole && token !== this.mean && rolloutCost(this.page.layers, this.tokens) <= MOST_WORK;
  }

  /** Rollout of a token, in slices; null if `wanted()` turns false meanwhile. */
  async rollout(token, wanted) {
    if (this.rollouts.has(token)) return this.rollouts.get(token);
    const layers = await Promise.all(this.page.layers.map((_, l) => this.load(l)));
    const work = rollout(layers, token);
    for (;;) {
      const until = performance.now() + ROLLOUT_SLICE;
      let at = work.next();
      while (!at.done && performance.now() < until) at = work.next();
      if (at.done) {
        this.rollouts.set(token, at.value);
        return at.value;
      }
      await new Promise((done) => setTimeout(done));
      if (!wanted()) return null;
    }
  }
}
