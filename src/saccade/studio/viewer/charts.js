// Small SVG charts: one dot a head, layers from left to right.

const SVG = 'http://www.w3.org/2000/svg';

/** An SVG element with attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, x] of Object.entries(attributes)) node.setAttribute(key, x);
  node.append(...children);
  return node;
}

/** Round numbers from 0 to `end`, four to six of them. */
function rounds(end) {
  const raw = end / 5;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((x) => x * unit).find((x) => x >= raw);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

/**
 * Draw a chart: series[layer][head], the line of the heads' mean, and a dashed reference line.
 * words: title, unit, help, reference, low, high, meanLine, layer, name(layer, head, value).
 */
export function strips(figure, series, { chosen, reference, end, words, choose }) {
  const [w, h, left, right, topEdge, bottom] = [520, 270, 44, 12, 20, 40];
  const x = (l) => left + 14 + (series.length > 1 ? (l * (w - left - right - 28)) / (series.length - 1) : 0);
  const y = (v) => topEdge + (h - topEdge - bottom) * (1 - v / end);
  const root = svg('svg', { viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': `${words.title}. ${words.help}` });
  for (const tick of rounds(end)) {
    root.append(svg('line', { class: 'rule', x1: left, x2: w - right, y1: y(tick), y2: y(tick) }));
    root.append(svg('text', { x: left - 7, y: y(tick) + 4, 'text-anchor': 'end' }, String(tick)));
  }
  const every = Math.ceil(series.length / 16);
  series.forEach((_, l) => {
    if (l % every === 0) root.append(svg('text', { x: x(l), y: h - bottom + 18, 'text-anchor': 'middle' }, String(l + 1)));
  });
  root.append(svg('text', { x: (left + w - right) / 2, y: h - 5, 'text-anchor': 'middle', class: 'axis' }, words.layer));
  root.append(svg('text', { x: left, y: 11, class: 'axis' }, `${words.unit} ↑ ${words.high}`));
  root.append(svg('text', { x: w - right, y: y(0) - 5, 'text-anchor': 'end', class: 'axis' }, words.low));
  root.append(svg('line', { class: 'reference', x1: left, x2: w - right, y1: y(reference), y2: y(reference) }));
  root.append(svg('text', { x: w - right, y: y(reference) - 5, 'text-anchor': 'end', class: 'axis' }, words.reference));
  const means = series.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length);
  root.append(svg('polyline', { class: 'mean', points: means.map((v, l) => `${x(l)},${y(v)}`).join(' ') }));
  series.forEach((heads, l) => heads.forEach((v, head) => {
    const spread = heads.length > 1 ? (head / (heads.length - 1) - 0.5) * Math.min(14, 240 / series.length) : 0;
    const mine = l === chosen.layer && (head === chosen.head || chosen.head < 0);
    const dot = svg('circle', { cx: x(l) + spread, cy: y(v), r: mine ? 5 : 3.5, class: mine ? 'dot chosen' : 'dot' });
    dot.append(svg('title', {}, words.name(l, head, v)));
    dot.addEventListener('click', () => choose(l, head));
    root.append(dot);
  }));
  const caption = document.createElement('figcaption');
  const title = document.createElement('strong');
  title.textContent = words.title;
  const key = document.createElement('span');
  key.className = 'key';
  key.textContent = words.meanLine;
  caption.append(title, ' ', words.help, ' ', key);
  figure.replaceChildren(caption, root);
}
