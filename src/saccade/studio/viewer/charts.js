// Small SVG charts: one dot a head, layers from left to right.
import { h, svg } from './dom.js';

/** Round numbers from 0 to `end`, four to six of them. */
function rounds(end) {
  const unit = 10 ** Math.floor(Math.log10(end / 5));
  const step = [1, 2, 5, 10].map((x) => x * unit).find((x) => x >= end / 5);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [520, 270, 44, 506, 24, 230];

function axes(y, end, words, reference) {
  const text = (x, at, anchor, content, kind = '') => svg('text', { x, y: at, 'text-anchor': anchor, class: kind }, content);
  const line = (at, kind) => svg('line', { class: kind, x1: LEFT, x2: RIGHT, y1: at, y2: at });
  return [
    ...rounds(end).flatMap((tick) => [line(y(tick), 'rule'), text(LEFT - 7, y(tick) + 4, 'end', String(tick))]),
    text((LEFT + RIGHT) / 2, HEIGHT - 4, 'middle', words.layer),
    text(LEFT, 12, 'start', words.high),
    text(RIGHT, y(0) - 6, 'end', words.low),
    line(y(reference), 'reference'),
    text(RIGHT, y(reference) - 6, 'end', words.reference),
  ];
}

/** The texts of a chart, whose keys begin with `key`. format: of the value of a head. */
export function chartWords(say, key, format, facts = {}) {
  return {
    ...Object.fromEntries(['Title', 'Help', 'High', 'Low'].map((part) => [part.toLowerCase(), say(`${key}${part}`, facts)])),
    reference: say(`${key}Even`, facts), layer: say('layer'), key: say('chartKey'),
    name: (l, head, x) => say('dotName', { layer: l + 1, head: head + 1, value: format(x) }),
  };
}

/** Draw series[layer][head], the mean of each layer's heads as a line, and a dashed reference line. */
export function strips(figure, series, { chosen, reference, end, words, choose }) {
  const wide = Math.min(34, (RIGHT - LEFT) / series.length);
  const x = (l) => LEFT + wide / 2 + (series.length > 1 ? (l * (RIGHT - LEFT - wide)) / (series.length - 1) : 0);
  const y = (v) => TOP + (BOTTOM - TOP) * (1 - v / end);
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${words.title}. ${words.help}` });
  if (chosen.layer >= 0) root.append(svg('rect', { class: 'band', x: x(chosen.layer) - wide / 2, y: TOP, width: wide, height: BOTTOM - TOP }));
  root.append(...axes(y, end, words, reference));
  const means = series.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length);
  root.append(svg('polyline', { class: 'mean', points: means.map((v, l) => `${x(l)},${y(v)}`).join(' ') }));
  const every = Math.ceil(series.length / 16);
  series.forEach((heads, l) => {
    if (l % every === 0) root.append(svg('text', { x: x(l), y: BOTTOM + 18, 'text-anchor': 'middle' }, String(l + 1)));
    heads.forEach((v, head) => {
      const spread = heads.length > 1 ? (head / (heads.length - 1) - 0.5) * 0.6 * wide : 0;
      const mine = l === chosen.layer && head === chosen.head;
      const dot = svg('circle', { cx: x(l) + spread, cy: y(v), r: mine ? 5.5 : 3.5, class: mine ? 'dot chosen' : 'dot' });
      dot.append(svg('title', {}, words.name(l, head, v)));
      dot.addEventListener('click', () => choose(l, head));
      root.append(dot);
    });
  });
  const caption = h('figcaption', {}, h('strong', {}, words.title), h('p', {}, words.help), h('p', { className: 'key' }, words.key));
  figure.replaceChildren(caption, root);
  figure.hidden = false;
}
