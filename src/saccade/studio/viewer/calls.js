// The page of a trace: the list of its calls, and rows of the chosen one as bars over its sources.
import { inflate, mean, top } from './attend.js';
import { CALL_TEXTS } from './callstexts.js';
import { paint } from './colour.js';
import { ARROWS, get, h, segmented } from './dom.js';
import { fill, firstLanguage, percent } from './texts.js';

const LISTED = 3; // sources with the highest weights

class TracePage {
  constructor(trace) {
    Object.assign(this, { trace, call: 0, at: 0, head: -1, source: null, rows: [] });
    this.language = firstLanguage();
    const bars = get('bars');
    get('target').oninput = ({ target }) => this.set({ at: Number(target.value), source: null });
    bars.onpointermove = ({ offsetX }) => this.point(Math.floor((offsetX / bars.clientWidth) * this.sources));
    bars.onpointerleave = () => this.point(null);
    bars.onkeydown = (event) => {
      const move = ARROWS[event.key];
      if (!move) return;
      event.preventDefault();
      this.point(Math.min(this.sources - 1, Math.max(0, (this.source ?? -1) + move[0] + move[1])));
    };
    new ResizeObserver(() => this.drawBars()).observe(bars);
    this.write();
    this.select(0);
  }

  say = (key, facts) => fill(this.language, key, facts, CALL_TEXTS);

  get chosen() {
    return this.trace.calls[this.call];
  }

  get sources() {
    return this.chosen.shape[3];
  }

  /** All texts, in the chosen language. */
  write() {
    const { trace, say } = this;
    document.documentElement.lang = this.language;
    get('title').textContent = say(trace.count === 1 ? 'one' : 'title', trace);
    get('about').textContent = trace.empty || say('about');
    segmented(get('language'), say('callLanguage'), [['en', 'EN'], ['ko', 'KO']], this.language, (language) => {
      this.language = language;
      this.write();
      this.show();
    });
    const columns = say('columns').split(', ');
    const head = h('tr', {}, h('th', {}, ''), ...columns.map((name) => h('th', { scope: 'col' }, name)));
    get('calls').replaceChildren(h('thead', {}, head), h('tbody', {}, ...trace.calls.map((call, i) => this.line(call, i))));
    const lines = trace.missed.map(([name, why]) => say('missed', { name, why }));
    if (trace.count > trace.calls.length) lines.unshift(say('more', { count: trace.count - trace.calls.length }));
    get('missed').replaceChildren(...lines.map((text) => h('p', {}, text)));
    get('target-label').textContent = say('target');
    get('bars').setAttribute('aria-label', say('barsHelp'));
    get('rows').hidden = !trace.calls.length;
  }

  line({ name, kind, shape, run }, i) {
    const button = h('button', { type: 'button', onclick: () => this.select(i) }, name);
    const of = run ? ` ${this.say('run', { run })}` : '';
    return h('tr', {}, h('td', {}, String(i)), h('td', {}, button, h('small', { className: 'quiet' }, of)), h('td', {}, kind), h('td', {}, String(shape[1])), h('td', {}, `${shape[2]} × ${shape[3]}`));
  }

  /** Choose a call; its rows are unpacked when first needed. The target, where it has it, and the head stay. */
  async select(i) {
    if (!this.trace.calls.length) return;
    const before = this.chosen.targets[this.at];
    this.call = i;
    const { targets, heads } = this.chosen;
    if (targets.length) this.rows[i] ??= await inflate(get(`call-${i}`).textContent).then((bytes) => this.read(bytes, i));
    if (this.call !== i) return;
    this.set({ at: Math.max(0, targets.indexOf(before)), head: heads > this.head ? this.head : -1, source: null });
  }

  /** [head][target] -> weights over the sources. */
  read(bytes, i) {
    const { heads, targets, shape: [, , , sources] } = this.trace.calls[i];
    const largest = new DataView(bytes.buffer, bytes.byteOffset);
    const steps = bytes.subarray(4 * heads * targets.length);
    const row = (at) => Float32Array.from(steps.subarray(at * sources, (at + 1) * sources), (x) => largest.getFloat32(4 * at, true) * (x / 255) ** 2);
    return Array.from({ length: heads }, (_, head) => targets.map((_, t) => row(head * targets.length + t)));
  }

  set(changes) {
    Object.assign(this, changes);
    this.show();
  }

  show() {
    if (!this.trace.calls.length) return;
    const { say, chosen: { name, note, targets, heads, shape: [batch, every, n] } } = this;
    [...get('calls').tBodies[0].rows].forEach((row, i) => row.setAttribute('aria-selected', String(i === this.call)));
    get('call-name').textContent = name;
    const notes = [note, batch > 1 && say('batch', { count: batch }), targets.length && targets.length < n && say('some', { kept: targets.length, count: n })];
    notes.push(targets.length ? heads < every && say('meanOnly') : say('none'));
    get('call-note').textContent = notes.filter(Boolean).join(' ');
    get('call').hidden = !targets.length;
    if (!targets.length) return;
    Object.assign(get('target'), { max: targets.length - 1, value: this.at });
    get('target-name').textContent = say('targetName', { token: targets[this.at], count: n });
    this.each = this.rows[this.call].map((head) => head[this.at]);
    const all = heads > 1 ? [mean(this.each), ...this.each] : this.each;
    this.weights = heads > 1 ? all[this.head + 1] : all[0];
    const peak = Math.max(...all.map((weights) => weights.reduce((a, b) => Math.max(a, b), 0)));
    get('heads').replaceChildren(...(heads > 1 ? all.map((weights, i) => this.strip(weights, i - 1, peak)) : []));
    this.drawBars();
    this.point(this.source);
  }

  /** One head as a strip of colours over the sources; all strips of a target have one scale. */
  strip(weights, head, peak) {
    const canvas = h('canvas');
    paint(canvas, weights, 0, [1, weights.length], peak, false);
    const name = head < 0 ? this.say('mean') : this.say('headName', { head: head + 1 });
    const button = h('button', { type: 'button', className: 'strip', onclick: () => this.set({ head }) }, h('span', {}, name), canvas);
    button.setAttribute('aria-pressed', String(head === this.head));
    return button;
  }

  drawBars() {
    const canvas = get('bars');
    if (!this.weights || !canvas.clientWidth) return;
    const scale = globalThis.devicePixelRatio || 1;
    const [width, height] = [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((x) => Math.round(x * scale));
    const context = canvas.getContext('2d');
    const style = getComputedStyle(canvas);
    const { sources, weights } = this;
    const most = weights.reduce((a, b) => Math.max(a, b), 0) || 1;
    const edge = (j) => Math.round((j / sources) * width);
    weights.forEach((weight, j) => {
      const tall = Math.ceil((weight / most) * (height - 2));
      context.fillStyle = style.getPropertyValue(j === this.source ? '--plus' : '--accent');
      context.fillRect(edge(j), height - tall, Math.max(1, edge(j + 1) - edge(j) - (width / sources > 3 * scale ? scale : 0)), tall);
    });
    context.fillStyle = style.getPropertyValue('--quiet');
    context.fillRect(0, height - Math.round(((1 / sources) / most) * (height - 2)), width, 1); // uniform
  }

  /** Read one source; null for those with the highest weights. */
  point(source) {
    this.source = source === null || source < 0 || source >= this.sources ? null : source;
    const name = (j) => {
      const [part, start] = this.chosen.parts.find(([, from, to]) => j >= from && j < to) ?? [];
      return part ? this.say('part', { part, token: j - start }) : this.say('source', { token: j });
    };
    const share = (j) => percent(this.weights[j]);
    const times = (j) => (this.weights[j] * this.sources).toFixed(1);
    get('readout').textContent = this.source === null
      ? this.say('best', { list: top(this.weights, LISTED).map((j) => `${name(j)} ${share(j)}`).join(', ') })
      : this.say('bar', { source: name(this.source), share: share(this.source), times: times(this.source) });
    this.drawBars();
  }
}

new TracePage(JSON.parse(get('content').textContent));
