// Words of a text: what each adds to its similarity with the picture, by way of each patch.
import { get, h, svg } from './dom.js';
import { patch, step } from './picture.js';
import { Scene } from './scene.js';
import { TargetLook } from './targets.js';
import { figure } from './words.js';

const HALF = 127; // bytes of one sign

/** A part of the similarity, with its sign. */
export const part = (x) => {
  const decimals = x ? Math.min(7, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(x))))) : 0;
  return `${x > 0 ? '+' : ''}${x.toFixed(decimals).replace('-', '−')}`;
};

/** The same face as TargetLook: `token` is the index of a word, or past the last one the whole text. */
export class AnswerLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    this.tokens = this.patches;
    this.last = this.targets.names.length;
    this.views = ['for', 'against'];
    this.start = 0; // the layer at which everything is in its own place
    const sums = this.infos[0].sums.slice(0, this.targets.marks ? -1 : undefined);
    this.speaker = sums.indexOf(Math.max(...sums));
  }

  /** The part that word `head` adds by way of each patch (view "for"), or takes away ("against"). */
  see(data, head, _, view) {
    const scale = (view === 'against' ? -1 : 1) * data.largest[head] / HALF ** 2;
    const from = head * this.patches;
    return Float32Array.from(data.bytes.subarray(from, from + this.patches), (byte) => {
      const t = byte - HALF - 1;
      return scale * t * Math.abs(t);
    });
  }

  weights(l, _, token, view) {
    const words = token === this.last ? [...Array(this.last).keys()] : [token];
    return this.joined(words.map((word) => this.see(this.layers[l], word, token, view)));
  }

  /** Of all words together. */
  joined(maps) {
    return maps.reduce((sum, map) => sum.map((x, j) => x + map[j]), new Float32Array(this.patches));
  }

  peak(weights) {
    return Math.max(1e-9, ...weights);
  }

  /** A number of a map in words: one of the view "against" is taken away. */
  tell(x, view) {
    return part(view === 'against' && x ? -x : x);
  }

  name(token, say) {
    if (token === this.last) return say('wholeText');
    return this.targets.marks && token === this.last - 1 ? say('marks') : this.targets.names[token];
  }

  /** What it adds by way of all patches, at the first of the layers. */
  score(token) {
    return part(this.sum(0, token));
  }

  sum(l, token, of = 'sums') {
    const values = this.infos[l][of];
    return token === this.last ? values.reduce((a, b) => a + b, 0) : values[token];
  }

  outline() {
    return null;
  }

  outside() {
    return [];
  }

  inside(l, _, token, say) {
    const weights = this.layers[l] && this.weights(l, -1, token, 'for');
    if (!weights) return '';
    const signed = (sign) => weights.reduce((sum, x) => sum + (x * sign > 0 ? x : 0), 0);
    const facts = { name: this.name(token, say), sum: part(this.sum(l, token)), elsewhere: part(this.sum(l, token, 'elsewhere')) };
    const rest = Math.abs(this.sum(l, token, 'elsewhere')) < 1e-6 ? '' : ` ${say('addsElsewhere', facts)}`;
    return say('adds', { ...facts, plus: part(signed(1)), minus: part(signed(-1)) }) + rest;
  }

  // the small maps: a column a word

  column(i, say) {
    return this.name(i, say);
  }

  columnOf(token) {
    return token === this.last ? -1 : token;
  }

  /** What clicking a small map chooses. */
  cell(layer, column) {
    return { layer, token: column < 0 ? this.last : column };
  }
}

/** The picture as a field of patches, and which words the one under the pointer answers. */
export class AnswerScene extends Scene {
  constructor(viewer, look) {
    super(viewer, look);
    Object.assign(this, { chosen: null, pointed: null });
    const spot = (event) => {
      const [x, y] = this.spot(event);
      const [rows, columns] = look.page.grid;
      return x < 0 || y < 0 || x >= 1 || y >= 1 ? null : Math.floor(y * rows) * columns + Math.floor(x * columns);
    };
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && this.point(spot(event));
    this.stage.onpointerleave = () => this.point(null);
    this.stage.onclick = (event) => this.keep(spot(event));
    this.stage.onkeydown = (event) => {
      const next = step(event.key, this.chosen, look.page.grid, 0);
      if (next === null) return;
      event.preventDefault();
      this.keep(next);
      get('live').textContent = `${get('answers-where').textContent} ${[...get('answers').children].slice(0, 3).map((line) => line.textContent).join(', ')}`;
    };
  }

  /** The patch under the pointer, on either picture. */
  point(at) {
    if (at === this.pointed) return;
    this.pointed = at;
    this.draw();
    this.answers();
  }

  keep(at) {
    if (at === null) return;
    Object.assign(this, { chosen: at, pointed: null });
    this.draw();
    this.answers();
  }

  draw() {
    const { grid, grid: [rows, columns] } = this.look.page;
    const marks = this.stage.querySelector('svg');
    marks.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
    marks.setAttribute('preserveAspectRatio', 'none');
    const outlined = (at, kind) => {
      const place = patch(at, 0, grid);
      return place ? [svg('rect', { ...place, class: 'halo' }), svg('rect', { ...place, class: kind })] : [];
    };
    marks.replaceChildren(...outlined(this.chosen, 'chosen'), ...outlined(this.pointed, 'pointed'));
  }

  show() {
    const { viewer, look } = this;
    this.draw();
    const told = () => {
      get('inside').textContent = look.inside(viewer.state.layer, -1, viewer.token, viewer.say);
      this.answers();
    };
    if (look.layers[viewer.state.layer]) told();
    else look.load(viewer.state.layer).then(told);
  }

  /** The words of a patch, most first; until one is chosen, of the patch that answers the chosen word most. */
  answers() {
    const { look, viewer: { say, token, state: { layer } } } = this;
    if (!look.layers[layer]) return;
    const own = look.weights(layer, -1, token, 'for');
    const at = this.pointed ?? this.chosen ?? own.indexOf(Math.max(...own));
    const all = look.targets.names.map((_, word) => [word, look.see(look.layers[layer], word, word, 'for')[at]]);
    const most = Math.max(1e-9, ...all.map(([, x]) => Math.abs(x)));
    get('answers-where').textContent = say('answersWhere', { patch: look.spot(at, say) });
    get('answers').replaceChildren(...all.sort((a, b) => b[1] - a[1]).map(([word, x]) => {
      const bar = h('i', { className: x < 0 ? 'against' : '' });
      bar.style.width = `${(100 * Math.abs(x)) / most}%`;
      return h('div', { className: 'prediction' }, bar, h('span', {}, look.name(word, say)), h('span', {}, part(x)));
    }));
  }

  swatch() {
    return '';
  }

  /** The similarity, and what it is made of. */
  list() {
    const { look: { targets, infos }, viewer: { say } } = this;
    const facts = { text: targets.text, similarity: figure(targets.similarity, 3), shared: part(infos[0].shared) };
    const rest = part(targets.similarity - infos[0].shared);
    const lines = [h('p', {}, say('similarity', facts)), h('p', { className: 'quiet' }, say('similarityParts', { ...facts, rest }))];
    return lines;
  }
}
