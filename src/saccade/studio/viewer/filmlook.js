// What a page of a film is about: tokens in all of its frames, and the attention between them.
import { column, inflate, logSumExp, mean, readLayer, row, rowScores } from './attend.js';
import { patch } from './picture.js';
import { percent } from './texts.js';

/** Where the tokens of a film lie: the prefix, then the patches of each group of frames. */
const groupIn = (film, token) => (token < film.prefix ? -1 : Math.floor((token - film.prefix) / film.patches));
const placeIn = (film, token) => (token - film.prefix) % film.patches;

/**
 * The sets of sources over each of which a target's weights sum to 1, as lists of tokens. reach: "film", all; "time",
 * its place in all groups; "space", the prefix and its group. A token of the prefix has no set over time, and one for
 * each group over space.
 */
export function sources({ prefix, patches, groups }, reach, target) {
  const first = [...Array(prefix).keys()];
  const film = { prefix, patches };
  const every = [...Array(groups).keys()];
  if (reach === 'film') return [[...Array(prefix + groups * patches).keys()]];
  if (reach === 'time') return target < prefix ? [] : [every.map((g) => prefix + g * patches + placeIn(film, target))];
  const space = (g) => [...first, ...Array.from({ length: patches }, (_, i) => prefix + g * patches + i)];
  return target < prefix ? every.map(space) : [space(groupIn(film, target))];
}

/** What a target attends to: the mean of the softmaxes over its sets, 0 elsewhere. */
export function filmRow(data, head, target) {
  if (data.reach === 'film') return row(data, head, target);
  const scores = rowScores(data, head, target);
  const out = new Float32Array(data.tokens);
  const sets = sources(data.film, data.reach, target);
  for (const set of sets) {
    let top = -Infinity;
    for (const j of set) if (scores[j] > top) top = scores[j];
    let sum = 0;
    for (const j of set) sum += Math.exp(scores[j] - top);
    for (const j of set) out[j] += Math.exp(scores[j] - top) / sum / sets.length;
  }
  return out;
}

/** Log of the sum of exp(score) over the only set of a target. */
export function filmSum(data, head, target) {
  const scores = rowScores(data, head, target);
  return logSumExp(sources(data.film, data.reach, target)[0].map((j) => scores[j]));
}

/** What attends to a source: the weight that each target gives it. */
export function filmColumn(data, head, source) {
  const { film, film: { prefix }, reach } = data;
  const out = column(data, head, source); // exact where the target may attend to the source, meaningless elsewhere
  if (reach === 'film') return out;
  for (let i = 0; i < out.length; i++) {
    if (i < prefix) out[i] = filmRow(data, head, i)[source];
    else if (reach === 'time') out[i] = source >= prefix && placeIn(film, i) === placeIn(film, source) ? out[i] : 0;
    else if (source >= prefix && groupIn(film, i) !== groupIn(film, source)) out[i] = 0;
  }
  return out;
}

export class FilmLook {
  /** packed(layer): that layer's bytes in base64. */
  constructor(page, packed) {
    const { targets } = page;
    const patches = page.grid[0] * page.grid[1];
    Object.assign(this, {
      page, packed, targets, patches, infos: targets.layers, prefix: targets.prefix, frames: targets.frames, groups: targets.groups,
      film: { prefix: targets.prefix.length, patches, groups: targets.groups.length },
      views: ['row', 'column'], speaker: targets.start, coming: [], layers: [], rollouts: new Map(), mean: null,
    });
    this.tokens = this.film.prefix + patches * this.groups.length;
    this.last = this.tokens - 1;
    this.whole = this.infos.every((_, l) => this.kept(l));
    this.frame = this.groups[this.groupOf(this.speaker)][0]; // that is shown large
  }

  /** The first token of the frame that is shown large. */
  get first() {
    return this.film.prefix + this.covers(this.frame) * this.patches;
  }

  groupOf(token) {
    return groupIn(this.film, token);
  }

  /** The group of tokens that covers a frame. */
  covers(frame) {
    return this.groups.findIndex((group) => group.includes(frame));
  }

  token(group, at) {
    return this.film.prefix + group * this.patches + at;
  }

  kept(l) {
    return Boolean(this.infos[l].planes);
  }

  load(l) {
    this.coming[l] ??= inflate(this.packed(l)).then((bytes) => (this.layers[l] = this.unpack(bytes, l, this.infos[l])));
    return this.coming[l];
  }

  unpack(bytes, l, info) {
    const [rows, columns] = this.page.grid;
    const layer = { ...readLayer(bytes, info, [this.groups.length * rows, columns], this.tokens), film: this.film };
    return Object.assign(layer, {
      rowOf: (head, target) => filmRow(layer, head, target),
      sumOf: (head, target) => filmSum(layer, head, target),
      countOf: (target) => this.sources(l, target),
    });
  }

  /** The middle of a group, in frames. */
  centre(group) {
    const frames = this.groups[group];
    return this.targets.centres?.[group] ?? frames.reduce((a, b) => a + b, 0) / frames.length;
  }

  /** Mean distance in time, in frames, of uniform attention. from: groups that attend. */
  evenTime(from = [...this.groups.keys()]) {
    const far = (a) => this.groups.reduce((sum, _, b) => sum + Math.abs(this.centre(a) - this.centre(b)), 0);
    return from.reduce((sum, a) => sum + far(a), 0) / from.length / this.groups.length;
  }

  see(data, head, token, view) {
    return (view === 'column' ? filmColumn : filmRow)(data, head, token);
  }

  /** Of one head, or with head −1 the mean of all; the last result is kept, as several parts of the page show it. */
  weights(l, head, token, view) {
    const key = [l, head, token, view].join();
    if (this.key !== key) {
      const heads = head < 0 ? [...Array(this.layers[l].heads).keys()] : [head];
      this.held = mean(heads.map((one) => this.see(this.layers[l], one, token, view)));
      this.key = key;
    }
    return this.held;
  }

  /** Whether a target has one softmax, which the page can compute step by step. */
  single(l, token) {
    return sources(this.film, this.infos[l].reach, token).length === 1;
  }

  /** How many sources a target's weights are shared over, of which uniform attention gives each the same. */
  sources(l, token) {
    return sources(this.film, this.infos[l].reach, token).flat().length || this.tokens;
  }

  /** Whether a target can attend to a group at all in this layer. */
  reaches(l, token, group) {
    const from = this.groupOf(token);
    const { reach } = this.infos[l];
    return reach === 'film' || (reach === 'time' ? from >= 0 : from < 0 || from === group);
  }

  /** Which tokens a target cannot attend to, nor be attended by, in a layer; undefined if there are none. */
  hidden(l, token) {
    const { reach } = this.infos[l];
    if (reach === 'film') return undefined;
    if (reach === 'space') return (other) => other >= this.film.prefix && !this.reaches(l, token, this.groupOf(other));
    return (other) => token < this.film.prefix || placeIn(this.film, other) !== placeIn(this.film, token);
  }

  /** The share of each group of frames. */
  shares(weights) {
    return this.groups.map((_, group) => {
      let sum = 0;
      for (let at = 0; at < this.patches; at++) sum += weights[this.token(group, at)];
      return sum;
    });
  }

  /** As of `Look`: the largest weight on a place other than the selected one, and at least the uniform weight of all. */
  peak(weights, token) {
    let most = 1 / this.tokens;
    for (let j = this.film.prefix; j < weights.length; j++) if (weights[j] > most && j !== token) most = weights[j];
    return most;
  }

  canRollOut() {
    return false;
  }

  /** Of the first frame of a group. */
  time(group) {
    return `${this.frames[this.groups[group][0]].time.toFixed(2)} s`;
  }

  /** The frames of a group, from 1, with the time of the first one. */
  span(group, say) {
    const key = this.groups[group].length > 1 ? 'filmFrames' : 'filmFrame';
    return say(key, { frames: this.targets.names[group], time: this.time(group) });
  }

  name(token, say) {
    const group = this.groupOf(token);
    if (group < 0) return this.prefix[token];
    const [at, columns] = [placeIn(this.film, token), this.page.grid[1]];
    return say('filmPlace', { frame: this.span(group, say), row: Math.floor(at / columns) + 1, column: (at % columns) + 1 });
  }

  spot(token, say) {
    return this.name(token, say);
  }

  chips() {
    return [...this.prefix.keys()];
  }

  score() {
    return '';
  }

  /** The place of a token, in patches, if the frame that is shown large has it. */
  outline(token) {
    return patch(token, this.first, this.page.grid);
  }

  /** Weights that are not in the frame that is shown large. */
  outside(weights, say) {
    const shares = this.shares(weights);
    const other = shares.reduce((sum, share, group) => (group === this.covers(this.frame) ? sum : sum + share), 0);
    return [...this.prefix.map((label, token) => [label, weights[token]]), [say('otherFrames'), other]];
  }

  /** Where attention goes in time, in words. */
  inside(l, head, token, say, view) {
    if (!this.layers[l]) return '';
    const weights = this.weights(l, head, token, view);
    const group = this.groupOf(token);
    const shares = this.shares(weights);
    const total = shares.reduce((a, b) => a + b, 0);
    if (view === 'column' || group < 0 || !(total > 0)) return '';
    const far = shares.reduce((sum, share, g) => sum + share * Math.abs(this.centre(g) - this.centre(group)), 0) / total;
    return say('inTime', { own: percent(shares[group]), far: far.toFixed(2) });
  }

  /** Name of a layer in the grid of maps, where layers have several calls. */
  rowName(l, say) {
    const { layer, reach } = this.infos[l];
    return reach === 'film' ? String(layer) : say(`${reach}Row`, { layer });
  }

  layerName(l, say) {
    const { layer, reach } = this.infos[l];
    const count = Math.max(...this.infos.map((info) => info.layer));
    return say(`${reach}Layer`, { layer, count });
  }
}
