// The picture as a field of patches: outlines, pointer, keys, thumbnails.
import { ARROWS, svg } from './dom.js';

/**
 * Make an element with an <img> and an <svg> a field of patches. hover(token or null) follows the pointer,
 * pick(token) a click, go(token) the arrow keys, which start from `from()`. Tokens are counted with the prefix of what
 * is looked at now, `look()`.
 */
export function makePicture(element, look, { hover, pick, go, from }) {
  const img = element.querySelector('img');
  let [laid, lines, marks] = [[], null, null];
  const grid = () => look().layerGrid ?? look().page.grid; // that of the layer, where each has its own
  /** Fit the element to the picture of the page, which a scene of several pictures changes, and to the grid. */
  const lay = ({ picture }) => {
    const [rows, columns] = grid();
    laid = [picture, rows, columns];
    img.src = picture.src;
    img.classList.toggle('pixels', picture.width < 160);
    const shape = picture.width / picture.height;
    element.style.aspectRatio = shape;
    element.style.width = `min(100%, ${75 * shape}vh)`;
    marks = laidMarks(element, [rows, columns]);
    lines = svg('path', { d: edges(rows, columns), class: 'edges' });
  };
  lay(look().page);
  const tokenAt = (event) => {
    const box = element.getBoundingClientRect();
    const [rows, columns] = grid();
    const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return x < 0 || y < 0 || x >= columns || y >= rows ? null : look().first + y * columns + x;
  };
  element.addEventListener('pointermove', (event) => event.pointerType === 'mouse' && hover(tokenAt(event)));
  element.addEventListener('pointerleave', () => hover(null));
  element.addEventListener('click', (event) => tokenAt(event) !== null && pick(tokenAt(event)));
  element.addEventListener('keydown', (event) => {
    const next = step(event.key, from(), grid(), look().first);
    if (next === null) return;
    event.preventDefault();
    go(next);
  });
  return (chosen, pointed) => {
    const { page, first } = look();
    if ([page.picture, ...grid()].some((one, i) => one !== laid[i])) lay(page);
    marks.replaceChildren(lines, ...outlined(look().outline(chosen), 'chosen'), ...outlined(patch(pointed, first, grid()), 'pointed'));
  };
}

/** The <svg> of an element, in units of patches. */
export function laidMarks(element, [rows, columns]) {
  const marks = element.querySelector('svg');
  marks.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
  marks.setAttribute('preserveAspectRatio', 'none');
  return marks;
}

/** A box, a patch or the path of an area (null for none) with an outline, and a halo that sets it off the picture. */
export function outlined(place, kind) {
  if (!place) return [];
  const tag = 'd' in place ? 'path' : 'rect';
  return [svg(tag, { ...place, class: 'halo' }), svg(tag, { class: kind, ...place })];
}

/** The cell of a grid at a place in shares of the picture, counted row by row; null outside of it. */
export function cellAt([x, y], [rows, columns]) {
  return x < 0 || y < 0 || x >= 1 || y >= 1 ? null : Math.floor(y * rows) * columns + Math.floor(x * columns);
}

/** Where the patch of a token is, in patches; null for a token without a place. */
export function patch(token, first, [rows, columns]) {
  const at = token === null ? -1 : token - first;
  return at < 0 || at >= rows * columns ? null : { x: at % columns, y: Math.floor(at / columns), width: 1, height: 1 };
}

/** Where an arrow key, Home or End leads from `token` on a grid; null for other keys. */
export function step(key, token, [rows, columns], first) {
  const last = first + rows * columns - 1;
  if (key === 'Home') return first;
  if (key === 'End') return last;
  const move = ARROWS[key];
  if (!move) return null;
  if (token === null || token < first || token > last) return first;
  const y = Math.floor((token - first) / columns) + move[0];
  const x = ((token - first) % columns) + move[1];
  return y < 0 || x < 0 || y >= rows || x >= columns ? token : first + y * columns + x;
}

/** The edges of all patches as one SVG path; none where they would be denser than a reader can use. */
function edges(rows, columns) {
  if (columns > 40) return '';
  const down = Array.from({ length: columns - 1 }, (_, x) => `M${x + 1} 0V${rows}`);
  return [...down, ...Array.from({ length: rows - 1 }, (_, y) => `M0 ${y + 1}H${columns}`)].join('');
}

/** A patch, framed, with one patch of its surroundings on each side. */
export function thumbnail(img, token, { page, first }) {
  const [rows, columns] = page.grid;
  const [w, h] = [page.picture.width / columns, page.picture.height / rows];
  const [y, x] = [Math.floor((token - first) / columns), (token - first) % columns];
  const canvas = document.createElement('canvas');
  canvas.className = 'thumb';
  canvas.width = canvas.height = 84;
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = w >= 8;
  context.drawImage(img, (x - 1) * w, (y - 1) * h, 3 * w, 3 * h, 0, 0, 84, 84);
  for (const [width, colour] of [[5, '#000b'], [2, '#fff']]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(28, 28, 28, 28);
  }
  return canvas;
}
