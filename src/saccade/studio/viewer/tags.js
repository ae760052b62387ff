// Placement of labels on an image with as little overlap as possible.

/** Where the name of a box may stand: its corner, as x, y and the part of the tag's size that lies before it. */
export const around = ([left, top, right, bottom]) => [
  [left, top, 0, 1], [left, bottom, 0, 0], [right, top, 1, 1], [right, bottom, 1, 0], [left, top, 0, 0], [right, bottom, 1, 1],
  [left, (top + bottom) / 2, 1, 0.5], [right, (top + bottom) / 2, 0, 0.5],
];

/** Where a word may stand on a line: x, y and the part of its size that lies before it. */
export const along = (path) => [0.5, 0.4, 0.6, 0.3, 0.7].map((t) => [...path.at(t), 0.5, 0.5]);

/** Put each tag at the first of its places with the least overlap with those before it, moved into the image. */
export function arrange(tags, places, width, height) {
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
