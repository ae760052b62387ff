// The page: the selection, and what is redrawn when it changes.
import { addressOf, follow, framed, OPACITY, recall, remember } from './address.js';
import { showChips } from './chips.js';
import { get, h, segmented } from './dom.js';
import { Extras } from './extras.js';
import { showCharts, showFacts } from './facts.js';
import { explain } from './how.js';
import { LargeMap } from './large.js';
import { Look } from './look.js';
import { Maps } from './maps.js';
import { makePicture, thumbnail } from './picture.js';
import { Save } from './save.js';
import { showTargetCharts } from './scene.js';
import { SCENES } from './scenes.js';
import { fill, firstLanguage, percent, translator } from './texts.js';
import { fail, report } from './trouble.js';

export class Viewer {
  /** page: the content that Python wrote; packed(name): bytes of a layer in base64. */
  constructor(page, packed) {
    this.page = page;
    this.looks = {}; // "self": patches that attend to patches; "cross": objects, classes or words with maps over patches
    this.translate = translator(page);
    const { targets } = page;
    const Scene = SCENES[targets?.kind];
    this.Scene = Scene;
    if (Scene && targets.layers.length && targets.names.length) this.looks.cross = new Scene.Look(page, (name) => packed(`targets-${name}`));
    if (page.layers.length) this.looks.self = new Look(page, (l) => packed(`layer-${l}`));
    this.peeked = null; // the token under the pointer on the picture
    this.pointed = null; // the one under the pointer on the large map
    this.chosen = Object.fromEntries(Object.entries(this.looks).map(([mode, look]) => [mode, {
      token: look.speaker, layer: look.start ?? look.infos.findLastIndex((_, l) => look.kept(l)), head: -1, named: 0,
      view: mode === 'self' && page.target === 'mean' ? 'rollout' : look.views[0],
    }]));
    if (Scene?.start && this.looks.self) Object.assign(this.chosen.self, Scene.start(this.looks.self));
    this.options = this.looks.cross ? Scene.options(page) : {};
    this.state = {
      mode: Scene?.second && this.looks.self ? 'self' : Object.keys(this.looks)[0], ...this.options,
      shared: false, log: false, opacity: OPACITY, cls: 0, theme: 'auto', language: firstLanguage(),
    };
    recall(this.state, this.looks, this.chosen);
    const pick = (token) => this.pick(token);
    const hover = (token) => this.peek(token);
    this.mark = this.looks.self && makePicture(get('picture'), () => this.looks.self, { hover, pick, go: pick, from: () => this.state.token });
    this.scene = this.looks.cross && new Scene(this, this.looks.cross);
    const choose = (layer, head) => this.choose(layer, head);
    this.grids = Object.fromEntries(Object.entries(this.looks).map(([mode, look]) => [mode, new Maps(get('maps'), look, choose)]));
    this.extras = new Extras(this, packed);
    this.save = new Save(this);
    this.large = new LargeMap(this, (token) => this.point(token));
    this.listen();
    get('look').hidden = false;
    document.querySelector('.lead details').open = !framed;
    follow(this.looks, (address) => this.go(address));
    this.write();
  }

  listen() {
    const fit = (l, head) => Math.min(head, this.look.infos[l].heads - 1);
    const column = (l) => this.look.columnOf?.(this.state.token) ?? fit(l, this.state.head);
    get('layer').oninput = ({ target }) => this.choose(target.value - 1, column(target.value - 1), this.extras.layered(this.state.view));
    get('head').onchange = ({ target }) => this.choose(this.state.layer, Number(target.value));
    get('picture').querySelector('img').onload = () => this.how(); // its thumbnails
  }

  say = (key, facts) => fill(this.state.language, key, facts, this.Scene?.texts);

  name = (token) => this.look.name(token, this.say);

  get look() {
    return this.looks[this.state.mode];
  }

  get maps() {
    return this.grids[this.state.mode];
  }

  get token() {
    return this.peeked ?? this.state.token;
  }

  /** Of which side of the maps the weights are; rollout has none, the small maps and numbers beside it show rows. */
  get kind() {
    if (!this.look.views.includes('row')) return this.state.view; // sign of an attribution
    return this.state.view === 'column' && this.token !== this.look.mean ? 'column' : 'row';
  }

  // interaction

  pick(token) {
    Object.assign(this, { peeked: null, pointed: null });
    this.state.token = token;
    this.extras.follow(token);
    this.refresh();
    const classes = this.state.mode === 'self' ? this.scene?.patchText?.() : '';
    get('live').textContent = [get('chosen'), get('readout')].map((node) => `${node.textContent}. `).join('') + (classes ?? '');
  }

  peek(token) {
    if (token === this.peeked) return;
    this.peeked = token;
    this.showMap();
  }

  point(token) {
    if (token === this.pointed) return;
    this.pointed = token;
    this.large.mark(this.token, token);
    if (this.state.mode === 'cross') this.scene.point?.(token);
    this.large.readout();
    this.how();
  }

  /** stay: in a view that is not of attention, which shows one layer too. */
  choose(layer, head, stay = false) {
    const other = this.state.view === 'rollout' || this.extras.has(this.state.view);
    const rows = { layer, head, view: other && !stay ? 'row' : this.state.view };
    Object.assign(this.state, this.look.cell?.(layer, head) ?? rows);
    if (this.state.head >= 0) this.state.named = head;
    this.controls();
    this.charts();
    this.refresh();
  }

  set(key, value) {
    if (key === 'mode') return this.turn(value);
    this.state[key] = value;
    if (key === 'language') return this.write();
    if (key in this.options) this.showMap();
    if (key === 'theme') document.documentElement.dataset.theme = value;
    this.controls();
    if (key === 'view' || key === 'cls') this.refresh();
    if (key === 'log' || key === 'shared') {
      this.maps.redraw(this.state);
      this.showMap();
    }
    return undefined;
  }

  /** From patches to targets, or back; the selection of each is kept. */
  turn(mode) {
    this.go(new URLSearchParams({ mode }));
  }

  /** Select what an address says, as far as it fits; the rest stays. */
  go(address) {
    this.maps.stop();
    const { token, layer, head, named, view } = this.state;
    this.chosen[this.state.mode] = { token, layer, head, named, view };
    Object.assign(this, { peeked: null, pointed: null });
    recall(this.state, this.looks, this.chosen, address);
    this.write();
  }

  /** Redraw what depends on the token, layer, head or view. */
  refresh() {
    const { token, kind, state: { layer, head, shared, log } } = this;
    this.showMap();
    showChips(this);
    if (this.state.mode === 'cross') this.charts(); // of the chosen object; those of patches are of all together
    this.maps.select(layer, this.look.columnOf?.(token) ?? head);
    this.keep();
    this.extras.show();
    const filled = `${token} ${kind}`;
    if (filled === this.filled) return; // the small maps are those of all layers and heads already
    this.filled = filled;
    get('maps').setAttribute('aria-busy', 'true');
    this.maps.show({ token, layer, view: kind, shared, log }, (part) => {
      get('maps').setAttribute('aria-busy', String(part < 1));
      get('progress').textContent = part < 1 ? this.say('computing', { percent: Math.round(100 * part) }) : '';
      if (part === 1) this.controls();
      if (part === 1 && this.extras.has(this.state.view)) this.how();
      if (part === 1 && shared) this.showMap();
    }).catch(fail);
  }

  /** The selection as an address. */
  get address() {
    return addressOf(this.state);
  }

  keep() {
    remember(this.state);
  }

  showMap() {
    if (this.state.mode === 'cross') this.scene.show();
    else this.mark(this.state.token, this.peeked);
    if (this.state.mode === 'self') this.scene?.showPatch?.(this.token);
    this.mapName();
    get('chosen').textContent = this.say(this.peeked === null ? 'chosen' : 'peek', { token: this.name(this.token) });
    this.large.show().catch(fail);
  }

  // the numbers

  how() {
    const { token, kind, look, say, name, pointed } = this;
    const { layer, head: chosen, named, view } = this.state;
    if (this.state.mode === 'cross') return this.scene.how?.();
    const nodes = { numbers: get('numbers'), sentences: get('sentences'), vectors: get('vectors') };
    if (!look.layers[layer] || token === look.mean) {
      Object.values(nodes).forEach((node) => node.replaceChildren());
      get('how-where').textContent = token === look.mean ? say('howMeanToken') : '';
      return undefined;
    }
    const head = Math.min(chosen < 0 ? named : chosen, look.infos[layer].heads - 1);
    const why = view === 'rollout' ? say('howRollout') : this.extras.has(view) ? say('howExtra') : chosen < 0 ? say('howMean', { head: head + 1 }) : '';
    get('how-where').textContent = `${say('howWhere', { target: name(token), layer: layer + 1, head: head + 1 })} ${why}`;
    const weights = look.weights(layer, head, token, kind);
    const draw = (one) => this.tokenCell(one);
    return explain(nodes, look.layers[layer], { token, head, view: kind, weights, pointed }, { draw, name, say });
  }

  tokenCell(token) {
    const cell = h('td', { className: 'token' }, h('span', {}, this.name(token)));
    if (token >= this.look.first && token !== this.token) cell.prepend(thumbnail(get('picture').querySelector('img'), token, this.look));
    return cell;
  }

  // words and controls

  /** All texts, in the chosen language. */
  write() {
    const { page, say } = this;
    document.documentElement.lang = this.state.language;
    this.translate(this.state.language);
    const facts = { rows: page.grid[0], columns: page.grid[1], queries: page.targets?.queries };
    const { mode } = this.state;
    document.querySelectorAll('[data-mode]').forEach((node) => (node.hidden = node.dataset.mode !== mode));
    const key = ({ dataset }) => (mode === 'cross' && dataset.cross) || dataset.say;
    document.querySelectorAll('[data-say]').forEach((node) => (node.textContent = say(key(node), facts)));
    document.querySelectorAll('[data-label]').forEach((node) => node.setAttribute('aria-label', say(node.dataset.label)));
    showFacts(this);
    this.maps.build(say);
    this.large.blend();
    this.filled = '';
    this.controls();
    this.charts();
    this.refresh();
  }

  charts() {
    get('reach').hidden = Boolean(this.look.cell || this.look.uncharted?.(this.token)); // words may have no heads to chart
    if (get('reach').hidden) return undefined;
    if (this.state.mode === 'cross' && this.scene.charts) return this.scene.charts((layer, head) => this.choose(layer, head));
    if (this.state.mode === 'cross') return showTargetCharts(this.look, { ...this.state, token: this.token }, this.say, (layer, head) => this.choose(layer, head));
    return showCharts(this, this.state, (layer, head) => this.choose(layer, head));
  }

  controls() {
    const { mode, layer, head, view, shared, log, language, theme } = this.state;
    const { looks, look: { infos: layers, views } } = this;
    const on = (id, options, chosen) => segmented(get(id), this.say(get(id).dataset.label), options, chosen, (x) => this.set(id, x));
    Object.assign(get('layer'), { max: layers.length, value: layer + 1 });
    get('layer-name').textContent = this.look.layerName?.(layer, this.say) ?? this.say('layerName', { layer: layer + 1, count: layers.length });
    get('head').parentElement.hidden = Boolean(this.look.cell);
    get('head').replaceChildren(...[-1, ...Array(layers[layer].heads).keys()].map(
      (one) => new Option(one < 0 ? this.say('mean') : one + 1, one, false, one === head),
    ));
    const both = looks.self && looks.cross;
    get('mode').hidden = !both;
    if (both) on('mode', [['cross', this.say('crossMode')], ['self', this.say('selfMode', { step: this.page.targets.self_step + 1 })]], mode);
    this.scene?.controls?.(on, this.state);
    get('view').hidden = views.length < 2;
    on('view', views.map((key) => [key, this.say(key)]), view);
    on('log', [[false, this.say('linear')], [true, this.say('log')]], log);
    const common = Number(this.maps.common().toPrecision(2));
    const end = common ? this.look.format?.(common, view) ?? percent(common) : '…';
    on('shared', [[false, this.say('each')], [true, this.say('shared', { end })]], shared);
    on('language', [['en', 'EN'], ['ko', 'KO']], language);
    on('theme', ['auto', 'light', 'dark'].map((key) => [key, this.say(key)]), theme);
    this.mapName();
    get('view-help').textContent = this.say(this.named ? 'crossHelp' : `${view}Help`);
  }

  /** Whether a scene has names of its own for its only view. */
  get named() {
    return this.state.mode === 'cross' && !this.look.views.includes('column');
  }

  mapName() {
    const key = this.named && this.state.view !== 'negative' ? 'crossName' : `${this.state.view}Name`;
    get('map-name').textContent = this.say(key, { name: this.extras.title(this.state.view) ?? this.name(this.token) });
  }
}

if (typeof document !== 'undefined' && get('content')) {
  addEventListener('error', (event) => fail(event.error ?? event.message));
  addEventListener('unhandledrejection', (event) => fail(event.reason));
  if (typeof DecompressionStream === 'undefined') {
    report(`${fill('en', 'noDecompression')} ${fill('ko', 'noDecompression')}`);
  } else {
    new Viewer(JSON.parse(get('content').textContent), (name) => {
      const text = get(name).textContent;
      get(name).remove(); // 30 MB of text need not stay
      return text;
    });
  }
}
