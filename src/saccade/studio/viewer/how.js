// The panel that computes weights step by step for the chosen token, with all numbers.
import { logSumExp, pair, row, rowScores, top, value, weightedSum } from './attend.js';
import { h, svg } from './dom.js';
import { figure, percent } from './texts.js';

const MOST = 5; // pairs shown, besides the one that is pointed at
const SHOWN = 4; // numbers of a value shown

/** Bars of one vector, up and down from a middle line, scaled to its own largest number. */
function bars(numbers, name, y) {
  const most = Math.max(...numbers.map(Math.abs)) || 1;
  const width = 600 / numbers.length;
  const group = svg('g', { transform: `translate(84 ${y})` }, svg('text', { x: -10, y: 4, 'text-anchor': 'end' }, name));
  group.append(svg('line', { class: 'rule', x1: 0, x2: 600, y1: 0, y2: 0 }));
  for (const sign of [1, -1]) {
    const boxes = numbers.map((x, i) => (sign * x > 0 ? `M${(i + 0.1) * width} 0h${0.8 * width}v${(-19 * x) / most}h${-0.8 * width}z` : ''));
    group.append(svg('path', { d: boxes.join(''), class: sign > 0 ? 'plus' : 'minus' }));
  }
  return group;
}

function vectors({ q, k, dot }, info, names, say) {
  const product = Array.from(q, (x, c) => x * k[c]);
  const rest = dot - product.reduce((a, b) => a + b, 0);
  const note = say('vectors', { ...names, kept: q.length, width: info.width, rest: figure(rest), dot: figure(dot) });
  const root = svg('svg', { viewBox: '0 0 690 140', role: 'img', 'aria-label': note });
  root.append(bars(Array.from(q), 'q', 22), bars(Array.from(k), 'k', 70), bars(product, 'q × k', 118));
  return [h('p', { className: 'quiet' }, note), root];
}

const list = (numbers) => `[ ${Array.from(numbers, (x) => figure(x, 2)).join(',  ')}, … ]`;
const cell = (...children) => h('td', { className: 'number' }, ...children);

/** One line: how a target's query and a source's key become a weight. */
function pairLine(layer, head, { target, source, numbers, lse }, most, marked, draw, count) {
  const weight = Math.exp(numbers.score - lse);
  const bar = h('i', { className: 'bar', title: percent(weight) });
  bar.style.width = `${100 * Math.min(1, weight / most)}%`;
  const formula = `exp(${figure(numbers.score)} − ${figure(lse).replace('−', '−\u2060')})`;
  const line = h('tr', { className: marked ? 'pointed' : '' }, draw(target), draw(source));
  line.append(cell(figure(numbers.dot)), cell(figure(numbers.score)), cell(formula), cell(h('b', {}, figure(weight)), bar));
  if (count) line.append(cell(list(value(layer, head, source).slice(0, count).map((x) => weight * x))));
  return line;
}

/** The last line: all weights of the row add up to 1, and the weighted sum of the values. */
function sumLine(layer, head, token, count, say) {
  const weights = layer.rowOf?.(head, token) ?? row(layer, head, token);
  const total = weights.reduce((a, b) => a + b, 0);
  const line = h('tr', { className: 'sum' }, h('td', { colSpan: 5 }, say('sum', { tokens: layer.countOf?.(token) ?? layer.tokens })), cell(total.toFixed(4)));
  if (count) line.append(cell(list(weightedSum(layer, head, weights).slice(0, count))));
  return line;
}

/**
 * Fill the panel's nodes for one head. A layer whose targets attend to some sources alone has `sumOf`, `rowOf` and
 * `countOf`: log-sum-exp, weights and number of the sources of a target. weights: of the row (or column) of `token`; pointed: a token to add, or null;
 * draw(token) gives a table cell.
 */
export function explain(nodes, layer, { token, head, view, weights, pointed }, { draw, name, say }) {
  const shown = top(weights, MOST);
  if (pointed !== null && !shown.includes(pointed)) shown.push(pointed);
  const sums = new Map();
  const lines = shown.map((other) => {
    const [target, source] = view === 'column' ? [other, token] : [token, other];
    const numbers = pair(layer, head, target, source);
    if (!sums.has(target)) sums.set(target, layer.sumOf?.(head, target) ?? logSumExp(rowScores(layer, head, target)));
    return { other, target, source, numbers, lse: sums.get(target) + numbers.shift };
  });
  const count = Math.min(SHOWN, value(layer, head, 0)?.length ?? 0);
  const heads = [say('from'), say('to'), 'q·k', say('score', { scale: figure(layer.scale) }), say('exponential'), say('weight')];
  if (count) heads.push(say('times', { count }));
  const body = h('tbody', {}, ...lines.map((l) => pairLine(layer, head, l, weights[shown[0]], l.other === pointed, draw, count)));
  if (view !== 'column') body.append(sumLine(layer, head, token, count, say));
  nodes.numbers.replaceChildren(h('thead', {}, h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)))), body);
  const facts = { width: layer.width, scale: figure(layer.scale), tokens: layer.countOf?.(token) ?? layer.tokens, lse: figure(lines[0].lse) };
  const keys = count ? ['say1', 'say2', 'say3', 'say4', 'say5'] : ['say1', 'say2', 'say3', 'noValues'];
  nodes.sentences.replaceChildren(...keys.map((key) => {
    const [title, ...rest] = say(key, facts).split('. ');
    return h('li', {}, h('b', {}, `${title}.`), ` ${rest.join('. ')}`);
  }));
  const focus = lines.find((l) => l.other === pointed) ?? lines[0];
  const names = { target: name(focus.target), source: name(focus.source) };
  nodes.vectors.replaceChildren(...vectors(focus.numbers, layer, names, say));
}
