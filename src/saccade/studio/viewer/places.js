// Layers that attend on grids of their own: windows, pyramids, queries. A place of the picture is chosen, and every
// layer shows it on its grid.
import { strips } from './charts.js';
import { get, svg } from './dom.js';
import { predictionBars } from './facts.js';
import { step } from './picture.js';
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
    const [x, y] = this.spot(event);
    const [rows, columns] = this.look.page.grid;
    return x < 0 || y < 0 || x >= 1 || y >= 1 ? null : Math.floor(y * rows) * columns + Math.floor(x * columns);
  }

  draw() {
    const { look, viewer } = this;
    const [rows, columns] = look.page.grid;
    const marks = this.stage.querySelector('svg');
    marks.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
    marks.setAttribute('preserveAspectRatio', 'none');
    const outlined = (token, kind) => {
      const place = token === null ? null : look.outline(token, look.page.grid);
      return place ? [svg('rect', { ...place, class: 'halo' }), svg('rect', { ...place, class: kind })] : [];
    };
    marks.replaceChildren(...outlined(viewer.state.token, 'chosen'), ...outlined(viewer.peeked, 'pointed'));
  }

  show() {
    const { look, viewer, viewer: { token, kind, say, state: { layer } } } = this;
    Object.assign(look, { layer, kind, token });
    this.draw();
    get('inside').textContent = look.inside(layer, token, say);
  }

  charts(choose) {
    const { look, viewer: { say, state: { layer, head } } } = this;
    const draw = (id, key, even, end) => strips(get(id), look.infos.map((info) => info[id]), {
      chosen: { layer, head }, reference: even, end, choose,
      words: {
        ...Object.fromEntries(['Title', 'Help', 'High', 'Low'].map((part) => [part.toLowerCase(), say(`${key}${part}`)])),
        reference: say(`${key}Even`), layer: say('layer'), key: say('chartKey'),
        name: (l, one, x) => say('dotName', { layer: l + 1, head: one + 1, value: x.toFixed(2) }),
      },
    });
    draw('distance', 'span', 0.369, Math.max(0.41, 1.1 * Math.max(...look.infos.flatMap((info) => info.distance)))); // 0.5214 / √2: of two places at random
    draw('entropy', 'spread', 1, 1.1);
  }

  swatch() {
    return '';
  }
}
