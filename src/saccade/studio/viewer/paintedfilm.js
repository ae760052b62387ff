// A film that was painted: which words act in which frame, and where each place looks in every frame, by step.
import { css } from './colour.js';
import { get, h } from './dom.js';
import { FilmScene } from './film.js';
import { PaintedFilmLook } from './paintedfilmlook.js';
import { PAINTED_FILM_TEXTS } from './paintedfilmtexts.js';
import { bar, PatchScene } from './patches.js';
import { percent } from './texts.js';

export class PaintedFilmScene extends FilmScene {
  static Look = PaintedFilmLook;

  static texts = PAINTED_FILM_TEXTS;

  static panel = PatchScene.panel;

  static section = `${FilmScene.section}
  <section class="part" aria-labelledby="by-frame-title" data-mode="cross">
    <h2 id="by-frame-title" data-say="byFrameTitle"></h2>
    <p class="quiet" id="by-frame-where"></p>
    <div class="scroll"><table id="by-frame"></table></div>
  </section>`;

  /** The prompt, the steps and the window that are shown. */
  static summary({ page: { targets: { words, steps, window, windows, names, known } }, say }) {
    const painted = names.filter((_, group) => !known.includes(group));
    const facts = { prompt: words.prompt, count: words.of, steps: steps.map(({ step }) => step + 1).join(', ') };
    const range = (some) => `${some[0].split('–')[0]}–${some.at(-1).split('–').at(-1)}`;
    const parts = [say('painted', facts)];
    if (windows > 1) parts.push(say('window', { window: window + 1, windows, frames: range(painted) }));
    if (known.length) parts.push(say('givenFrames', { frames: known.map((group) => names[group]).join(', ') }));
    return parts.map((text) => h('p', { className: 'quiet' }, text));
  }

  constructor(viewer, look) {
    super(viewer, look);
    look.selected = () => viewer.token;
    look.kind = () => viewer.kind;
    viewer.state.step = look.step;
    if (look.steps.length < 2) return;
    this.stepSlider = h('input', { type: 'range', id: 'step', min: 1, max: look.steps.length, step: 1 });
    this.stepSlider.oninput = () => this.turnStep(this.stepSlider.value - 1);
    this.stepName = h('output', { id: 'step-name', htmlFor: 'step' });
    const name = h('span');
    name.dataset.say = 'step';
    const label = h('label', {}, name, this.stepSlider, this.stepName);
    label.dataset.mode = 'cross';
    document.querySelector('.controls').prepend(label);
  }

  /** Choose another step: all maps are others. */
  turnStep(step) {
    const { look, viewer } = this;
    look.turn(step);
    viewer.state.step = step;
    viewer.filled = '';
    viewer.refresh();
    viewer.controls();
    get('live').textContent = this.stepName.textContent;
  }

  controls() {
    super.controls();
    const { look, tiles, viewer: { say } } = this;
    const { step, frames } = look.steps[look.step];
    const number = look.targets.numbers[look.frame] + 1;
    this.frameName.textContent = say('frameName', { frame: number, count: look.targets.numbers.at(-1) + 1, time: look.frames[look.frame].time.toFixed(2) });
    const src = (frame) => frames?.[frame] ?? look.frames[frame].src;
    this.stage.querySelector('img').src = src(look.frame);
    get('map').querySelector('img').src = src(look.frame);
    tiles.forEach(({ stages }, group) => stages.forEach((stage, i) => (stage.querySelector('img').src = src(look.shown(group)[i]))));
    if (!this.stepSlider) return;
    this.stepSlider.value = look.step + 1;
    this.stepName.textContent = say('stepName', { step: step + 1, count: look.targets.words.of });
  }

  more() {
    const { look, viewer: { say } } = this;
    return [super.more(), look.known.length ? say('known') : ''].filter(Boolean).join(' ');
  }

  shareKey(kind) {
    return this.look.isWord(this.viewer.token) ? 'acts' : super.shareKey(kind);
  }

  point() {
    this.listen();
  }

  show() {
    const { viewer, look } = this;
    const word = look.isWord(viewer.token);
    if (word !== this.word) {
      this.word = word; // only places have rows and columns
      viewer.controls();
    }
    return super.show();
  }

  fill(weights) {
    const { look, viewer: { say, token, state: { layer, head } } } = this;
    if (weights === null) return super.fill(null);
    super.fill();
    if (look.isWord(token)) {
      const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
      const facts = { name: look.name(token, say), layer: look.layerName(layer, say), head: heads, end: percent(Number(this.end(this.weights()).toPrecision(2))) };
      get('film-where').textContent = say('filmWhereWord', facts);
    }
    this.relabel();
    this.listen();
    return this.frameTable();
  }

  /** Frames that are known, and that nothing in this view is about. */
  relabel() {
    const { look, tiles, viewer: { say } } = this;
    look.known.forEach((group) => {
      const { caption, node } = tiles[group];
      if (node.classList.contains('barred')) caption.lastChild.textContent = say('knownFrame');
    });
  }

  /** The place of which words are listed: that under the pointer, the selected one, or where the word acts most. */
  listed() {
    const { look, viewer: { token, pointed, state: { layer, head } } } = this;
    const candidates = [pointed, token].filter((one) => one !== null && !look.isWord(one) && look.attends(one));
    if (candidates.length) return candidates[0];
    if (!look.isWord(token)) return null;
    const weights = look.weights(layer, head, token, 'row');
    return weights.indexOf(weights.reduce((a, b) => Math.max(a, b), 0));
  }

  /** The words that a place attends to, highest weight first. */
  listen() {
    const { look, viewer: { say, state: { layer, head } } } = this;
    if (!look.layers[layer]) return;
    const at = this.listed();
    get('words-where').textContent = at === null ? say('knownPlace') : say('wordsWhere', { patch: look.name(at, say) });
    const all = at === null ? [] : look.answers(layer, head, at).sort((a, b) => b[1] - a[1]);
    const most = Math.max(1e-9, ...all.map(([, weight]) => weight));
    get('words').replaceChildren(...all.map(([word, weight]) => bar(look.name(look.tokens + word, say), percent(weight), weight / most, () => this.viewer.pick(look.tokens + word))));
  }

  /** Which words act in which frame. */
  frameTable() {
    const { look, viewer, viewer: { say, token, state: { layer, head, language } } } = this;
    const drawn = [layer, head, language, look.step, token, look.frame].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const rows = look.byFrame(layer, head);
    const end = Math.max(...rows.flat());
    const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    get('by-frame-where').textContent = say('byFrameWhere', { layer: look.layerName(layer, say), head: heads, end: percent(Number(end.toPrecision(2))) });
    const titles = look.painted.map((group) => h('th', { scope: 'col' }, look.targets.names[group]));
    const cell = (word, weight, group) => {
      const swatch = h('i', { className: 'swatch' });
      swatch.style.background = css(weight, end, false);
      const choose = () => {
        this.turn(look.groups[group][0]);
        viewer.pick(look.tokens + word);
      };
      return h('td', { className: 'number' }, h('button', { type: 'button', onclick: choose }, swatch, percent(weight)));
    };
    const lines = rows.map((weights, word) => h('tr', { className: token === look.tokens + word ? 'pointed' : '' },
      h('th', { scope: 'row' }, look.name(look.tokens + word, say)), ...weights.map((weight, i) => cell(word, weight, look.painted[i]))));
    get('by-frame').replaceChildren(h('thead', {}, h('tr', {}, h('th', {}, say('word')), ...titles)), h('tbody', {}, ...lines));
  }

  how() {
    if (!this.look.isWord(this.viewer.token)) return super.how();
    ['numbers', 'sentences', 'vectors'].forEach((id) => get(id).replaceChildren());
    get('how-where').textContent = this.viewer.say('howWord');
    return undefined;
  }
}
