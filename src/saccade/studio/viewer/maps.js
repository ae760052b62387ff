// Small multiples: one map a layer and head for the chosen token, filled in slices so that the page stays awake.
import { mean } from './attend.js';
import { paint } from './colour.js';
import { ARROWS, h } from './dom.js';

const MAPS_SLICE = 8; // milliseconds of work a frame
const TALLEST = 500; // pixels that all rows together may take
const frame = () => new Promise((done) => requestAnimationFrame(done));

/** The grid of small maps. choose(layer, head): head is −1 for the mean of the heads. */
export class Maps {
  constructor(element, look, choose) {
    Object.assign(this, { element, look, choose, turn: 0, focus: null });
    this.cells = look.infos.map(() => []);
    this.maps = look.infos.map(() => []); // [layer][0: mean, then heads] -> { weights, peak }
    element.addEventListener('keydown', (event) => this.#move(event));
  }

  /** Lay out the buttons; again after a change of language. */
  build(say) {
    const { look, look: { infos: layers, page: { picture, grid } } } = this;
    const heads = Math.max(...layers.map((info) => info.heads));
    const title = (role, text) => h('span', { role }, String(text));
    const line = (...children) => h('div', { role: 'row' }, ...children);
    this.element.style.setProperty('--columns', heads + 1);
    this.element.style.setProperty('--widest', `${Math.max(24, (TALLEST / layers.length) * (picture.width / picture.height))}px`);
    this.element.classList.toggle('fine', grid[1] > 30); // more patches than a small map has pixels
    const named = (i) => look.column?.(i, say) ?? i + 1;
    this.element.classList.toggle('named', Boolean(look.column));
    const numbers = Array.from({ length: heads }, (_, i) => title('columnheader', named(i)));
    this.element.replaceChildren(line(title('columnheader', ''), title('columnheader', say(look.column ? 'wholeText' : 'mean')), ...numbers));
    layers.forEach((info, l) => {
      const missing = this.look.kept(l) ? '' : `: ${say('missing')}`;
      this.cells[l] = Array.from({ length: info.heads + 1 }, (_, i) => {
        const column = look.column ? look.name(i ? i - 1 : look.last, say) : i ? say('headName', { head: i }) : say('mean');
        const name = `${look.layerName?.(l, say) ?? `${say('layer')} ${l + 1}`}, ${column}${missing}`;
        return this.#cell(l, i - 1, name);
      });
      this.element.append(line(title('rowheader', look.rowName?.(l, say) ?? l + 1), ...this.cells[l]));
    });
  }

  #cell(l, head, name) {
    const { picture } = this.look.page;
    const button = h('button', {
      type: 'button', tabIndex: -1, role: 'gridcell', title: name, 'aria-label': name, disabled: !this.look.kept(l),
      onclick: () => this.choose(l, head),
    }, h('canvas'));
    button.style.aspectRatio = `${picture.width} / ${picture.height}`;
    return button;
  }

  #move(event) {
    const move = ARROWS[event.key];
    const l = this.cells.findIndex((buttons) => buttons.includes(document.activeElement));
    if (!move || l < 0) return;
    event.preventDefault();
    this.cells[l + move[0]]?.[this.cells[l].indexOf(document.activeElement) + move[1]]?.focus();
  }

  select(l, head) {
    if (this.focus) this.focus.tabIndex = -1;
    this.focus?.setAttribute('aria-selected', 'false');
    this.focus = this.cells[l][head + 1];
    this.focus.setAttribute('aria-selected', 'true');
    this.focus.tabIndex = 0;
  }

  /** The common end of the colour scale: nine of ten maps stay under it, so that one sharp head does not rule all. */
  common() {
    const peaks = this.maps.flat().map((map) => map.peak).sort((a, b) => a - b);
    return peaks.length ? peaks[Math.floor(0.9 * (peaks.length - 1))] : 0;
  }

  /** Let go of what is being computed. */
  stop() {
    this.turn += 1;
  }

  redraw({ shared, log }) {
    const end = shared ? this.common() : null;
    this.maps.forEach((line, l) => line.forEach((_, i) => this.#draw(l, i, end, log)));
  }

  #draw(l, i, end, log) {
    const { weights, peak } = this.maps[l][i];
    paint(this.cells[l][i].firstChild, weights, this.look.first, this.look.gridOf?.(l) ?? this.look.page.grid, end ?? peak, log, this.look.hidden?.(l, this.token));
  }

  /** Compute all maps of a token, the layers nearest to `layer` first; progress(part done). A new call stops this. */
  async show({ token, layer, view, shared, log }, progress) {
    const mine = ++this.turn;
    this.token = token;
    const order = [...this.look.infos.keys()].filter((l) => this.look.kept(l));
    order.sort((a, b) => Math.abs(a - layer) - Math.abs(b - layer));
    const end = shared ? this.common() : 0; // until all are there, that of the token before
    await frame(); // the large map first
    await frame();
    let since = performance.now();
    for (const [done, l] of order.entries()) {
      const data = await this.look.load(l);
      const fresh = [];
      for (let head = 0; head < Math.max(1, data.heads); head++) { // no heads: a layer that has a mean alone
        if (performance.now() - since > MAPS_SLICE) {
          await frame();
          since = performance.now();
        }
        if (mine !== this.turn) return;
        fresh.push(this.look.see(data, head, token, view));
      }
      this.maps[l] = [this.look.joined?.(fresh) ?? mean(fresh), ...fresh.slice(0, data.heads)].map((weights) => ({ weights, peak: this.look.peak(weights, token) }));
      this.maps[l].forEach((_, i) => this.#draw(l, i, end || null, log));
      progress((done + 1) / order.length);
    }
    if (shared) this.redraw({ shared, log });
  }
}
