// The picture with what was found in it: boxes, names, and lines from the chosen object to the others.
import { strips } from './charts.js';
import { ARROWS, get, h, svg } from './dom.js';
import { percent } from './words.js';

const CROWDED = 12; // objects from which on only the chosen one's name is written on the picture
const MOST_LINES = 4; // from one object

export class Scene {
  /** viewer gives what is chosen and its texts; picks and peeks go back to it. */
  constructor(viewer, look) {
    Object.assign(this, { viewer, look, stage: get('scene'), alone: null });
    const { picture } = look.page;
    const img = this.stage.querySelector('img');
    img.src = picture.src;
    img.classList.toggle('pixels', picture.width < 160);
    this.stage.style.aspectRatio = picture.width / picture.height;
    this.stage.style.width = `min(100%, ${(75 * picture.width) / picture.height}vh)`;
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && viewer.peek(this.under(event)[0] ?? null);
    this.stage.onpointerleave = () => viewer.peek(null);
    this.stage.onclick = (event) => this.click(this.under(event));
    this.stage.onkeydown = (event) => this.key(event);
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  /** Objects whose box is under the pointer, smallest first. */
  under(event) {
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const { boxes, area } = this.look.objects;
    const within = ([left, top, right, bottom]) => left <= x && x <= right && top <= y && y <= bottom;
    return [...boxes.keys()].filter((i) => within(boxes[i])).sort((a, b) => area[a] - area[b]);
  }

  /** The smallest of the boxes there; a second click on the same place goes on to the box around. */
  click(objects) {
    const again = this.clicked === objects.join();
    this.clicked = objects.join();
    if (objects.length) this.viewer.pick(objects[again ? (objects.indexOf(this.viewer.state.token) + 1) % objects.length : 0]);
  }

  key(event) {
    const { look: { last }, viewer } = this;
    const move = ARROWS[event.key];
    const next = { Home: 0, End: last }[event.key] ?? (move && viewer.state.token + move[0] + move[1]);
    if (next === undefined) return;
    event.preventDefault();
    viewer.pick((next + last + 1) % (last + 1));
  }

  /** Everything that depends on the chosen object, layer or head. */
  show() {
    const { viewer, look } = this;
    const { layer, head } = viewer.state;
    this.draw();
    get('inside').textContent = look.inside(layer, head, viewer.token, viewer.say);
    this.listAttention();
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
    const order = look.chips().sort((a, b) => (a === chosen) - (b === chosen) || look.objects.area[b] - look.objects.area[a]);
    const corners = (i) => look.objects.boxes[i].map((x, at) => x * (at % 2 ? height : width));
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

  // beside it

  swatch(i) {
    const swatch = h('i');
    swatch.style.background = this.look.colour(i);
    return swatch;
  }

  listAttention() {
    const { look, viewer: { say, token, state: { layer, head } } } = this;
    const given = look.among(layer, head, token);
    const where = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    get('among-where').textContent = given ? say('amongWhere', { name: look.name(token), layer: layer + 1, head: where }) : say('noAmong');
    if (!given) return get('among').replaceChildren();
    const rows = [...given.pairs.map(([i, weight]) => [look.name(i), weight, i]), [say('itself'), given.own, token]];
    const rest = look.rest(say);
    if (rest) rows.push([rest, given.rest, null]);
    const most = Math.max(...rows.map(([, weight]) => weight));
    return get('among').replaceChildren(...rows.map(([name, weight, i]) => {
      const bar = h('b');
      bar.style.width = `${(100 * weight) / most}%`;
      const label = h('span', {}, ...(i === null ? [] : [this.swatch(i)]), name);
      return h('li', { className: i === null || i === token ? 'aside' : '' }, label, h('span', { className: 'track' }, bar), h('span', {}, percent(weight)));
    }));
  }

  listRelations() {
    const { look, viewer: { say, token } } = this;
    const all = look.relations(token);
    const none = look.objects.relations.length ? say('noRelations', { name: look.name(token) }) : say('noneTold');
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

/** Where the name of a box may stand: its corner, as x, y and the part of the tag's size that lies before it. */
const around = ([left, top, right, bottom]) => [
  [left, top, 0, 1], [left, bottom, 0, 0], [right, top, 1, 1], [right, bottom, 1, 0], [left, top, 0, 0], [right, bottom, 1, 1],
  [left, (top + bottom) / 2, 1, 0.5], [right, (top + bottom) / 2, 0, 0.5],
];

/** Where a word may stand on a line. */
const along = (path) => [0.5, 0.4, 0.6, 0.3, 0.7].map((t) => [...path.at(t), 0.5, 0.5]);

/** Put each tag at the first of its places where it covers least of those before it, moved into the picture. */
function settle(tags, places, width, height) {
  const taken = [];
  const shared = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const sizes = tags.map((tag) => [tag.offsetWidth, tag.offsetHeight]);
  tags.forEach((tag, i) => {
    const [w, high] = sizes[i];
    const boxes = places[i].map(([x, y, fx, fy]) => {
      const left = Math.max(0, Math.min(width - w, x - fx * w));
      const top = Math.max(0, Math.min(height - high, y - fy * high));
      return [left, top, left + w, top + high];
    });
    const costs = boxes.map((box) => Math.round(taken.reduce((sum, other) => sum + shared(box, other), 0)));
    const best = boxes[costs.indexOf(Math.min(...costs))];
    taken.push(best);
    Object.assign(tag.style, { left: `${best[0]}px`, top: `${best[1]}px` });
  });
}

/** For the chosen object, of every head by layer: what lies inside its box, and how widely it looks. */
export function showObjectCharts(look, { layer, head, token }, say, choose) {
  const most = Math.log(look.patches);
  const draw = (id, key, series, reference, end) => strips(get(id), series, {
    chosen: { layer, head }, reference, end, choose,
    words: {
      title: say(`${key}Title`), help: say(`${key}Help`, { name: look.name(token), most: most.toFixed(2) }),
      high: say(`${key}High`), low: say(`${key}Low`), reference: say(`${key}Even`), layer: say('layer'), key: say('chartKey'),
      name: (l, one, x) => say('dotName', { layer: l + 1, head: one + 1, value: key === 'in' ? percent(x) : x.toFixed(2) }),
    },
  });
  const area = look.objects.area[token];
  const inside = look.infos.map((info) => info.inside.slice(1).map((row) => row[token]));
  draw('distance', 'in', inside, area, Math.min(1, 1.1 * Math.max(area, ...inside.flat())));
  draw('entropy', 'wide', look.infos.map((info) => info.entropy.map((row) => row[token])), most, 1.1 * most);
}
