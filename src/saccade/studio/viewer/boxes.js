// The picture with the objects found in it: boxes, names, and lines from the chosen object to the others.
import { get, h, svg } from './dom.js';
import { Scene } from './scene.js';
import { along, around, settle } from './tags.js';
import { percent } from './words.js';

const CROWDED = 12; // objects from which on only the chosen one's name is written on the picture
const MOST_LINES = 4; // from one object

export class BoxScene extends Scene {
  alone = null; // the relation under the pointer

  /** Objects whose box is at a place, smallest first. */
  under([x, y]) {
    const { boxes, area } = this.look.targets;
    const within = ([left, top, right, bottom]) => left <= x && x <= right && top <= y && y <= bottom;
    return [...boxes.keys()].filter((i) => within(boxes[i])).sort((a, b) => area[a] - area[b]);
  }

  /** The smallest of the boxes there; a second click on the same place goes on to the box around. */
  click(objects) {
    const again = this.clicked === objects.join();
    this.clicked = objects.join();
    if (objects.length) this.viewer.pick(objects[again ? (objects.indexOf(this.viewer.state.token) + 1) % objects.length : 0]);
  }

  show() {
    super.show();
    this.listRelations();
  }

  // on the picture, in pixels of the screen

  draw() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!width) return;
    const marks = this.stage.querySelector('svg');
    const tags = this.stage.querySelector('.tags');
    marks.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const { look, viewer } = this;
    const chosen = viewer.token;
    const order = look.chips().sort((a, b) => (a === chosen) - (b === chosen) || look.targets.area[b] - look.targets.area[a]);
    const corners = (i) => look.targets.boxes[i].map((x, at) => x * (at % 2 ? height : width));
    const lines = this.lines(chosen).map((line) => ({ ...line, path: this.path(corners(line.from), corners(line.to)) }));
    marks.replaceChildren(...order.flatMap((i) => this.box(corners(i), i)), ...lines.flatMap((line) => this.arrow(line)));
    const named = order.filter((i) => i === chosen || order.length < CROWDED).reverse(); // the chosen one first
    const words = [...named.map((i) => this.tag(i)), ...lines.map(({ text }) => h('span', { className: 'tag word' }, text))];
    tags.replaceChildren(...words);
    settle(words, [...named.map((i) => around(corners(i))), ...lines.map(({ path }) => along(path))], width, height);
  }

  box([left, top, right, bottom], i) {
    const place = { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
    const kind = i === this.viewer.token ? 'found main' : 'found';
    return [svg('rect', { ...place, class: `${kind} under` }), svg('rect', { ...place, class: kind, stroke: this.look.colour(i) })];
  }

  tag(i) {
    const tag = h('span', { className: 'tag' }, `${this.look.name(i)} ${this.look.score(i)}`);
    tag.style.background = this.look.colour(i);
    return tag;
  }

  /** What is joined to the chosen object: { from, to, text, width }. */
  lines(chosen) {
    const { look, viewer: { state } } = this;
    if (state.links === 'relations') {
      const all = look.relations(chosen).filter((one) => (this.alone ? this.alone === `${one.subject} ${one.object}` : one.subject === chosen));
      return all.slice(0, MOST_LINES).map(({ subject, object, names }) => ({ from: subject, to: object, text: names.join(', '), width: 2.5, head: true }));
    }
    const given = state.links === 'attention' && look.among(state.layer, state.head, chosen);
    if (!given) return [];
    const most = given.pairs[0]?.[1] || 1;
    const telling = given.pairs.slice(0, MOST_LINES).filter(([, weight]) => weight > 0.05 * most);
    return telling.map(([to, weight]) => ({ from: chosen, to, text: percent(weight), width: 1 + (6 * weight) / most, head: false }));
  }

  /** A bent line from box to box: from middle to middle, less what lies within them where they are apart. */
  path(a, b) {
    const middle = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];
    const [from, to] = [middle(a), middle(b)];
    const bend = [0.12 * (to[1] - from[1]), 0.12 * (from[0] - to[0])];
    const control = [(from[0] + to[0]) / 2 + bend[0], (from[1] + to[1]) / 2 + bend[1]];
    const at = (t) => [0, 1].map((c) => (1 - t) ** 2 * from[c] + 2 * t * (1 - t) * control[c] + t * t * to[c]);
    return { from, control, to, at, angle: Math.atan2(to[1] - control[1], to[0] - control[0]) };
  }

  arrow({ from: start, path: { from, control, to, angle }, width, head }) {
    const d = `M${from} Q${control} ${to}`;
    const parts = ['line under', 'line'].map((kind) => svg('path', { d, class: kind, 'stroke-width': width + (kind === 'line' ? 0 : 3) }));
    parts[1].setAttribute('stroke', '#fff');
    const dot = svg('circle', { cx: from[0], cy: from[1], r: 4, class: 'end', fill: this.look.colour(start) });
    const tip = [0, 2.65, -2.65].map((turn, i) => [0, 1].map((c) => to[c] + (i ? 13 : 4) * [Math.cos, Math.sin][c](angle + turn)));
    return [...parts, dot, head ? svg('polygon', { points: tip.join(' '), class: 'end', fill: '#fff' }) : svg('circle', { cx: to[0], cy: to[1], r: 4, class: 'end', fill: '#fff' })];
  }

  listRelations() {
    const { look, viewer: { say, token } } = this;
    const all = look.relations(token);
    const none = look.targets.relations.length ? say('noRelations', { name: look.name(token) }) : say('noneTold');
    get('relations-where').textContent = all.length ? say('relationsWhere', { name: look.name(token) }) : none;
    get('relations').replaceChildren(...all.map(({ subject, object, names, score }) => {
      const side = (i) => h('span', {}, this.swatch(i), look.name(i));
      const arrow = h('span', { className: 'arrow' }, `${names.join(', ')} →`);
      const line = h('li', {}, side(subject), ' ', arrow, ' ', side(object), ' ', h('span', { className: 'quiet' }, `${Math.round(100 * score)} %`));
      line.onpointerenter = () => this.only(`${subject} ${object}`);
      line.onpointerleave = () => this.only(null);
      return line;
    }));
  }

  /** While the pointer is on one relation, its arrow alone is on the picture. */
  only(pair) {
    this.alone = this.viewer.state.links === 'relations' ? pair : null;
    this.draw();
  }
}
