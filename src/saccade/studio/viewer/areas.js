// The picture under the colours of its classes, and what the chosen patch is taken for.
import { get, h, svg } from './dom.js';
import { shareOfPixels } from './classes.js';
import { Scene } from './scene.js';
import { settle } from './tags.js';
import { percent } from './words.js';

const NAMED = 0.035; // room around a name, in widths of the picture, from which on it is written there

export class AreaScene extends Scene {
  constructor(viewer, look) {
    super(viewer, look);
    this.canvases = ['scene', 'picture'].map((id) => get(id).querySelector('canvas'));
    const slider = get('cover');
    slider.oninput = () => this.canvases.forEach((canvas) => (canvas.style.opacity = slider.value / 100));
    slider.oninput();
    look.ready.then(() => viewer.refresh());
  }

  /** The class at a place; none beside the picture or where its maps are not here. */
  under([x, y]) {
    const found = this.look.at(x, y);
    return found === null || found > this.look.last ? [] : [found];
  }

  draw() {
    const { look, stage, viewer: { token, state: { areas } } } = this;
    const [rows, columns] = look.page.grid;
    const marks = stage.querySelector('svg');
    marks.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
    marks.setAttribute('preserveAspectRatio', 'none');
    const outline = look.outline(token);
    marks.replaceChildren(...(outline ? [svg('path', { d: outline.d, class: 'halo' }), svg('path', outline)] : []));
    this.paint(0, areas === 'one' ? token : null);
    this.write(areas === 'no' ? [] : areas === 'one' ? [token] : look.chips());
  }

  /** The colours of all classes or of one, over one of the two pictures. */
  paint(which, only) {
    const { look, viewer: { state: { areas } } } = this;
    const canvas = this.canvases[which];
    canvas.hidden = areas === 'no' || !look.mask;
    const painted = String(only);
    if (canvas.hidden || canvas.dataset.painted === painted) return;
    canvas.dataset.painted = painted;
    look.paint(canvas, only);
  }

  /** Names of classes in the middles of their areas, the chosen one first. */
  write(tokens) {
    const { look, stage, viewer } = this;
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const order = [...tokens].sort((a, b) => (b === viewer.token) - (a === viewer.token) || a - b);
    const named = order.filter((token) => look.middle(token) && (token === viewer.token || look.middle(token).room >= NAMED));
    const tags = named.map((token) => {
      const tag = h('span', { className: token === viewer.token ? 'tag chosen' : 'tag' }, look.name(token));
      tag.style.background = look.bare(token) ? '#e4e4e0' : look.colour(token);
      if (!look.bare(token) && look.dark(token)) tag.style.color = '#fff';
      return tag;
    });
    stage.querySelector('.tags').replaceChildren(...tags);
    if (width) settle(tags, named.map((token) => [[look.middle(token).x * width, look.middle(token).y * height, 0.5, 0.5]]), width, height);
  }

  /** What the patch of a token is taken for, and its colours over the picture of patches. */
  take(token) {
    const { look, viewer: { say, looks, state: { areas } } } = this;
    const patch = token - looks.self.first;
    const placed = patch >= 0 && patch < look.patches;
    const likely = placed ? look.likely(patch) : [];
    this.paint(1, areas === 'one' ? likely[0]?.[0] ?? -1 : null);
    get('taken-where').textContent = say(!placed ? 'takenNone' : look.mask && !likely.length ? 'takenBeside' : 'takenWhere');
    get('taken').replaceChildren(...likely.map(([one, chance]) => this.bar(one, percent(Number(chance.toFixed(4))), chance)));
  }

  /** What the chosen patch is taken for, to be read aloud. */
  taken() {
    const lines = [...get('taken').children].map((line) => [...line.querySelectorAll('span')].map((one) => one.textContent).join(' '));
    return lines.length ? `${this.viewer.say('taken')}: ${lines.join(', ')}` : '';
  }

  swatch(token) {
    const swatch = super.swatch(token);
    if (this.look.bare(token)) swatch.style.background = 'none';
    return swatch;
  }

  /** A class with its colour, a figure and a bar of its length. */
  bar(token, text, length) {
    const bar = h('i');
    Object.assign(bar.style, { width: `${100 * length}%`, background: this.look.bare(token) ? 'var(--quiet)' : this.look.colour(token) });
    return h('div', { className: 'prediction' }, bar, h('span', {}, this.swatch(token), this.look.name(token)), h('span', {}, text));
  }

  /** The largest classes with their shares of the picture. */
  list(most) {
    const { look, viewer: { say } } = this;
    const there = [...look.targets.pixels.keys()].filter((token) => look.there(token));
    const rest = there.slice(most);
    const sum = rest.reduce((total, token) => total + look.targets.pixels[token], 0);
    const lines = there.slice(0, most).map((token) => this.bar(token, look.score(token), look.targets.pixels[token]));
    const head = h('p', { className: 'quiet' }, say('areas', { count: there.length, all: look.targets.queries }));
    return [head, ...lines, ...(rest.length ? [h('p', { className: 'quiet' }, say('moreAreas', { count: rest.length, share: shareOfPixels(sum) }))] : [])];
  }
}
