// The words of a prompt and where each acts on the picture that was painted, at every sampling step.
import { inflate, readPlane } from './attend.js';
import { TargetLook } from './targets.js';
import { figure, percent } from './texts.js';
import { numbered } from './words.js';

/**
 * `token` is the index of a word. Maps are those of the chosen step and of one text: the prompt, or the negative prompt.
 * A map is a column of the attention: of each patch, the weights of all words sum to 1.
 *
 * What is painted are `groups` of patches, one grid each: a picture is one, a film several. Maps and `at` are of the
 * chosen group; the numbers that are stored are of all groups, and `place` alone knows how these lie.
 */
export class PaintedLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    const { steps, negative, groups } = this.targets;
    Object.assign(this, { steps, groups, group: 0, all: groups * this.patches });
    this.sides = [this.targets, negative].filter(Boolean).map((side, i) => ({ ...side, prefix: ['', 'negative-'][i], infos: side.layers, layers: [], coming: [] }));
    this.read(0);
    this.turn(Math.max(0, steps.findLastIndex(({ step }) => step <= this.targets.self_step)));
  }

  /** Which text: 0 for the prompt, 1 for the negative prompt. */
  read(text) {
    const { names, bias, infos, layers, coming, prefix, at: present, given, other, start } = this.sides[text];
    Object.assign(this, { text, names, bias, infos, layers, coming, before: prefix, present, given, other, words: names.length, last: names.length - 1 });
    [this.speaker, this.start] = start;
    this.tokens = infos[0].tokens;
    if (this.step !== undefined) this.turn(this.step);
  }

  /** Choose a step: the nearest that evaluated the text. */
  turn(step) {
    const far = (one) => Math.abs(one - step);
    this.step = this.present.reduce((best, one) => (far(one) < far(best) ? one : best));
    const slot = this.slot(this.step);
    this.infos.forEach((info) => (info.entropy = info.entropies[slot]));
  }

  /** What the address says; `from` are its parameters. */
  recall(from) {
    if (from.get('text') === 'negative' && this.sides.length > 1) this.read(1);
    const step = Number(from.get('step'));
    if (Number.isInteger(step) && step >= 1 && step <= this.steps.length) this.turn(step - 1);
  }

  /** Where a step is in what is stored of the text. */
  slot(step) {
    return this.present.indexOf(step);
  }

  /** Where a patch of the chosen group is among the patches of all groups. */
  place(at) {
    return this.group * this.patches + at;
  }

  /** Numbers of all patches, of the chosen group alone. */
  shown(numbers) {
    return numbers.subarray(this.place(0), this.place(this.patches));
  }

  load(l) {
    const { layers } = this; // of the text that is chosen now
    this.coming[l] ??= this.fetch(l).then((data) => (layers[l] = data));
    return this.coming[l];
  }

  /** Scores of all steps, whole multiples of a quantum: by step, head, word and patch. */
  async fetch(l) {
    const { infos, words, all, present, groups, page: { grid: [rows, columns] } } = this;
    const bytes = await inflate(this.packed(this.before + l));
    const info = infos[l];
    const scores = new Int16Array(present.length * info.heads * words * all);
    for (let plane = 0, at = 0; plane * all < scores.length; plane++) {
      const out = scores.subarray(plane * all, (plane + 1) * all);
      at = readPlane(bytes, at, info.planes.slice(3 * plane, 3 * plane + 3), out, [groups * rows, columns]);
    }
    return { ...info, scores, maps: new Map() };
  }

  /** The scaled score of a patch, counted in all groups, with a word, without the log of the word's weight. */
  scoreOf(data, step, head, word, place) {
    return data.quantum * data.scores[((this.slot(step) * data.heads + head) * this.words + word) * this.all + place];
  }

  /** The maps of all words over all groups: the softmax over them, patch by patch. */
  softmax(data, step, head) {
    const key = step * data.heads + head;
    if (!data.maps.has(key)) {
      const { words, all, bias } = this;
      const out = new Float32Array(words * all);
      for (let place = 0; place < all; place++) {
        const scores = bias.map((extra, word) => this.scoreOf(data, step, head, word, place) + extra);
        const most = Math.max(...scores);
        const powers = scores.map((x) => Math.exp(x - most));
        const sum = powers.reduce((a, b) => a + b, 0);
        powers.forEach((x, word) => (out[word * all + place] = x / sum));
      }
      data.maps.set(key, out);
    }
    return data.maps.get(key);
  }

  /** The map of a word over all groups. */
  wordMap(data, step, head, word) {
    return this.softmax(data, step, head).subarray(word * this.all, (word + 1) * this.all);
  }

  see(data, head, token) {
    return this.shown(this.wordMap(data, this.step, head, token));
  }

  /** The map of a word at each step; null where the text was not evaluated. */
  through(l, head, token) {
    const now = this.step;
    const maps = this.steps.map((_, step) => {
      this.step = step;
      return this.present.includes(step) ? this.weights(l, head, token) : null;
    });
    this.step = now;
    return maps;
  }

  chips() {
    return [...Array(this.words).keys()];
  }

  /** A word that occurs several times is numbered. */
  name(token) {
    return numbered(this.names, this.chips(), token);
  }

  /** The weight of a word in its text, where it is not 1. */
  score(token) {
    const weight = Math.exp(this.bias[token]);
    return Math.abs(weight - 1) < 1e-5 ? '' : `× ${figure(weight)}`;
  }

  outline() {
    return null;
  }

  outside() {
    return [];
  }

  inside(l, head, token, say) {
    const weights = this.weights(l, head, token);
    const share = weights.reduce((a, b) => a + b, 0) / weights.length;
    return say('wordMean', { name: this.name(token, say), share: percent(Number(share.toPrecision(3))), words: this.tokens });
  }

  patchOf(l, head, token) {
    const weights = this.weights(l, head, token);
    return weights.indexOf(Math.max(...weights));
  }

  /** What a patch's weights are made of: the scaled score of each word, and of how many keys it is. */
  terms(data, head, at) {
    return this.chips().map((word) => ({ word, score: this.scoreOf(data, this.step, head, word, this.place(at)), bias: this.bias[word], keys: 1 }));
  }

  answers(l, head, token, at) {
    return this.chips().map((word) => [word, this.weights(l, head, word)[at]]);
  }

  amount(x) {
    return percent(x);
  }
}
