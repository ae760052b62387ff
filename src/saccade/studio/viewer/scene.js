// The base of all scenes: the image with its targets, and what is listed beside it about the selected one.
import { chartWords, strips } from './charts.js';
import { ARROWS, get, h } from './dom.js';
import { percent } from './texts.js';

const MOST_LISTED = 16; // other targets that the selected one attends to

/** A section for attention between queries, with more columns beside it. */
export const amongSection = (more = '') => `
  <section class="part" aria-labelledby="among-title" data-mode="cross">
    <div class="charts">
      <div>
        <h2 id="among-title" data-say="amongTitle"></h2>
        <p class="quiet" id="among-where"></p>
        <ul id="among"></ul>
      </div>${more}
    </div>
  </section>`;

/**
 * A subclass draws (`draw`) and finds targets under the pointer (`under`). Its statics are its part of the page:
 * `Look`, the data of its targets; `texts`; `panel` and `section`, constant markup below the image and below the maps; `beside`, a panel of its own after the image;
 * `options(page)`, state of its own switches; `summary(viewer)`, nodes under "What the model sees".
 */
export class Scene {
  static panel = '';

  static section = '';

  static beside = '';

  static options = () => ({});

  /** viewer holds the selection and the texts; picks and peeks go back to it. */
  constructor(viewer, look) {
    Object.assign(this, { viewer, look, stage: get('scene') });
    get('scene-panel').innerHTML = this.constructor.panel; // constant markup, nothing from the page's data
    get('scene-section').innerHTML = this.constructor.section;
    get('scene-beside').innerHTML = this.constructor.beside;
    this.lay();
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && viewer.peek(this.under(this.spot(event))[0] ?? null);
    this.stage.onpointerleave = () => viewer.peek(null);
    this.stage.onclick = (event) => this.click(this.under(this.spot(event)));
    this.stage.onkeydown = (event) => this.key(event);
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  /** Fit the stage to the picture of the page. */
  lay() {
    const { picture } = this.look.page;
    const img = this.stage.querySelector('img');
    img.src = picture.src;
    img.classList.toggle('pixels', picture.width < 160);
    this.stage.style.aspectRatio = picture.width / picture.height;
    this.stage.style.width = `min(100%, ${(75 * picture.width) / picture.height}vh)`;
  }

  /** Where the pointer is, in shares of the picture. */
  spot(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  click([first]) {
    if (first !== undefined) this.viewer.pick(first);
  }

  key(event) {
    const { look: { last }, viewer } = this;
    const move = ARROWS[event.key];
    const next = { Home: 0, End: last }[event.key] ?? (move && viewer.state.token + move[0] + move[1]);
    if (next === undefined) return;
    event.preventDefault();
    viewer.pick((next + last + 1) % (last + 1));
  }

  /** Redraw what depends on the target, layer or head. */
  show() {
    const { viewer, look } = this;
    const { layer, head } = viewer.state;
    this.draw();
    get('inside').textContent = look.inside(layer, head, viewer.token, viewer.say);
    this.listAttention();
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
    const [listed, others] = [given.pairs.slice(0, MOST_LISTED), given.pairs.slice(MOST_LISTED)];
    const rows = [...listed.map(([i, weight]) => [look.name(i), weight, i]), [say('itself'), given.own, token]];
    const rest = look.rest(say, others.length);
    if (rest) rows.push([rest, others.reduce((sum, [, weight]) => sum + weight, given.rest), null]);
    const most = Math.max(...rows.map(([, weight]) => weight));
    return get('among').replaceChildren(...rows.map(([name, weight, i]) => {
      const bar = h('b');
      bar.style.width = `${(100 * weight) / most}%`;
      const label = h('span', {}, ...(i === null ? [] : [this.swatch(i)]), name);
      return h('li', { className: i === null || i === token ? 'aside' : '' }, label, h('span', { className: 'track' }, bar), h('span', {}, percent(weight)));
    }));
  }
}

/** Charts of the selected target, by layer and head: attention inside its region, and entropy. */
export function showTargetCharts(look, { layer, head, token }, say, choose) {
  const most = Math.log(look.patches);
  const draw = (id, key, series, reference, end) => strips(get(id), series, {
    chosen: { layer, head }, reference, end, choose,
    words: chartWords(say, key, (x) => (key === 'in' ? percent(x) : x.toFixed(2)), { name: look.name(token), most: most.toFixed(2) }),
  });
  const area = look.targets.area?.[token];
  get('distance').hidden = !area; // without a region nothing is inside
  if (area) {
    const inside = look.infos.map((info) => info.inside.slice(1).map((row) => row[token]));
    draw('distance', 'in', inside, area, Math.min(1, 1.1 * Math.max(0.01, area, ...inside.flat())));
  }
  draw('entropy', 'wide', look.infos.map((info) => info.entropy.map((row) => row[token])), most, 1.1 * most);
}
