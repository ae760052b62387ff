// What the page is about: its tokens, its layers (unpacked when first asked for), its rollouts.
import { inflate, mean, readLayer, rollout, rolloutCost, row, column } from './attend.js';

const MOST_WORK = 5e8; // multiply-adds of a rollout that the page does itself
const ROLLOUT_SLICE = 10; // milliseconds of it at a time

export class Look {
  /** page: the content that Python wrote; packed(layer): that layer's bytes in base64. */
  constructor(page, packed) {
    Object.assign(this, { page, packed, first: page.prefix.length });
    this.tokens = this.first + page.grid[0] * page.grid[1];
    this.mean = this.tokens; // an index past the last token stands for the mean of all patches
    this.speaker = page.target === 'mean' ? this.mean : page.target;
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

  /** Weights of one head, or with head −1 the mean of all, in a layer that is loaded. view: row or column. */
  weights(l, head, token, view) {
    const see = view === 'column' ? column : row;
    const heads = head < 0 ? [...Array(this.layers[l].heads).keys()] : [head];
    return mean(heads.map((one) => see(this.layers[l], one, token)));
  }

  /**
   * The end of a map's own colour scale: the largest weight on a patch other than the chosen token itself, which often
   * outshines all others; yet at least an even share, so that a map whose weight all lies elsewhere stays dark.
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
