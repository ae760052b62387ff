// A film: one chosen frame large, and every frame small, on one colour scale.
import { chartWords, strips } from './charts.js';
import { paint } from './colour.js';
import { get, h, svg } from './dom.js';
import { predictionBars, uniformDistance } from './facts.js';
import { FilmLook } from './filmlook.js';
import { FILM_TEXTS } from './filmtexts.js';
import { explain } from './how.js';
import { laidMarks, outlined, patch, step, thumbnail } from './picture.js';
import { Scene } from './scene.js';
import { percent } from './texts.js';

export class FilmScene extends Scene {
  static Look = FilmLook;

  static texts = FILM_TEXTS;

  static section = `
  <section class="film" aria-labelledby="film-title" data-mode="cross">
    <h2 id="film-title" data-say="filmTitle"></h2>
    <p class="quiet" id="film-where"></p>
    <div id="film" role="group" data-label="filmHelp"></div>
  </section>`;

  static summary({ page, say }) {
    return page.predictions.length ? predictionBars(page) : [say('noPredictions')];
  }

  constructor(viewer, look) {
    super(viewer, look);
    document.querySelector('.panels').before(get('scene-section')); // every frame first, then one of them large
    get('numbers').closest('section').dataset.mode = 'cross'; // the page has no other attention to explain
    const asked = Number(new URLSearchParams(window.location.hash.slice(1)).get('frame'));
    if (Number.isInteger(asked) && look.covers(asked - 1) >= 0) look.frame = asked - 1;
    viewer.state.frame = look.frame;
    const place = (event, stage) => this.place(event, stage);
    const here = (event) => look.token(look.covers(look.frame), place(event, this.stage));
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && this.hover(here(event));
    this.stage.onclick = (event) => this.choose(here(event));
    this.stage.onkeydown = (event) => this.key(event);
    this.addSlider();
    this.tiles = look.groups.map((frames, group) => this.tile(frames, group));
    get('film').replaceChildren(...this.tiles.map(({ node }) => node));
    const blend = () => get('film').style.setProperty('--opacity', get('opacity').value / 100);
    get('opacity').addEventListener('input', blend);
    blend();
  }

  addSlider() {
    const { look } = this;
    this.slider = h('input', { type: 'range', id: 'frame', min: 1, max: look.frames.length, step: 1 });
    this.slider.oninput = () => this.turn(this.slider.value - 1);
    this.frameName = h('output', { id: 'frame-name', htmlFor: 'frame' });
    const name = h('span');
    name.dataset.say = 'frame';
    const label = h('label', {}, name, this.slider, this.frameName);
    label.dataset.mode = 'cross';
    document.querySelector('.controls').prepend(label);
  }

  /** The frames of a group side by side, under which their time and share stand. */
  tile(frames, group) {
    const { look, viewer } = this;
    const [rows, columns] = look.page.grid;
    const stages = frames.map((frame) => {
      const marks = svg('svg', { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
      const stage = h('div', { className: 'stage grey' }, h('img', { src: look.frames[frame].src, alt: '' }), h('canvas'), marks);
      stage.style.aspectRatio = look.page.picture.width / look.page.picture.height;
      const token = (event) => look.token(group, this.place(event, stage));
      stage.onpointermove = (event) => event.pointerType === 'mouse' && viewer.point(token(event));
      stage.onpointerleave = () => viewer.point(null);
      stage.onclick = (event) => {
        const chosen = token(event);
        this.turn(frame);
        this.choose(chosen);
      };
      return stage;
    });
    const caption = h('button', { type: 'button', onclick: () => this.turn(frames[0]) });
    const node = h('div', { className: 'tube' }, h('div', { className: 'frames' }, ...stages), caption);
    node.style.setProperty('--frames', frames.length);
    return { node, stages, caption };
  }

  /** The patch under the pointer, as an index into a frame. */
  place(event, stage) {
    const box = stage.getBoundingClientRect();
    const [rows, columns] = this.look.page.grid;
    const at = (offset, size, count) => Math.min(count - 1, Math.max(0, Math.floor((offset / size) * count)));
    return at(event.clientY - box.top, box.height, rows) * columns + at(event.clientX - box.left, box.width, columns);
  }

  key(event) {
    const { look } = this;
    const turned = { PageUp: -1, PageDown: 1 }[event.key];
    if (turned) {
      event.preventDefault();
      return this.turn(Math.min(look.frames.length - 1, Math.max(0, look.frame + turned)));
    }
    const next = step(event.key, this.from(), look.page.grid, look.first);
    if (next === null) return undefined;
    event.preventDefault();
    return this.choose(next);
  }

  /** Where the arrow keys start. */
  from() {
    return this.viewer.state.token;
  }

  /** Select a place. */
  choose(place) {
    this.viewer.pick(place);
  }

  /** The pointer is on a place of the frame that is shown large. */
  hover(place) {
    this.viewer.peek(place);
  }

  /** Show another frame large. The selected token stays, in whichever frame it is. */
  turn(frame) {
    const { look, viewer } = this;
    if (look.covers(frame) < 0) return; // beyond the last whole tube
    look.frame = frame;
    viewer.state.frame = frame;
    viewer.maps.redraw(viewer.state);
    viewer.refresh();
    this.controls();
    get('live').textContent = this.frameName.textContent;
  }

  controls() {
    const { look, viewer: { say } } = this;
    const { src, time } = look.frames[look.frame];
    this.slider.value = look.frame + 1;
    this.frameName.textContent = say('frameName', { frame: look.frame + 1, count: look.frames.length, time: time.toFixed(2) });
    get('what3').textContent = this.more();
    this.stage.querySelector('img').src = src;
    get('map').querySelector('img').src = src;
  }

  /** What else is to be known of this model. */
  more() {
    const { look, viewer: { say } } = this;
    const { speaker } = look.targets;
    const divided = look.infos.some(({ reach }) => reach !== 'film');
    return [
      look.groups.some((frames) => frames.length > 1) ? say('tubes') : '', divided ? say('divided') : '',
      speaker === 'mean' ? say('speakerMean') : speaker ? say('speaker', { name: speaker }) : '',
    ].filter(Boolean).join(' ');
  }

  outlined(token, first, kind) {
    return outlined(patch(token, first, this.look.page.grid), kind);
  }

  draw() {
    const { look, viewer } = this;
    laidMarks(this.stage, look.page.grid).replaceChildren(...this.outlined(viewer.state.token, look.first, 'chosen'), ...this.outlined(viewer.peeked, look.first, 'pointed'));
  }

  show() {
    const { layer } = this.viewer.state;
    this.draw();
    if (!this.look.kept(layer)) return this.fill(null);
    return this.look.layers[layer] ? this.fill() : this.look.load(layer).then(() => layer === this.viewer.state.layer && this.fill());
  }

  /** All frames with the weights of the token that is selected or pointed at. */
  fill(weights = this.weights()) {
    const { look, tiles, viewer: { token, kind, say, state: { layer, head, log } } } = this;
    const end = weights ? this.end(weights) : 0;
    const shares = weights && look.shares(weights);
    const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    const facts = { name: look.name(token, say), layer: look.layerName(layer, say), head: heads, end: percent(Number(end.toPrecision(2))) };
    get('film-where').textContent = weights ? say(kind === 'column' ? 'filmWhereColumn' : 'filmWhere', facts) : say('notKept', { layer: layer + 1 });
    get('inside').textContent = weights ? look.inside(layer, head, token, say, kind) : '';
    tiles.forEach(({ node, stages, caption }, group) => {
      const reached = look.reaches(layer, token, group, kind);
      node.classList.toggle('barred', !reached);
      node.classList.toggle('large', look.covers(look.frame) === group);
      stages.forEach((stage) => {
        const canvas = stage.querySelector('canvas');
        canvas.hidden = !weights || !reached;
        if (weights && reached) paint(canvas, weights, look.token(group, 0), look.page.grid, end, log, look.hidden(layer, token));
        stage.querySelector('svg').replaceChildren(...this.outlined(token, look.token(group, 0), 'chosen'));
      });
      const share = !weights ? '' : reached ? say(this.shareKey(kind), { share: percent(shares[group]) }) : say('barred');
      caption.replaceChildren(h('span', {}, `${look.targets.names[group]} · ${look.time(group)}`), h('b', {}, share));
      caption.setAttribute('aria-label', `${look.span(group, say)}: ${share}`);
    });
  }

  /** The text of a frame's share. */
  shareKey(kind) {
    return kind === 'column' ? 'given' : 'share';
  }

  weights() {
    const { look, viewer: { token, kind, state: { layer, head } } } = this;
    return look.weights(layer, head, token, kind);
  }

  /** The end of the colour scale, which is that of the large map. */
  end(weights) {
    const { look, viewer: { token, maps, state: { shared } } } = this;
    return (shared && maps.common()) || look.peak(weights, token);
  }

  /** How far each head looks, in time and in space. */
  charts(choose) {
    const { look, viewer: { say, state: { layer, head } } } = this;
    const inTime = look.evenTime();
    const draw = (id, key, even) => {
      const other = key === 'time' ? 'space' : 'time'; // calls over space alone stay in their frame
      const layers = [...look.infos.keys()].filter((l) => look.infos[l].reach !== other);
      const series = layers.map((l) => look.infos[l][key]);
      get(id).hidden = !layers.length;
      if (!layers.length) return;
      strips(get(id), series, {
        chosen: { layer: layers.indexOf(layer), head }, reference: even, end: 1.1 * Math.max(even, ...series.flat()) || 1,
        choose: (l, one) => choose(layers[l], one),
        words: {
          ...chartWords(say, key), reference: say('distanceEven'),
          name: (l, one, x) => say('filmDot', { layer: look.layerName(layers[l], say), head: one + 1, value: x.toFixed(2) }),
        },
      });
    };
    draw('distance', 'time', inTime);
    draw('entropy', 'space', uniformDistance(...look.page.grid));
  }

  /** How the weights of the selected token are computed. */
  how() {
    const { look, viewer, viewer: { token, kind, say, name, pointed, state: { layer, head: chosen, named } } } = this;
    const nodes = { numbers: get('numbers'), sentences: get('sentences'), vectors: get('vectors') };
    const [data, single] = [look.layers[layer], look.single(layer, token)];
    if (!data || !single) {
      Object.values(nodes).forEach((node) => node.replaceChildren());
      get('how-where').textContent = single ? '' : say('howPrefix', { name: name(token) });
      return;
    }
    const head = Math.min(chosen < 0 ? named : chosen, data.heads - 1);
    const facts = { target: name(token), layer: look.layerName(layer, say), head: head + 1 };
    get('how-where').textContent = `${say('filmHow', facts)} ${chosen < 0 ? say('howMean', { head: head + 1 }) : ''}`;
    const weights = look.weights(layer, head, token, kind);
    const read = pointed === null || look.hidden(layer, token)?.(pointed) ? null : pointed;
    const draw = (one) => this.cell(one);
    explain(nodes, data, { token, head, view: kind, weights, pointed: read }, { draw, name: viewer.name, say });
  }

  /** A token in the table, with its patch. */
  cell(token) {
    const { look, viewer } = this;
    const cell = h('td', { className: 'token' }, h('span', {}, viewer.name(token)));
    const group = look.groupOf(token);
    if (group < 0 || token === viewer.token) return cell;
    const img = this.tiles[group].stages[0].querySelector('img');
    cell.prepend(thumbnail(img, token, { page: look.page, first: look.token(group, 0) }));
    return cell;
  }

  swatch() {
    return '';
  }
}
