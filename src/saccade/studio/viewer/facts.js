// What does not change with the chosen token: predictions, charts over layers, how exact the numbers are.
import { strips } from './charts.js';
import { get, h } from './dom.js';
import { figure, percent } from './words.js';

const MOST_CLASSES = 6; // told with their shares of the picture

export function showFacts({ page, looks, scene, say, name }) {
  const look = looks.self ?? looks.cross;
  const sizes = { rows: page.grid[0], columns: page.grid[1], tokens: look.tokens };
  const told = Object.entries(page.model).filter(([key]) => key !== 'tokens');
  const words = told.map(([key, x]) => (key === 'name' ? x : `${say(`fact ${key}`)} ${x}`));
  get('title').textContent = page.title;
  get('facts').textContent = [...words, ...(page.layers.length ? [say('tokens', sizes)] : [])].join(' · ');
  const special = speaker(page, look);
  get('is').textContent = say('is');
  get('what3').textContent = special && say(special, { name: name(look.speaker) });
  get('predictions').replaceChildren(...predictions(page, say, scene));
  get('exact').replaceChildren(...exactness(page, look, say).map((text) => h('p', {}, text)));
}

/** Which words tell of the token that speaks for the picture; '' for none. Without a head nothing is predicted from it. */
export function speaker(page, look) {
  if (page.targets) return '';
  const kind = look.speaker === look.mean ? 'whatMean' : look.speaker < look.first ? 'whatCls' : '';
  return kind && !page.predictions.length ? `${kind}Bare` : kind;
}

function predictions(page, say, scene) {
  if (['classes', 'words'].includes(page.targets?.kind)) return scene ? scene.list(MOST_CLASSES) : [];
  if (page.targets) return [h('p', {}, found(page.targets, say))];
  if (!page.predictions.length) return [say('noPredictions')];
  return page.predictions.slice(0, 5).map(([label, p]) => {
    const bar = h('i');
    bar.style.width = `${100 * p}%`;
    return h('div', { className: 'prediction' }, bar, h('span', {}, label), h('span', {}, percent(p)));
  });
}

/** "5 objects at 50 % or more: 2 × star, ring …" */
function found({ labels, found: count, threshold }, say) {
  const least = percent(threshold);
  if (!count) return say('foundNothing', { least });
  const kinds = new Map();
  labels.forEach((kind) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  const list = [...kinds].map(([kind, times]) => (times > 1 ? `${times} × ${kind}` : kind)).join(', ');
  return say('found', { count, least, list: count > labels.length ? `${list}, …` : list });
}

function exactness({ targets, precision: { bits, typical, largest, values, width }, layers, notes }, look, say) {
  const kept = [...layers.keys()].filter((l) => look.kept(l)).map((l) => l + 1);
  const count = targets?.count ?? targets?.names.length;
  const maps = targets?.layers.length && count ? [say('exactMaps', { count })] : [];
  if (!layers.length) return [...maps, ...notes];
  return [
    ...maps,
    say('exactPacked', { bits: figure(bits, 2), typical: percent(typical), largest: percent(largest) }),
    say(look.whole ? 'exactAll' : 'exactFew', { count: layers.length, kept: kept.length, names: kept.join(', ') }),
    width ? say('exactValues', { values, width }) : say('noValues'),
    ...notes,
  ];
}

/** Mean attention distance and entropy of every head, by layer. */
export function showCharts({ page, look, say }, { layer, head }, choose) {
  const [most, even] = [Math.log(look.tokens), evenDistance(...page.grid)];
  const facts = { tokens: look.tokens, most: most.toFixed(2) };
  const draw = (id, reference, end, digits) => strips(get(id), page.layers.map((info) => info[id]), {
    chosen: { layer, head }, reference, end, choose,
    words: {
      ...Object.fromEntries(['Title', 'Help', 'High', 'Low'].map((part) => [part.toLowerCase(), say(id + part, facts)])),
      reference: say(`${id}Even`, facts), layer: say('layer'), key: say('chartKey'),
      name: (l, one, x) => say('dotName', { layer: l + 1, head: one + 1, value: x.toFixed(digits) }),
    },
  });
  draw('distance', even, 1.1 * Math.max(even, ...page.layers.flatMap((info) => info.distance)), 1);
  draw('entropy', most, 1.1 * most, 2);
}

/** Mean distance in patches between two patches taken at random: what even attention would show. */
export function evenDistance(rows, columns) {
  let sum = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) sum += Math.hypot(x, y) * (y ? 2 : 1) * (rows - y) * (x ? 2 : 1) * (columns - x);
  }
  return sum / (rows * columns) ** 2;
}
