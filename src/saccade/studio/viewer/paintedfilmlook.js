// What a page of a generated film is about: the words of its prompt, and the places of all of its frames.
import { inflate } from './attend.js';
import { FilmLook } from './filmlook.js';
import { PaintedLook } from './painted.js';
import { percent } from './texts.js';

/**
 * `token` is a place of the film, or, after all places, a word. The map of a word is a column of the cross-attention of
 * the same layer and head: the weights of all words sum to 1 for each place that is painted. Groups of frames that are
 * known attend to nothing here.
 */
export class PaintedFilmLook extends FilmLook {
  constructor(page, packed) {
    super(page, packed);
    const { targets, targets: { words, steps, known } } = this;
    Object.assign(this, { packed, steps, every: this.infos, depth: this.infos.length / steps.length, known });
    this.words = new PaintedLook({ ...page, targets: words }, (name) => packed(`words-${name}`));
    this.stored = steps.map(() => ({ coming: [], layers: [] }));
    this.painted = [...this.groups.keys()].filter((group) => !known.includes(group));
    this.last = this.tokens + this.words.last;
    this.speaker = this.tokens + this.words.speaker;
    this.start = this.words.start;
    this.frame = this.groups[this.painted[0]][0];
    this.selected = () => this.speaker; // the scene knows better
    this.kind = () => 'row';
    this.turn(Math.floor((steps.length - 1) / 2));
  }

  /** Of a word, only where it acts. */
  get views() {
    return this.isWord(this.selected?.() ?? 0) ? ['row'] : ['row', 'column'];
  }

  set views(_) { /* by the base */ }

  isWord(token) {
    return token >= this.tokens;
  }

  /** Choose a step. */
  turn(step) {
    this.step = step;
    this.words.turn(step);
    this.infos = this.every.slice(step * this.depth, (step + 1) * this.depth);
    Object.assign(this, this.stored[step]);
    this.key = '';
  }

  recall(from) {
    const step = Number(from.get('step'));
    if (Number.isInteger(step) && step >= 1 && step <= this.steps.length) this.turn(step - 1);
  }

  load(l) {
    const { step, depth, coming, layers, infos, words } = this; // of the step that is chosen now
    coming[l] ??= Promise.all([inflate(this.packed(step * depth + l)), words.load(l)])
      .then(([bytes, acting]) => (layers[l] = Object.assign(this.unpack(bytes, l, infos[l]), { acting, step })));
    return coming[l];
  }

  see(data, head, token, view) {
    if (this.isWord(token)) return this.spread(this.words.wordMap(data.acting, data.step, head, token - this.tokens));
    if (view !== 'column') return this.attends(token) ? super.see(data, head, token, view) : new Float32Array(this.tokens);
    return super.see(data, head, token, view).map((weight, target) => (this.attends(target) ? weight : 0));
  }

  /** The frames of a group that are drawn. */
  shown(group) {
    return this.groups[group];
  }

  attends(place) {
    return !this.known.includes(this.groupOf(place));
  }

  /** Numbers of the places that are painted as numbers of all places. */
  spread(numbers) {
    const out = new Float32Array(this.tokens);
    this.painted.forEach((group, i) => out.set(numbers.subarray(i * this.patches, (i + 1) * this.patches), this.token(group, 0)));
    return out;
  }

  /** Where a place is among those that are painted. */
  among(place) {
    return this.painted.indexOf(this.groupOf(place)) * this.patches + ((place - this.film.prefix) % this.patches);
  }

  /** What a place attends to among the words: [word, weight]. */
  answers(l, head, place) {
    const heads = head < 0 ? [...Array(this.infos[l].heads).keys()] : [head];
    const at = this.among(place);
    const { acting } = this.layers[l];
    const of = (word) => heads.reduce((sum, one) => sum + this.words.wordMap(acting, this.step, one, word)[at], 0) / heads.length;
    return this.words.chips().map((word) => [word, of(word)]);
  }

  /** The mean weight of each word in each group that is painted: [word][i]. */
  byFrame(l, head) {
    return this.words.chips().map((word) => {
      const map = this.weights(l, head, this.tokens + word, 'row');
      return this.painted.map((group) => this.meanOf(map, group));
    });
  }

  meanOf(weights, group) {
    const from = this.token(group, 0);
    return weights.subarray(from, from + this.patches).reduce((a, b) => a + b, 0) / this.patches;
  }

  /** Of a place, the share of each group; of a word, the mean of its map there. */
  shares(weights) {
    return this.isWord(this.selected()) ? this.groups.map((_, group) => this.meanOf(weights, group)) : super.shares(weights);
  }

  reaches(l, token, group, kind = this.kind()) {
    if (this.isWord(token) || kind === 'column') return !this.known.includes(group);
    return this.attends(token);
  }

  hidden(l, token) {
    if (!this.known.length) return undefined;
    return (other) => !this.reaches(l, token, this.groupOf(other));
  }

  sources(l, token) {
    return this.isWord(token) ? this.words.tokens : this.tokens;
  }

  single(l, token) {
    return !this.isWord(token) && this.attends(token);
  }

  peak(weights, token) {
    if (token === null || !this.isWord(token)) return super.peak(weights, token);
    return weights.reduce((most, weight) => Math.max(most, weight), 1 / this.words.tokens);
  }

  outside(weights, say) {
    return this.isWord(this.selected()) ? [] : super.outside(weights, say);
  }

  inside(l, head, token, say, view) {
    if (!this.layers[l]) return '';
    if (!this.isWord(token)) return this.attends(token) || view === 'column' ? super.inside(l, head, token, say, view) : say('knownPlace');
    const means = this.painted.map((group) => this.meanOf(this.weights(l, head, token, 'row'), group));
    const share = means.reduce((a, b) => a + b, 0) / means.length;
    return say('wordMean', { name: this.name(token, say), share: percent(Number(share.toPrecision(3))), words: this.words.tokens });
  }

  evenTime() {
    return super.evenTime(this.painted);
  }

  name(token, say) {
    return this.isWord(token) ? this.words.name(token - this.tokens, say) : super.name(token, say);
  }

  chips() {
    return this.words.chips().map((word) => this.tokens + word);
  }

  /** The weight of a word in the prompt, where it is not 1. */
  score(token) {
    return this.words.score(token - this.tokens);
  }
}
