// What does not depend on the selected token: predictions, charts over layers, exactness of the numbers.
import { chartWords, strips } from './charts.js';
import { get, h } from './dom.js';
import { inputParts } from './input.js';
import { figure, percent } from './texts.js';

export function showFacts(viewer) {
  const { page, looks, say, name } = viewer;
  const look = looks.self ?? looks.cross;
  const sizes = { rows: page.grid[0], columns: page.grid[1], tokens: look.tokens };
  const listed = Object.entries(page.model).filter(([key]) => key !== 'tokens');
  const words = listed.map(([key, x]) => (key === 'name' ? x : `${say(`fact ${key}`)} ${x}`));
  get('title').textContent = page.title;
  get('facts').textContent = [...words, ...(page.layers.length ? [say('tokens', sizes)] : [])].join(' · ');
  const special = speaker(page, look);
  get('is').textContent = say(page.other ? 'isPair' : 'is');
  const more = page.features || page.classes || page.targets?.features ? say('whatExtra') : '';
  get('what3').textContent = [special && say(special, { name: name(look.speaker) }), (looks.self || page.targets.features) && more].filter(Boolean).join(' ');
  const { before, after } = page.seen ? inputParts(page.seen) : { before: [], after: [] };
  get('predictions').replaceChildren(...before, ...predictions(viewer), ...after);
  get('exact').replaceChildren(...exactness(page, look, say).map((text) => h('p', {}, text)));
}

/** The text about the token that represents the image; '' for none. Without a head nothing is predicted from it. */
export function speaker(page, look) {
  if (page.targets) return '';
  const kind = look.speaker === look.mean ? 'whatMean' : look.speaker < look.first ? 'whatCls' : '';
  return kind && !page.predictions.length && !page.text ? `${kind}Bare` : kind;
}

/** Classes with their probabilities. */
export function predictionBars(page) {
  return page.predictions.slice(0, 5).map(([label, p]) => {
    const bar = h('i');
    bar.style.width = `${100 * p}%`;
    return h('div', { className: 'prediction' }, bar, h('span', {}, label), h('span', {}, percent(p)));
  });
}

function predictions({ page, Scene, say, scene }) {
  if (page.targets) return Scene ? Scene.summary({ page, say, scene }) : [];
  if (page.text) return [h('p', {}, page.text)];
  if (!page.predictions.length) return [say('noPredictions')];
  return predictionBars(page);
}

/** How exact packed weights are, for texts. */
const exactly = ({ bits, typical, largest }) => ({ bits: figure(bits, 2), typical: percent(typical), largest: percent(largest) });

/** How exact cosines of features are. */
function exactlyFeatures({ layers, normed }, say) {
  const there = layers.filter(Boolean);
  const most = (key) => figure(Math.max(...there.map((layer) => layer[key])), 2);
  const named = there.length === layers.length ? say('featuresAll') : say('featuresFew', { kept: there.length, count: layers.length });
  const facts = { layers: named, normed: say(normed ? 'featuresNormed' : 'featuresRaw'), steps: Math.round(1 / there[0].step) };
  return say('exactFeatures', { ...facts, typical: most('typical'), largest: most('largest') });
}

function exactness({ targets, precision, layers, notes, features }, look, say) {
  const { values, width } = precision;
  const kept = [...layers.keys()].filter((l) => look.kept(l)).map((l) => l + 1);
  const count = targets?.count ?? targets?.names.length;
  const facts = targets?.precision ? exactly(targets.precision) : {};
  const maps = targets?.layers.length && count ? [say('exactMaps', { count, ...facts })] : [];
  if (targets?.features) maps.push(exactlyFeatures(targets.features, say));
  if (!layers.length) return [...maps, ...notes];
  return [
    ...maps,
    say('exactPacked', exactly(precision)),
    say(look.whole ? 'exactAll' : 'exactFew', { count: layers.length, kept: kept.length, names: kept.join(', ') }),
    width ? say('exactValues', { values, width }) : say('noValues'),
    ...(features ? [exactlyFeatures(features, say)] : []),
    ...notes,
  ];
}

/** Mean attention distance and entropy of every head, by layer. */
export function showCharts({ page, look, say }, { layer, head }, choose) {
  const [most, uniform] = [Math.log(look.tokens), uniformDistance(...page.grid)];
  const facts = { tokens: look.tokens, most: most.toFixed(2) };
  const draw = (id, reference, end, digits) => strips(get(id), page.layers.map((info) => info[id]), {
    chosen: { layer, head }, reference, end, choose, words: chartWords(say, id, (x) => x.toFixed(digits), facts),
  });
  draw('distance', uniform, 1.1 * Math.max(uniform, ...page.layers.flatMap((info) => info.distance)), 1);
  draw('entropy', most, 1.1 * most, 2);
}

/** Mean distance in patches between two patches taken at random: that of uniform attention. */
export function uniformDistance(rows, columns) {
  let sum = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) sum += Math.hypot(x, y) * (y ? 2 : 1) * (rows - y) * (x ? 2 : 1) * (columns - x);
  }
  return sum / (rows * columns) ** 2;
}
