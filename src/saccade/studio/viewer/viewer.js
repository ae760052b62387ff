// The page: its state, its controls, and what is redrawn when something is chosen.
import { column, inflate, mean, readLayer, rollout, rolloutCost, row, top } from './attend.js';
import { strips } from './charts.js';
import { COLOURS, paint, place, weightAt } from './colour.js';
import { explain } from './how.js';
import { makeMaps } from './maps.js';
import { makeStage, step, thumbnail } from './stage.js';
import { figure, fill, percent } from './words.js';

const get = (id) => document.getElementById(id);
const MOST_WORK = 5e8; // multiply-adds of a rollout that the page does itself

/** Layers, unpacked when first asked for. */
function makeStore(page, tokens) {
  const layers = page.layers.map(() => null);
  const coming = page.layers.map(() => null);
  const load = (l) => {
    coming[l] ??= inflate(get(`layer-${l}`).textContent).then((bytes) => {
      get(`layer-${l}`).remove();
      layers[l] = readLayer(bytes, page.layers[l], page.grid, tokens);
      delete page.layers[l].bytes;
      return layers[l];
    });
    return coming[l];
  };
  return { load, ready: (l) => layers[l], kept: (l) => Boolean(page.layers[l].planes) };
}

export function start(page) {
  const first = page.prefix.length;
  const tokens = first + page.grid[0] * page.grid[1];
  const MEAN = tokens; // stands for the mean of all patches
  const place2 = { picture: page.picture, grid: page.grid, first };
  const store = makeStore(page, tokens);
  const last = page.layers.findLastIndex((_, l) => store.kept(l));
  const speaker = page.target === 'mean' ? MEAN : page.target;
  const whole = page.layers.every((_, l) => store.kept(l));
  const rollouts = new Map([[speaker, Float32Array.from(page.rollout)]]);
  const state = {
    token: speaker, layer: last, head: -1, view: 'row', shared: false, log: false,
    preview: null, pointed: null, named: 0, language: navigator.language?.startsWith('ko') ? 'ko' : 'en', theme: 'auto',
  };
  const say = (key, facts) => fill(state.language, key, facts);
  const name = (token) => {
    if (token === MEAN) return say('meanToken');
    if (token < first) return page.prefix[token];
    const at = token - first;
    return say('patch', { row: Math.floor(at / page.grid[1]) + 1, column: (at % page.grid[1]) + 1 });
  };
  let shown = null; // the weights on the large map
  const img = get('picture').querySelector('img');

  const stage = makeStage(get('picture'), place2, { hover: (t) => preview(t), pick: (t) => pick(t) });
  const mapStage = makeStage(get('map'), place2, { hover: (t) => point(t), pick: (t) => point(t) });
  const maps = makeMaps(get('maps'), { page, first, load: store.load, say, choose: (l, head) => choose(l, head) });

  // what is chosen

  function pick(token) {
    Object.assign(state, { token, preview: null, pointed: null });
    refresh();
    get('live').textContent = `${say('chosen', { token: name(token) })} ${shown ? get('readout').textContent : ''}`;
  }
  function preview(token) {
    if (token === state.preview) return;
    state.preview = token;
    refreshMap();
  }
  function point(token) {
    if (token === state.pointed) return;
    state.pointed = token;
    mark();
    readout();
    how();
  }
  function choose(layer, head) {
    Object.assign(state, { layer, head });
    if (head >= 0) state.named = head;
    if (state.view === 'rollout') state.view = 'row';
    controls();
    refresh(false);
  }

  // the large map

  const current = () => state.preview ?? state.token;
  function weightsOf(layer, token) {
    const look = state.view === 'column' && token !== MEAN ? column : row;
    if (state.head >= 0) return look(layer, Math.min(state.head, layer.heads - 1), token);
    return mean(Array.from({ length: layer.heads }, (_, head) => look(layer, head, token)));
  }

  async function refreshMap() {
    const token = current();
    const { layer, view } = state;
    mark();
    get('chosen').textContent = say(state.preview === null ? 'chosen' : 'peek', { token: name(token) });
    if (view === 'rollout') return showRollout(token);
    if (!store.kept(layer)) return showMap(null, say('notKept', { layer: layer + 1 }));
    const data = store.ready(layer) ?? (await store.load(layer));
    if (token !== current() || layer !== state.layer || view !== state.view) return; // chosen anew meanwhile
    showMap(weightsOf(data, token));
  }

  async function showRollout(token) {
    if (rollouts.has(token)) return showMap(rollouts.get(token));
    const limit = whole ? 'rolloutOnly' : 'rolloutFew';
    const possible = whole && token !== MEAN && rolloutCost(page.layers, tokens) <= MOST_WORK;
    if (!possible) return showMap(null, say(limit, { token: name(speaker) }));
    if (state.preview !== null) return; // only for a token that is kept: it takes a second
    showMap(null, say('computing', { percent: 0 }));
    const layers = await Promise.all(page.layers.map((_, l) => store.load(l)));
    const work = rollout(layers, token);
    for (let at = work.next(); ; at = work.next()) {
      if (at.done) rollouts.set(token, at.value);
      if (at.done) break;
      const until = performance.now() + 10;
      while (!at.done && performance.now() < until) at = work.next();
      if (at.done) { rollouts.set(token, at.value); break; }
      await new Promise((done) => setTimeout(done));
      if (token !== state.token || state.view !== 'rollout') return;
    }
    if (token === current() && state.view === 'rollout') showMap(rollouts.get(token));
  }

  const peak = (weights) => weights.reduce((most, w, j) => (j >= first && w > most ? w : most), 0);
  const scaleEnd = () => (state.shared && state.view !== 'rollout' && maps.common()) || peak(shown);

  function showMap(weights, trouble = '') {
    shown = weights;
    const canvas = get('map').querySelector('canvas');
    canvas.hidden = !weights;
    if (weights) paint(canvas, weights, first, page.grid, scaleEnd(), state.log);
    legend();
    readout(trouble);
    outside();
    how();
    get('map').setAttribute('aria-label', `${get('map-name').textContent}. ${get('readout').textContent}`);
  }

  function legend() {
    const context = get('legend').getContext('2d');
    COLOURS.forEach(([r, g, b], i) => {
      context.fillStyle = `rgb(${r} ${g} ${b})`;
      context.fillRect(i, 0, 1, 1);
    });
    get('ticks').replaceChildren();
    if (!shown) return;
    const end = scaleEnd();
    const ticks = [0, 0.5, 1].map((t) => [t, percent(weightAt(t, end, state.log))]);
    if (state.log) ticks[0][1] = `≤ ${ticks[0][1]}`;
    if (peak(shown) > end * 1.001) ticks[2][1] = `≥ ${ticks[2][1]}`;
    ticks.push([place(1 / tokens, end, state.log), say('even'), 'even']);
    for (const [t, text, kind] of ticks) {
      const node = document.createElement('span');
      node.textContent = text;
      node.className = kind ?? '';
      node.style.left = `${100 * t}%`;
      node.style.transform = `translateX(${-100 * t}%)`;
      get('ticks').append(node);
    }
  }

  function readout(trouble = '') {
    if (!shown) return (get('readout').textContent = trouble);
    const told = (key, token) => say(key, {
      token: name(token), share: percent(shown[token]), times: `${figure(shown[token] * tokens, 2)}×`,
    });
    const most = top(shown, 1)[0];
    get('readout').textContent = state.pointed !== null ? told('readout', state.pointed) : told('highest', most);
    return undefined;
  }

  /** Weights on tokens that have no place in the picture. */
  function outside() {
    const chips = shown ? page.prefix.map((label, t) => {
      const chip = document.createElement('span');
      const [r, g, b] = COLOURS[Math.round(255 * place(shown[t], scaleEnd(), state.log))];
      const swatch = document.createElement('i');
      swatch.style.background = `rgb(${r} ${g} ${b})`;
      chip.className = 'chip';
      chip.append(swatch, say('outside', { name: label, share: percent(shown[t]) }));
      return chip;
    }) : [];
    get('outside').replaceChildren(...chips);
  }

  function mark() {
    stage.mark(state.token, state.preview);
    mapStage.mark(current(), state.pointed);
  }

  // the numbers

  const head = () => Math.min(state.head >= 0 ? state.head : state.named, page.layers[state.layer].heads - 1);

  function tokenCell(token) {
    const cell = document.createElement('td');
    cell.className = 'token';
    if (token >= first) cell.append(thumbnail(img, token, place2));
    const label = document.createElement('span');
    label.textContent = name(token);
    cell.append(label);
    return cell;
  }

  function how() {
    const data = store.ready(state.layer);
    const token = current();
    const where = { target: name(token), layer: state.layer + 1, head: head() + 1 };
    const nodes = { numbers: get('numbers'), sentences: get('sentences'), vectors: get('vectors') };
    get('how-where').textContent = say('howWhere', where);
    if (!data || token === MEAN) {
      Object.values(nodes).forEach((node) => node.replaceChildren());
      if (token === MEAN) get('how-where').textContent = say('howSpoken');
      return;
    }
    if (state.head < 0) get('how-where').textContent += ` ${say('howMean', where)}`;
    const view = state.view === 'column' ? 'column' : 'row';
    const weights = (view === 'column' ? column : row)(data, head(), token);
    explain(nodes, data, { token, head: head(), view, weights, pointed: state.pointed, name }, tokenCell, say);
  }

  function charts() {
    const [rows, columns] = page.grid;
    const most = Math.log(tokens);
    const even = evenDistance(rows, columns);
    const draw = (id, values, reference, end, digits, more) => strips(get(id), page.layers.map((l) => l[values]), {
      chosen: { layer: state.layer, head: state.head }, reference, end, choose,
      words: {
        title: say(id), unit: say(`${id}Unit`), help: say(`${id}Help`, { tokens, most: most.toFixed(2) }),
        reference: say(`${id}Even`, { tokens }), layer: say('layer'), meanLine: say('meanLine'), ...more,
        name: (l, h, v) => say('dotName', { layer: l + 1, head: h + 1, value: v.toFixed(digits) }),
      },
    });
    const far = Math.max(even, ...page.layers.flatMap((l) => l.distance)) * 1.1;
    draw('distance', 'distance', even, far, 1, { high: say('long'), low: say('short') });
    draw('entropy', 'entropy', most, most * 1.08, 2, { high: '', low: say('oneToken') });
  }

  // everything

  function refresh(fresh = true) {
    refreshMap();
    chips();
    charts();
    maps.select(state.layer, state.head);
    remember();
    if (!fresh) return;
    const token = state.token;
    const view = state.view === 'column' && token !== MEAN ? 'column' : 'row';
    maps.show({ ...state, token, view }, (part) => {
      get('progress').textContent = part < 1 ? say('computing', { percent: Math.round(100 * part) }) : '';
      if (part === 1 && state.shared) refreshMap();
    }).catch(fail);
  }

  function chips() {
    const list = [...page.prefix.keys(), ...(speaker === MEAN ? [MEAN] : [])];
    const held = document.activeElement?.dataset?.token;
    get('chips').replaceChildren(...list.map((token) => {
      const chip = document.createElement('button');
      chip.type = 'button';
      chip.className = 'chip';
      chip.textContent = name(token);
      chip.dataset.token = token;
      chip.setAttribute('aria-pressed', String(token === state.token));
      chip.addEventListener('click', () => pick(token));
      chip.addEventListener('pointerenter', (event) => event.pointerType === 'mouse' && preview(token));
      chip.addEventListener('pointerleave', () => preview(null));
      return chip;
    }));
    get('chips').querySelector(`[data-token="${held}"]`)?.focus();
  }

  /** A row of buttons of which one is on. */
  function segmented(id, options, on, set) {
    const box = get(id);
    const held = box.contains(document.activeElement);
    box.setAttribute('aria-label', say(box.dataset.label));
    box.replaceChildren(...options.map(([key, text]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.setAttribute('role', 'radio');
      button.setAttribute('aria-checked', String(key === on));
      button.tabIndex = key === on ? 0 : -1;
      button.textContent = text;
      button.addEventListener('click', () => set(key));
      return button;
    }));
    box.onkeydown = (event) => {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!move) return;
      event.preventDefault();
      const at = options.findIndex(([key]) => key === on);
      set(options[(at + move + options.length) % options.length][0]);
    };
    if (held) box.querySelector('[aria-checked=true]').focus();
  }

  function controls() {
    const layers = page.layers.length;
    const set = (key, fresh) => (x) => { state[key] = x; controls(); refresh(fresh); };
    get('layer').max = layers;
    get('layer').value = state.layer + 1;
    get('layer-name').textContent = say('layerName', { layer: state.layer + 1, count: layers });
    const options = [-1, ...Array(page.layers[state.layer].heads).keys()];
    get('head').replaceChildren(...options.map((h) => new Option(h < 0 ? say('mean') : h + 1, h, false, h === state.head)));
    segmented('view', ['row', 'column', 'rollout'].map((v) => [v, say(v)]), state.view, set('view'));
    const capital = { row: 'Row', column: 'Column', rollout: 'Rollout' }[state.view];
    get('map-name').textContent = say(`look${capital}`);
    get('view-help').textContent = say(`help${capital}`);
    const redraw = (key) => (x) => { state[key] = x; controls(); maps.redraw(state.shared, state.log); refreshMap(); };
    segmented('steps', [[false, say('linear')], [true, say('log')]], state.log, redraw('log'));
    const end = percent(maps.common());
    segmented('compare', [[false, say('each')], [true, say('shared', { end })]], state.shared, redraw('shared'));
    segmented('language', [['en', 'EN'], ['ko', 'KO']], state.language, (x) => { state.language = x; words(); });
    segmented('theme', ['auto', 'light', 'dark'].map((t) => [t, say(t)]), state.theme, (x) => {
      state.theme = x;
      document.documentElement.dataset.theme = x;
      controls();
    });
  }

  /** All texts, in the chosen language. */
  function words() {
    document.documentElement.lang = state.language;
    const facts = { rows: page.grid[0], columns: page.grid[1] };
    document.querySelectorAll('[data-say]').forEach((node) => (node.textContent = say(node.dataset.say, facts)));
    document.querySelectorAll('[data-label]').forEach((node) => node.setAttribute('aria-label', say(node.dataset.label)));
    const special = speaker === MEAN ? 'whatMean' : 'whatCls';
    get('what3').textContent = speaker < first || speaker === MEAN ? say(special, { name: name(speaker) }) : '';
    get('title').textContent = page.title;
    get('facts').textContent = Object.entries(page.model).map(([key, x]) => (key === 'name' ? x : `${key} ${x}`)).join(' · ');
    predictions();
    exactness();
    maps.build();
    controls();
    refresh();
  }

  function predictions() {
    if (!page.predictions.length) return (get('predictions').textContent = say('noPredictions'));
    const most = Math.max(...page.predictions.map(([, p]) => p));
    get('predictions').replaceChildren(...page.predictions.slice(0, 5).map(([label, p]) => {
      const line = document.createElement('div');
      line.className = 'prediction';
      const bar = document.createElement('i');
      bar.style.width = `${(100 * p) / Math.max(most, 1e-9)}%`;
      const texts = [label, percent(Number(p.toPrecision(3)))].map((text) => Object.assign(document.createElement('span'), { textContent: text }));
      line.append(bar, ...texts);
      return line;
    }));
    return undefined;
  }

  function exactness() {
    const { bits, typical, largest, values, width } = page.precision;
    const kept = page.layers.map((_, l) => l + 1).filter((l) => store.kept(l - 1));
    const count = page.layers.length;
    const lines = [
      say('exactPacked', { bits: figure(bits, 2), typical: percent(typical), largest: percent(largest) }),
      say(whole ? 'exactAll' : 'exactFew', { count, kept: kept.length, names: kept.join(', ') }),
      width ? say('exactValues', { values: Math.min(values, width), width }) : say('noValues'),
      ...page.notes,
    ];
    get('exact').replaceChildren(...lines.map((text) => Object.assign(document.createElement('p'), { textContent: text })));
  }

  // the address keeps what is chosen, so that a view can be passed on

  function remember() {
    const { token, layer, head: h, view } = state;
    const address = new URLSearchParams({ token, layer: layer + 1, head: h + 1, view, language: state.language });
    try { history.replaceState(null, '', `#${address}`); } catch { /* a viewer inside a frame may forbid it */ }
  }
  function recall() {
    const from = new URLSearchParams(location.hash.slice(1));
    const whole2 = (key, low, high) => {
      const x = from.has(key) ? Number(from.get(key)) : NaN;
      return Number.isInteger(x) && x >= low && x <= high ? x : null;
    };
    state.token = whole2('token', 0, speaker === MEAN ? MEAN : tokens - 1) ?? state.token;
    state.layer = (whole2('layer', 1, page.layers.length) ?? state.layer + 1) - 1;
    state.head = (whole2('head', 0, page.layers[state.layer].heads) ?? state.head + 1) - 1;
    if (state.head >= 0) state.named = state.head;
    if (['row', 'column', 'rollout'].includes(from.get('view'))) state.view = from.get('view');
    if (['en', 'ko'].includes(from.get('language'))) state.language = from.get('language');
  }

  get('picture').addEventListener('keydown', (event) => {
    const token = step(event.key, state.token, place2);
    if (token === null) return;
    event.preventDefault();
    pick(token);
  });
  get('layer').addEventListener('input', (event) => choose(Number(event.target.value) - 1, Math.min(state.head, page.layers[event.target.value - 1].heads - 1)));
  get('head').addEventListener('change', (event) => choose(state.layer, Number(event.target.value)));
  get('opacity').addEventListener('input', (event) => (get('map').querySelector('canvas').style.opacity = event.target.value / 100));
  get('map').querySelector('canvas').style.opacity = 0.8;
  img.addEventListener('load', how);
  recall();
  get('look').hidden = false;
  words();
}

/** Mean distance in patches between two patches of a grid chosen at random: what even attention would show. */
export function evenDistance(rows, columns) {
  let sum = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      sum += Math.hypot(x, y) * (y ? 2 * (rows - y) : rows) * (x ? 2 * (columns - x) : columns);
    }
  }
  return sum / (rows * columns) ** 2;
}

/** Say on the page what went wrong, rather than only in the console. */
function fail(error) {
  const language = document.documentElement.lang === 'ko' ? 'ko' : 'en';
  get('trouble').hidden = false;
  get('trouble').textContent = fill(language, 'failed', { error: error?.message ?? error });
}

if (typeof document !== 'undefined' && get('content')) {
  addEventListener('error', (event) => fail(event.error ?? event.message));
  addEventListener('unhandledrejection', (event) => fail(event.reason));
  if (typeof DecompressionStream === 'undefined') {
    get('trouble').hidden = false;
    get('trouble').textContent = `${fill('en', 'noDecompression')} ${fill('ko', 'noDecompression')}`;
  } else start(JSON.parse(get('content').textContent));
}
