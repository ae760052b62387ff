// The panel that computes one row (or column) step by step, with all its numbers.
import { logSumExp, pair, row, rowScores, top, value, weightedSum } from './attend.js';
import { svg } from './charts.js';
import { figure, percent } from './words.js';

const MOST = 5; // keys shown

const element = (name, text = '', className = '') => {
  const node = document.createElement(name);
  node.textContent = text;
  node.className = className;
  return node;
};

/** The pairs to show: of the largest weights, and the one that is pointed at; [target, source] each. */
function pairs(weights, { token, pointed, view }) {
  const others = top(weights, MOST);
  if (pointed !== null && !others.includes(pointed)) others.push(pointed);
  return others.map((other) => (view === 'column' ? [other, token] : [token, other]));
}

/** Bars of one vector, above and below a middle line, scaled to its own largest number. */
function bars(numbers, name, y) {
  const most = Math.max(...numbers.map(Math.abs)) || 1;
  const width = 600 / numbers.length;
  const group = svg('g', { transform: `translate(70 ${y})` });
  group.append(svg('text', { x: -8, y: 4, 'text-anchor': 'end' }, name));
  group.append(svg('line', { class: 'rule', x1: 0, x2: 600, y1: 0, y2: 0 }));
  numbers.forEach((x, i) => {
    const size = (18 * Math.abs(x)) / most;
    const bar = { x: i * width + width * 0.1, width: width * 0.8, y: x > 0 ? -size : 0, height: size };
    const node = svg('rect', { ...bar, class: x > 0 ? 'plus' : 'minus' });
    node.append(svg('title', {}, `${i + 1}: ${figure(x)}`));
    group.append(node);
  });
  return group;
}

/** Bars of q, k and their products for one pair. */
function vectors({ q, k }, info, source, say) {
  const root = svg('svg', { viewBox: '0 0 690 132', role: 'img', 'aria-label': say('product') });
  const product = q.map((x, c) => x * k[c]);
  root.append(bars(Array.from(q), 'q', 20), bars(Array.from(k), 'k', 64), bars(Array.from(product), say('product'), 108));
  const note = element('p', say('vectors', { source, kept: q.length, width: info.width }), 'quiet');
  return [note, root];
}

function header(layer, view, count, say) {
  const names = [say('from'), say('to'), say('dot'), say('score', { scale: figure(layer.scale) }), say('weight')];
  if (count) names.push(say('times', { count }));
  const line = element('tr');
  line.append(...names.map((name) => element('th', name)));
  const head = element('thead');
  head.append(line);
  return head;
}

function weightCell(weight, even) {
  const cell = element('td', '', 'number');
  const bar = element('span', '', 'bar');
  bar.style.width = `${Math.min(100, 100 * weight)}%`;
  cell.append(element('span', figure(weight)), bar);
  cell.title = `${percent(weight)}, × ${figure(weight / even, 2)}`;
  return cell;
}

/** Fill the panel. `at` says what is chosen; `draw(token)` gives a token's picture and name. */
export function explain(nodes, layer, at, draw, say) {
  const { token, head, view, weights } = at;
  const tokens = layer.tokens;
  const rowsOf = new Map();
  const lseOf = (target) => {
    if (!rowsOf.has(target)) rowsOf.set(target, logSumExp(rowScores(layer, head, target)));
    return rowsOf.get(target);
  };
  const count = value(layer, head, 0) ? Math.min(4, value(layer, head, 0).length) : 0;
  const body = element('tbody');
  let first = null;
  for (const [target, source] of pairs(weights, at)) {
    const numbers = pair(layer, head, target, source);
    const lse = lseOf(target) + numbers.shift;
    const weight = Math.exp(numbers.score - lse);
    const pointed = at.pointed !== null && (view === 'column' ? target : source) === at.pointed;
    if (!first || pointed) first = { numbers, source };
    const line = element('tr', '', pointed ? 'pointed' : '');
    const v = count ? value(layer, head, source).slice(0, count) : null;
    line.append(draw(target), draw(source), element('td', figure(numbers.dot), 'number'));
    line.append(element('td', figure(numbers.score), 'number'), weightCell(weight, 1 / tokens));
    if (v) line.append(element('td', `[ ${Array.from(v, (x) => figure(weight * x, 2)).join(',  ')} ]`, 'number'));
    body.append(line);
  }
  if (view !== 'column') body.append(sumLine(layer, head, token, count, say));
  nodes.numbers.replaceChildren(header(layer, view, count, say), body);
  const lse = figure(lseOf(token) + pair(layer, head, token, 0).shift, 4);
  const facts = { width: layer.width, scale: figure(layer.scale), tokens, lse };
  const said = ['say1', 'say2', 'say3', count ? 'say4' : 'noValues', ...(count ? ['say5'] : [])];
  nodes.sentences.replaceChildren(...said.map((key) => element('li', say(key, facts))));
  nodes.vectors.replaceChildren(...vectors(first.numbers, layer, at.name(first.source), say));
}

/** The last line: the weights' sum and the weighted sum of the values. */
function sumLine(layer, head, token, count, say) {
  const weights = row(layer, head, token);
  const total = weights.reduce((a, b) => a + b, 0);
  const line = element('tr', '', 'sum');
  const name = element('td', say('sum', { tokens: layer.tokens }));
  name.colSpan = 4;
  line.append(name, element('td', total.toFixed(4), 'number'));
  if (count) {
    const sum = weightedSum(layer, head, weights).slice(0, count);
    line.append(element('td', `[ ${Array.from(sum, (x) => figure(x, 2)).join(',  ')} ]`, 'number'));
  }
  return line;
}
