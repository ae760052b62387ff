// Small multiples: one map a layer and head for the chosen token, filled in slices so that the page stays awake.
import { column, mean, row } from './attend.js';
import { paint } from './colour.js';

const SLICE = 8; // milliseconds of work a frame
const frame = () => new Promise((done) => requestAnimationFrame(done));

/** The grid of small maps. choose(layer, head) with head −1 for the mean; load(layer) gives a promise of its data. */
export function makeMaps(element, { page, first, load, choose, say }) {
  const heads = Math.max(...page.layers.map((l) => l.heads));
  const cells = page.layers.map(() => []);
  let maps = page.layers.map(() => []);
  let turn = 0;
  let focus = null;

  const label = (role, text) => {
    const node = document.createElement('span');
    node.setAttribute('role', role);
    node.textContent = text;
    return node;
  };
  const cell = (l, head) => {
    const button = document.createElement('button');
    const canvas = document.createElement('canvas');
    button.type = 'button';
    button.tabIndex = -1;
    button.setAttribute('role', 'gridcell');
    button.append(canvas);
    button.style.aspectRatio = `${page.picture.width} / ${page.picture.height}`;
    button.disabled = !page.layers[l].planes;
    button.addEventListener('click', () => choose(l, head));
    cells[l][head + 1] = button;
    return button;
  };
  const line = (...children) => {
    const node = document.createElement('div');
    node.setAttribute('role', 'row');
    node.append(...children);
    return node;
  };

  function build() {
    element.style.setProperty('--heads', heads + 1);
    const numbers = Array.from({ length: heads }, (_, h) => label('columnheader', h + 1));
    element.replaceChildren(line(label('columnheader', ''), label('columnheader', say('mean')), ...numbers));
    page.layers.forEach((info, l) => {
      const buttons = Array.from({ length: info.heads + 1 }, (_, i) => cell(l, i - 1));
      element.append(line(label('rowheader', l + 1), ...buttons));
      buttons.forEach((button, i) => {
        const head = i ? say('headName', { head: i }) : say('mean');
        button.setAttribute('aria-label', `${say('layer')} ${l + 1}, ${head}${info.planes ? '' : `: ${say('missing')}`}`);
        button.title = button.getAttribute('aria-label');
      });
    });
  }

  function select(l, head) {
    focus?.removeAttribute('aria-selected');
    if (focus) focus.tabIndex = -1;
    focus = cells[l][head + 1] ?? cells[l][0];
    focus.setAttribute('aria-selected', 'true');
    focus.tabIndex = 0;
  }

  element.addEventListener('keydown', (event) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    const l = cells.findIndex((buttons) => buttons.includes(document.activeElement));
    const next = l < 0 ? null : cells[l + move[0]]?.[cells[l].indexOf(document.activeElement) + move[1]];
    next?.focus();
  });

  /** Largest weight on a patch. */
  const peak = (map) => map.reduce((most, w, j) => (j >= first && w > most ? w : most), 0);

  /** The common end of the colour scale: that of the map which nine of ten stay under, so that one does not rule. */
  function common() {
    const peaks = maps.flat().map((map) => map.peak).sort((a, b) => a - b);
    return peaks.length ? peaks[Math.floor(0.9 * (peaks.length - 1))] : 0;
  }

  function draw(l, i, end, log) {
    const { weights, peak: own } = maps[l][i];
    paint(cells[l][i].firstChild, weights, first, page.grid, end ?? own, log);
  }

  function redraw(shared, log) {
    const end = shared ? common() : null;
    maps.forEach((line, l) => line.forEach((_, i) => draw(l, i, end, log)));
  }

  /** Compute all maps of a token, the layers nearest to `layer` first. progress(part done); a new call stops this one. */
  async function show({ token, layer, view, shared, log }, progress) {
    const mine = ++turn;
    const look = view === 'column' ? column : row;
    const order = page.layers.map((_, l) => l).filter((l) => page.layers[l].planes);
    order.sort((a, b) => Math.abs(a - layer) - Math.abs(b - layer));
    const fresh = page.layers.map(() => []);
    let end = shared ? common() : null;
    let since = 0;
    for (const [done, l] of order.entries()) {
      const data = await load(l);
      for (let head = 0; head < data.heads; head++) {
        if (performance.now() - since > SLICE) {
          await frame();
          since = performance.now();
        }
        if (mine !== turn) return;
        fresh[l][head + 1] = { weights: look(data, head, token) };
      }
      fresh[l][0] = { weights: mean(fresh[l].slice(1).map((m) => m.weights)) };
      fresh[l].forEach((map) => (map.peak = peak(map.weights)));
      maps[l] = fresh[l];
      maps[l].forEach((_, i) => draw(l, i, end, log));
      progress((done + 1) / order.length);
    }
    if (shared) redraw(true, log);
    return true;
  }

  return { build, select, show, redraw, common };
}
