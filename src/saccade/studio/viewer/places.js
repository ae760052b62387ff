// Layers that attend on grids of their own: windows, pyramids, queries. A place of the picture is chosen, and every
// layer shows it on its grid.
import { chartWords, strips } from './charts.js';
import { get } from './dom.js';
import { predictionBars } from './facts.js';
import { cellAt, laidMarks, outlined, step } from './picture.js';
import { PlacesLook } from './placeslook.js';
import { PLACES_TEXTS } from './placestexts.js';
import { Scene } from './scene.js';

export class PlacesScene extends Scene {
  static Look = PlacesLook;

  static texts = PLACES_TEXTS;

  static second = true; // after attention of patches, where a page has both

  static summary({ page, say }) {
    if (page.text) return [page.text];
    return page.predictions.length ? predictionBars(page) : [say('noPredictions')];
  }

  constructor(viewer, look) {
    super(viewer, look);
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && viewer.peek(this.place(event));
    this.stage.onclick = (event) => this.place(event) !== null && viewer.pick(this.place(event));
    this.stage.onkeydown = (event) => {
      const next = step(event.key, viewer.state.token, look.page.grid, 0);
      if (next === null) return;
      event.preventDefault();
      viewer.pick(next);
    };
  }

  /** The place under the pointer, on the finest grid. */
  place(event) {
    return cellAt(this.spot(event), this.look.page.grid);
  }

  draw() {
    const { look, viewer } = this;
    const mark = (token, kind) => outlined(token === null ? null : look.outline(token, look.page.grid), kind);
    laidMarks(this.stage, look.page.grid).replaceChildren(...mark(viewer.state.token, 'chosen'), ...mark(viewer.peeked, 'pointed'));
  }

  show() {
    const { look, viewer, viewer: { token, kind, say, state: { layer, view } } } = this;
    Object.assign(look, { layer, kind, token, featured: viewer.extras?.gridOf(view, layer) ?? null });
    this.draw();
    get('inside').textContent = look.inside(layer, token, say);
  }

  charts(choose) {
    const { look, viewer: { say, state: { layer, head } } } = this;
    const draw = (id, key, even, end) => strips(get(id), look.infos.map((info) => info[id]), {
      chosen: { layer, head }, reference: even, end, choose, words: chartWords(say, key, (x) => x.toFixed(2)),
    });
    draw('distance', 'span', 0.369, Math.max(0.41, 1.1 * Math.max(...look.infos.flatMap((info) => info.distance)))); // 0.5214 / √2: of two places at random
    draw('entropy', 'spread', 1, 1.1);
  }

  swatch() {
    return '';
  }
}
