// The picture as a field of patches: outlines, pointer, keys, thumbnails.
import { svg } from './charts.js';

/**
 * Make an element with an <img> and an <svg> a stage. Calls: hover(token or null), pick(token).
 * Tokens are counted with the prefix, so the first patch is token `first`.
 */
export function makeStage(element, { picture, grid: [rows, columns], first }, { hover, pick }) {
  const img = element.querySelector('img');
  const marks = element.querySelector('svg');
  img.src = picture.src;
  img.classList.toggle('pixels', picture.width < 160);
  element.style.aspectRatio = `${picture.width} / ${picture.height}`;
  marks.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
  marks.setAttribute('preserveAspectRatio', 'none');
  const tokenAt = (event) => {
    const box = element.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return x < 0 || y < 0 || x >= columns || y >= rows ? null : first + y * columns + x;
  };
  element.addEventListener('pointermove', (event) => event.pointerType === 'mouse' && hover(tokenAt(event)));
  element.addEventListener('pointerleave', () => hover(null));
  element.addEventListener('click', (event) => {
    const token = tokenAt(event);
    if (token !== null) pick(token);
  });
  const outline = (token, kind) => {
    if (token === null || token < first || token >= first + rows * columns) return [];
    const place = { x: (token - first) % columns, y: Math.floor((token - first) / columns), width: 1, height: 1 };
    return [svg('rect', { ...place, class: 'halo' }), svg('rect', { ...place, class: kind })];
  };
  return { mark: (chosen, pointed) => marks.replaceChildren(...outline(chosen, 'chosen'), ...outline(pointed, 'pointed')) };
}

/** Arrow keys, Home and End on the stage: the token to go to from `token`, or null for other keys. */
export function step(key, token, { grid: [rows, columns], first }) {
  const last = first + rows * columns - 1;
  if (key === 'Home') return first;
  if (key === 'End') return last;
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  if (!move) return null;
  if (token < first || token > last) return first;
  const y = Math.floor((token - first) / columns) + move[0];
  const x = ((token - first) % columns) + move[1];
  return y < 0 || x < 0 || y >= rows || x >= columns ? token : first + y * columns + x;
}

/** A patch with its surroundings (one patch around it), framed, as a canvas. */
export function thumbnail(img, token, { picture, grid: [rows, columns], first }) {
  const canvas = document.createElement('canvas');
  const [w, h] = [picture.width / columns, picture.height / rows];
  const [y, x] = [Math.floor((token - first) / columns), (token - first) % columns];
  canvas.className = 'thumb';
  canvas.width = canvas.height = 72;
  const context = canvas.getContext('2d');
  context.imageSmoothingEnabled = w >= 8;
  context.drawImage(img, (x - 1) * w, (y - 1) * h, 3 * w, 3 * h, 0, 0, 72, 72);
  context.lineWidth = 4;
  context.strokeStyle = '#0009';
  context.strokeRect(24, 24, 24, 24);
  context.lineWidth = 2;
  context.strokeStyle = '#fff';
  context.strokeRect(24, 24, 24, 24);
  return canvas;
}
