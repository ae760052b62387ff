// Two images under one query: a patch of one, and how similar every patch of the other is to it.
import { paint } from './colour.js';
import { get, h } from './dom.js';
import { cosine, similarity } from './features.js';
import { makePicture, patch } from './picture.js';

const stageOf = (i) => `<div>
  <h3 id="pair-name-${i}"></h3>
  <div class="stage" id="pair-${i}" tabindex="0" role="application" data-label="pairHelp"><img alt=""><canvas></canvas><svg aria-hidden="true"></svg></div>
</div>`;

const PAIR = `<section class="pair" aria-labelledby="pair-title">
  <h2 id="pair-title" data-say="pairTitle"></h2>
  <p class="quiet" data-say="pairWhat"></p>
  <div class="pair-stages">${stageOf(0)}${stageOf(1)}</div>
  <p class="caption" id="pair-found" aria-live="polite"></p>
</section>`;

export class Pair {
  constructor(viewer, features) {
    const { page } = viewer;
    const images = [{ name: page.other.first, grid: page.grid, picture: page.picture }, page.other];
    Object.assign(this, { viewer, features, images, pointed: null });
    get('pair').innerHTML = PAIR; // constant markup, nothing from the page's data
    this.marks = images.map(({ grid, picture }, side) => {
      const look = { page: { grid, picture }, first: 0, outline: (at) => patch(at, 0, grid) };
      const choose = (at) => this.choose([side, at]);
      const from = () => (this.query[0] === side ? this.query[1] : null);
      return makePicture(get(`pair-${side}`), () => look, { hover: (at) => this.point(at === null ? null : [side, at]), pick: choose, go: choose, from });
    });
  }

  /** [image, patch] that is looked for: what is pointed at, or chosen. */
  get query() {
    return this.pointed ?? this.split(this.viewer.state.pair);
  }

  split(number) {
    const [rows, columns] = this.images[0].grid;
    return number < rows * columns ? [0, number] : [1, number - rows * columns];
  }

  choose([side, at]) {
    const [rows, columns] = this.images[0].grid;
    this.pointed = null;
    this.viewer.state.pair = side ? rows * columns + at : at;
    this.viewer.keep();
    this.show();
  }

  point(query) {
    this.pointed = query;
    this.show();
  }

  place(side, at) {
    const columns = this.images[side].grid[1];
    return this.viewer.say('patch', { row: Math.floor(at / columns) + 1, column: (at % columns) + 1 });
  }

  /** The similarity of every patch of the other image, its best match, and whether that is mutual. */
  async show() {
    const { viewer: { say, state }, features, images, marks } = this;
    const [side, at] = this.query;
    const requested = String([side, at, state.layer]);
    this.requested = requested;
    const layer = features.nearest(state.layer);
    const found = await features.load(layer);
    if (requested !== this.requested) return;
    const other = 1 - side;
    const patches = (i, token, j) => similarity(found[i], token + found[i].first, found[j]).subarray(found[j].first);
    const there = patches(side, at, other);
    const best = highestOf(there);
    const back = highestOf(patches(other, best, side));
    images.forEach(({ name }, i) => {
      get(`pair-name-${i}`).textContent = say(i === side ? 'pairQuery' : 'pairAnswer', { name });
      get(`pair-${i}`).querySelector('canvas').hidden = i === side;
      get(`pair-${i}`).classList.toggle('grey', i === other);
    });
    const [low, high] = [there.reduce((a, b) => Math.min(a, b)), there[best]];
    const canvas = get(`pair-${other}`).querySelector('canvas');
    canvas.style.opacity = state.opacity / 100;
    paint(canvas, there.map((x) => x - low), 0, images[other].grid, high - low, false);
    marks[side](at, null);
    marks[other](best, null);
    const facts = { query: this.place(side, at), found: this.place(other, best), name: images[other].name, cosine: cosine(high), low: cosine(low), layer: layer + 1 };
    const mutual = back === at ? say('pairMutual') : say('pairNotMutual', { back: this.place(side, back) });
    get('pair-found').replaceChildren(h('strong', {}, say('pairFound', facts)), ` ${mutual} ${say('pairScale', facts)}`);
  }
}

const highestOf = (x) => x.reduce((best, one, i) => (one > x[best] ? i : best), 0);
