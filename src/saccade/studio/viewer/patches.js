// The base of scenes of words: the image as a grid of patches, and the words that go with the patch under the pointer.
import { get, h } from './dom.js';
import { cellAt, laidMarks, outlined, patch, step } from './picture.js';
import { Scene } from './scene.js';

/**
 * Its `Look` gives `patchOf(layer, head, token)`, the patch that stands for a word until one is selected,
 * `answers(layer, head, token, at)`, [word, number] for a patch, and `amount(number)`, the number as text.
 */
export class PatchScene extends Scene {
  static panel = `
    <div class="patch" data-mode="cross">
      <h3 data-say="wordsTitle"></h3>
      <p class="quiet" id="words-where"></p>
      <div id="words"></div>
    </div>`;

  constructor(viewer, look) {
    super(viewer, look);
    Object.assign(this, { chosen: null, pointed: null });
    const spot = (event) => cellAt(this.spot(event), look.page.grid);
    this.stage.onpointermove = (event) => event.pointerType === 'mouse' && this.point(spot(event));
    this.stage.onpointerleave = () => this.point(null);
    this.stage.onclick = (event) => this.keep(spot(event));
    this.stage.onkeydown = (event) => {
      const next = step(event.key, this.chosen, look.page.grid, 0);
      if (next === null) return;
      event.preventDefault();
      this.keep(next);
      get('live').textContent = `${get('words-where').textContent} ${[...get('words').children].slice(0, 3).map((line) => line.textContent).join(', ')}`;
    };
  }

  /** The patch under the pointer, on either picture. */
  point(at) {
    if (at === this.pointed) return;
    this.pointed = at;
    this.draw();
    this.words();
  }

  keep(at) {
    if (at === null) return;
    Object.assign(this, { chosen: at, pointed: null });
    this.draw();
    this.words();
  }

  draw() {
    const { grid } = this.look.page;
    const mark = (at, kind) => outlined(patch(at, 0, grid), kind);
    const implied = this.chosen === null && this.look.layers[this.viewer.state.layer] ? this.listed() : null;
    laidMarks(this.stage, grid).replaceChildren(...mark(this.chosen, 'chosen'), ...mark(this.pointed ?? implied, 'pointed'));
  }

  show() {
    const { viewer, look } = this;
    const draw = () => {
      this.draw();
      get('inside').textContent = look.inside(viewer.state.layer, viewer.state.head, viewer.token, viewer.say);
      this.words();
    };
    if (look.layers[viewer.state.layer]) draw();
    else look.load(viewer.state.layer).then(() => look.layers[viewer.state.layer] && draw());
  }

  /** The patch of which words are listed. */
  listed() {
    const { viewer: { token, state: { layer, head } } } = this;
    return this.pointed ?? this.chosen ?? this.look.patchOf(layer, head, token);
  }

  /** The words of a patch, highest number first. */
  words() {
    const { look, viewer: { say, token, state: { layer, head } } } = this;
    if (!look.layers[layer]) return;
    const at = this.listed();
    const all = look.answers(layer, head, token, at);
    const most = Math.max(1e-9, ...all.map(([, x]) => Math.abs(x)));
    get('words-where').textContent = say('wordsWhere', { patch: look.spot(at, say) });
    get('words').replaceChildren(...all.sort((a, b) => b[1] - a[1]).map(([word, x]) => bar(look.name(word, say), look.amount(x), x / most)));
  }

  swatch() {
    return '';
  }
}

/** A line with a bar of `share`, from −1 to 1, behind it; a button if it can be clicked. */
export function bar(name, amount, share, onclick = null) {
  const length = h('i', { className: share < 0 ? 'negative' : '' });
  length.style.width = `${100 * Math.abs(share)}%`;
  const parts = [length, h('span', {}, name), h('span', {}, amount)];
  return onclick ? h('button', { type: 'button', className: 'prediction', onclick }, ...parts) : h('div', { className: 'prediction' }, ...parts);
}
