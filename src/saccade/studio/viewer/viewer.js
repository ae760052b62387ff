// The page: what is chosen, and what is redrawn when something else is.
import { top } from './attend.js';
import { strips } from './charts.js';
import { COLOURS, css, paint, place, weightAt } from './colour.js';
import { get, h, segmented } from './dom.js';
import { explain } from './how.js';
import { Look } from './look.js';
import { Maps } from './maps.js';
import { makePicture, thumbnail } from './picture.js';
import { figure, fill, percent } from './words.js';

const VIEWS = ['row', 'column', 'rollout'];

export class Viewer {
  constructor(page, packed) {
    this.page = page;
    this.look = new Look(page, packed);
    this.canvas = get('map').querySelector('canvas');
    this.shown = null; // the weights on the large map
    this.pointed = null; // the token under the pointer on the large map
    this.peeked = null; // the token under the pointer on the picture
    this.state = {
      token: this.look.speaker, layer: page.layers.findLastIndex((_, l) => this.look.kept(l)), head: -1, named: 0,
      view: page.target === 'mean' ? 'rollout' : 'row', shared: false, log: false, theme: 'auto',
      language: navigator.language?.startsWith('ko') ? 'ko' : 'en',
    };
    this.recall();
    const peek = (token) => this.peek(token);
    const point = (token) => this.point(token);
    const pick = (token) => this.pick(token);
    this.mark = makePicture(get('picture'), this.look, { hover: peek, pick, go: pick, from: () => this.state.token });
    this.markMap = makePicture(get('map'), this.look, { hover: point, pick: point, go: point, from: () => this.pointed });
    this.maps = new Maps(get('maps'), this.look, (layer, head) => this.choose(layer, head));
    this.listen();
    get('look').hidden = false;
    this.write();
  }

  listen() {
    const heads = (l) => this.page.layers[l].heads;
    get('layer').oninput = ({ target }) => this.choose(target.value - 1, Math.min(this.state.head, heads(target.value - 1) - 1));
    get('head').onchange = ({ target }) => this.choose(this.state.layer, Number(target.value));
    get('opacity').oninput = () => this.blend();
    get('picture').querySelector('img').onload = () => this.how(); // its thumbnails
    this.blend();
  }

  say(key, facts) {
    return fill(this.state.language, key, facts);
  }

  name(token) {
    if (token === this.look.mean) return this.say('meanToken');
    if (token < this.look.first) return this.page.prefix[token];
    const [at, columns] = [token - this.look.first, this.page.grid[1]];
    return this.say('patch', { row: Math.floor(at / columns) + 1, column: (at % columns) + 1 });
  }

  get token() {
    return this.peeked ?? this.state.token;
  }

  // what a person does

  pick(token) {
    Object.assign(this, { peeked: null, pointed: null });
    this.state.token = token;
    this.refresh();
    get('live').textContent = `${get('chosen').textContent}. ${get('readout').textContent}`;
  }

  peek(token) {
    if (token === this.peeked) return;
    this.peeked = token;
    this.showMap();
  }

  point(token) {
    if (token === this.pointed) return;
    this.pointed = token;
    this.markMap(this.token, token);
    this.readout();
    this.how();
  }

  choose(layer, head) {
    Object.assign(this.state, { layer, head, view: this.state.view === 'rollout' ? 'row' : this.state.view });
    if (head >= 0) this.state.named = head;
    this.controls();
    this.charts();
    this.refresh();
  }

  set(key, value) {
    this.state[key] = value;
    if (key === 'language') return this.write();
    if (key === 'theme') document.documentElement.dataset.theme = value;
    this.controls();
    if (key === 'view') this.refresh();
    if (key === 'log' || key === 'shared') {
      this.maps.redraw(this.state);
      this.showMap();
    }
    return undefined;
  }

  /** Redraw what depends on the token, layer, head or view. */
  refresh() {
    const { token, layer, head, view, shared, log } = this.state;
    this.showMap();
    this.chips();
    this.maps.select(layer, head);
    this.remember();
    const kind = view === 'column' && token !== this.look.mean ? 'column' : 'row';
    const filled = `${token} ${kind}`;
    if (filled === this.filled) return;
    this.filled = filled;
    this.maps.show({ token, layer, view: kind, shared, log }, (part) => {
      get('progress').textContent = part < 1 ? this.say('computing', { percent: Math.round(100 * part) }) : '';
      if (part === 1) this.controls();
      if (part === 1 && shared) this.showMap();
    }).catch(fail);
  }

  // the large map

  async showMap() {
    const { token } = this;
    const { layer, head, view } = this.state;
    const still = () => token === this.token && layer === this.state.layer && head === this.state.head && view === this.state.view;
    this.mark(this.state.token, this.peeked);
    this.markMap(token, this.pointed);
    get('chosen').textContent = this.say(this.peeked === null ? 'chosen' : 'peek', { token: this.name(token) });
    if (view === 'rollout') return this.showRollout(token, still);
    if (!this.look.kept(layer)) return this.draw(null, this.say('notKept', { layer: layer + 1 }));
    if (!this.look.layers[layer]) await this.look.load(layer);
    return still() ? this.draw(this.look.weights(layer, head, token, token === this.look.mean ? 'row' : view)) : undefined;
  }

  async showRollout(token, still) {
    const known = this.look.rollouts.get(token);
    if (known) return this.draw(known);
    if (!this.look.canRollOut(token)) {
      return this.draw(null, this.say(this.look.whole ? 'rolloutOnly' : 'rolloutFew', { token: this.name(this.look.speaker) }));
    }
    this.draw(null, this.say('computing', { percent: '' }));
    const weights = this.peeked === null && (await this.look.rollout(token, still));
    return weights && still() ? this.draw(weights) : undefined;
  }

  draw(weights, trouble = '') {
    this.shown = weights;
    this.canvas.hidden = !weights;
    this.end = weights && ((this.state.shared && this.state.view !== 'rollout' && this.maps.common()) || this.look.peak(weights, this.token));
    if (weights) paint(this.canvas, weights, this.look.first, this.page.grid, this.end, this.state.log);
    this.legend();
    this.readout(trouble);
    this.outside();
    this.how();
  }

  /** The map lies over the picture, and so does its colour scale over grey, so that both show the same colours. */
  blend() {
    const opacity = get('opacity').value / 100;
    this.canvas.style.opacity = opacity;
    get('legend').style.opacity = opacity;
  }

  legend() {
    const context = get('legend').getContext('2d');
    COLOURS.forEach((colour, i) => {
      context.fillStyle = `rgb(${colour.join(' ')})`;
      context.fillRect(i, 0, 1, 1);
    });
    const { end, state: { log } } = this;
    const below = log ? '≤ ' : '';
    const above = this.shown && this.look.peak(this.shown, null) > end * 1.001 ? '≥ ' : '';
    const tick = (t, text, kind = '') => {
      const node = h('span', { className: kind }, text);
      node.style.left = `${100 * t}%`;
      node.style.transform = `translateX(${-100 * t}%)`;
      return node;
    };
    const ticks = [0, 0.5, 1].map((t) => tick(t, (t ? '' : below) + (t === 1 ? above : '') + percent(weightAt(t, end, log))));
    const even = tick(place(1 / this.look.tokens, end, log), this.say('even', { even: percent(1 / this.look.tokens) }), 'even');
    get('ticks').replaceChildren(...(this.shown ? [...ticks, even] : []));
  }

  readout(trouble = '') {
    const told = (key, token) => this.say(key, {
      token: this.name(token), share: percent(this.shown[token]), times: figure(this.shown[token] * this.look.tokens, 2),
    });
    const text = !this.shown ? trouble : this.pointed === null ? told('highest', top(this.shown, 1)[0]) : told('readout', this.pointed);
    get('readout').textContent = text;
    get('map').setAttribute('aria-label', `${get('map-name').textContent}. ${text} ${this.say('mapHelp')}`);
  }

  /** Weights on the tokens that have no place in the picture. */
  outside() {
    get('outside').replaceChildren(...(this.shown ? this.page.prefix : []).map((label, token) => {
      const swatch = h('i');
      swatch.style.background = css(this.shown[token], this.end, this.state.log);
      return h('span', { className: 'chip' }, swatch, `${label} ${percent(this.shown[token])}`);
    }));
  }

  // the numbers

  how() {
    const { token, look: { layers } } = this;
    const { layer, head: chosen, named, view } = this.state;
    const nodes = { numbers: get('numbers'), sentences: get('sentences'), vectors: get('vectors') };
    const head = Math.min(chosen < 0 ? named : chosen, this.page.layers[layer].heads - 1);
    const where = this.say('howWhere', { target: this.name(token), layer: layer + 1, head: head + 1 });
    const why = view === 'rollout' ? this.say('howRollout') : chosen < 0 ? this.say('howMean', { head: head + 1 }) : '';
    if (!layers[layer] || token === this.look.mean) {
      Object.values(nodes).forEach((node) => node.replaceChildren());
      get('how-where').textContent = token === this.look.mean ? this.say('howSpoken') : '';
      return;
    }
    get('how-where').textContent = `${where} ${why}`;
    const kind = view === 'column' ? 'column' : 'row';
    const weights = this.look.weights(layer, head, token, kind);
    const words = { draw: (t) => this.tokenCell(t), name: (t) => this.name(t), say: (key, facts) => this.say(key, facts) };
    explain(nodes, layers[layer], { token, head, view: kind, weights, pointed: this.pointed }, words);
  }

  tokenCell(token) {
    const cell = h('td', { className: 'token' }, h('span', {}, this.name(token)));
    if (token >= this.look.first) cell.prepend(thumbnail(get('picture').querySelector('img'), token, this.look));
    return cell;
  }

  charts() {
    const { layers, grid: [rows, columns] } = this.page;
    const { layer, head } = this.state;
    const [most, even] = [Math.log(this.look.tokens), evenDistance(rows, columns)];
    const facts = { tokens: this.look.tokens, most: most.toFixed(2) };
    const far = 1.1 * Math.max(even, ...layers.flatMap((info) => info.distance));
    const draw = (id, reference, end, digits) => strips(get(id), layers.map((info) => info[id]), {
      chosen: { layer, head }, reference, end, choose: (l, one) => this.choose(l, one),
      words: {
        ...Object.fromEntries(['Title', 'Help', 'High', 'Low', 'Even'].map((x) => [x.toLowerCase(), this.say(id + x, facts)])),
        reference: this.say(`${id}Even`, facts), layer: this.say('layer'), key: this.say('chartKey'),
        name: (l, one, v) => this.say('dotName', { layer: l + 1, head: one + 1, value: v.toFixed(digits) }),
      },
    });
    draw('distance', even, far, 1);
    draw('entropy', most, 1.1 * most, 2);
  }

  // words and controls

  /** All texts, in the chosen language. */
  write() {
    const { page, look } = this;
    document.documentElement.lang = this.state.language;
    const facts = { rows: page.grid[0], columns: page.grid[1] };
    document.querySelectorAll('[data-say]').forEach((node) => (node.textContent = this.say(node.dataset.say, facts)));
    document.querySelectorAll('[data-label]').forEach((node) => node.setAttribute('aria-label', this.say(node.dataset.label)));
    const special = look.speaker === look.mean ? 'whatMean' : look.speaker < look.first ? 'whatCls' : '';
    get('what3').textContent = special && this.say(special, { name: this.name(look.speaker) });
    get('title').textContent = page.title;
    const told = Object.entries(page.model).filter(([key]) => key !== 'tokens').map(([key, x]) => (key === 'name' ? x : `${this.say(`fact ${key}`)} ${x}`));
    get('facts').textContent = [...told, this.say('tokens', { ...facts, tokens: look.tokens })].join(' · ');
    get('predictions').replaceChildren(...this.predictions());
    get('exact').replaceChildren(...this.exactness().map((text) => h('p', {}, text)));
    this.maps.build((key, more) => this.say(key, more));
    this.filled = '';
    this.controls();
    this.charts();
    this.refresh();
  }

  controls() {
    const { layer, head, view, shared, log, language, theme } = this.state;
    const { layers } = this.page;
    const on = (id, options, chosen) => segmented(get(id), this.say(get(id).dataset.label), options, chosen, (x) => this.set(id, x));
    Object.assign(get('layer'), { max: layers.length, value: layer + 1 });
    get('layer-name').textContent = this.say('layerName', { layer: layer + 1, count: layers.length });
    get('head').replaceChildren(...[-1, ...Array(layers[layer].heads).keys()].map(
      (one) => new Option(one < 0 ? this.say('mean') : one + 1, one, false, one === head),
    ));
    on('view', VIEWS.map((key) => [key, this.say(key)]), view);
    on('log', [[false, this.say('linear')], [true, this.say('log')]], log);
    const end = percent(Number(this.maps.common().toPrecision(2)));
    on('shared', [[false, this.say('each')], [true, this.say('shared', { end })]], shared);
    on('language', [['en', 'EN'], ['ko', 'KO']], language);
    on('theme', ['auto', 'light', 'dark'].map((key) => [key, this.say(key)]), theme);
    get('map-name').textContent = this.say(`${view}Name`);
    get('view-help').textContent = this.say(`${view}Help`);
  }

  chips() {
    const held = document.activeElement?.dataset?.token;
    const tokens = [...this.page.prefix.keys(), ...(this.look.speaker === this.look.mean ? [this.look.mean] : [])];
    get('chips').replaceChildren(...tokens.map((token) => {
      const chip = h('button', { type: 'button', className: 'chip', onclick: () => this.pick(token) }, this.name(token));
      chip.dataset.token = token;
      chip.setAttribute('aria-pressed', String(token === this.state.token));
      chip.onpointerenter = (event) => event.pointerType === 'mouse' && this.peek(token);
      chip.onpointerleave = () => this.peek(null);
      return chip;
    }));
    if (held) get('chips').querySelector(`[data-token="${held}"]`)?.focus();
  }

  predictions() {
    const list = this.page.predictions.slice(0, 5);
    if (!list.length) return [this.say('noPredictions')];
    return list.map(([label, p]) => {
      const bar = h('i');
      bar.style.width = `${100 * p}%`;
      return h('div', { className: 'prediction' }, bar, h('span', {}, label), h('span', {}, percent(p)));
    });
  }

  exactness() {
    const { precision: { bits, typical, largest, values, width }, layers, notes } = this.page;
    const kept = [...layers.keys()].filter((l) => this.look.kept(l)).map((l) => l + 1);
    return [
      this.say('exactPacked', { bits: figure(bits, 2), typical: percent(typical), largest: percent(largest) }),
      this.say(this.look.whole ? 'exactAll' : 'exactFew', { count: layers.length, kept: kept.length, names: kept.join(', ') }),
      width ? this.say('exactValues', { values, width }) : this.say('noValues'),
      ...notes,
    ];
  }

  // the address keeps what is chosen, so that a view can be passed on

  remember() {
    const { token, layer, head, view, language } = this.state;
    const address = new URLSearchParams({ token, layer: layer + 1, head: head + 1, view, language });
    try { history.replaceState(null, '', `#${address}`); } catch { /* a frame may forbid it */ }
  }

  recall() {
    const from = new URLSearchParams(location.hash.slice(1));
    const read = (key, low, high, otherwise) => {
      const x = from.has(key) ? Number(from.get(key)) : NaN;
      return Number.isInteger(x) && x >= low && x <= high ? x : otherwise;
    };
    const { state, look, page } = this;
    state.token = read('token', 0, look.tokens - (look.speaker === look.mean ? 0 : 1), state.token);
    state.layer = read('layer', 1, page.layers.length, state.layer + 1) - 1;
    state.head = read('head', 0, page.layers[state.layer].heads, state.head + 1) - 1;
    state.named = Math.max(state.head, 0);
    if (VIEWS.includes(from.get('view'))) state.view = from.get('view');
    if (['en', 'ko'].includes(from.get('language'))) state.language = from.get('language');
  }
}

/** Mean distance in patches between two patches taken at random: what even attention would show. */
export function evenDistance(rows, columns) {
  let sum = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) sum += Math.hypot(x, y) * (y ? 2 : 1) * (rows - y) * (x ? 2 : 1) * (columns - x);
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
  } else {
    new Viewer(JSON.parse(get('content').textContent), (l) => {
      const text = get(`layer-${l}`).textContent;
      get(`layer-${l}`).remove(); // 30 MB of text need not stay
      return text;
    });
  }
}
