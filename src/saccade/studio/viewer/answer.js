// What a model wrote about pictures: the places that each word attended to, and the words that attended to a place.
import { mean } from './attend.js';
import { chartWords, strips } from './charts.js';
import { get, h } from './dom.js';
import { bar, PatchScene } from './patches.js';
import { TargetLook } from './targets.js';
import { figure, percent } from './texts.js';
import { numbered } from './words.js';

const MOST_WORDS = 12; // listed for a place

/**
 * `token` is the index of a word, or beyond the words that of a piece of one. Maps are those of the chosen picture;
 * layer 0 is the mean of all layers.
 */
export class AnswerLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    const { words, pieces, pictures } = this.targets;
    this.words = words.length;
    this.last = this.words + pieces.length - 1;
    let first = 0;
    this.pictures = pictures.map((one) => {
      const count = one.grid[0] * one.grid[1];
      first += count;
      return { ...one, count, first: first - count };
    });
    this.places = first;
    this.views = ['weights', 'relative'];
    this.start = 0;
    this.turn(0);
  }

  /** Show another picture. */
  turn(at) {
    const { src, width, height, grid, count } = this.pictures[at];
    Object.assign(this.page, { picture: { src, width, height }, grid });
    Object.assign(this, { at, patches: count, usual: new Map() });
  }

  recall(from) {
    const at = Number(from.get('frame')) - 1;
    if (this.pictures[at]) this.turn(at);
  }

  /** The tokens of the answer that a word or piece is. */
  piecesOf(token) {
    return token < this.words ? this.targets.words[token] : [token - this.words];
  }

  /** The weights on one picture's places. */
  on(data, head, token, { first, count }) {
    const rows = this.piecesOf(token).map((piece) => {
      const from = (head * this.targets.pieces.length + piece) * this.places + first;
      const scale = data.largest[head][piece] / 255 ** 2;
      return Float32Array.from(data.bytes.subarray(from, from + count), (byte) => scale * byte * byte);
    });
    return mean(rows);
  }

  /** view: the weights, or these divided by the mean of all words, so that places where every word looks stand back. */
  see(data, head, token, view) {
    const weights = this.on(data, head, token, this.pictures[this.at]);
    if (view !== 'relative') return weights;
    const key = `${data.name} ${head}`;
    if (!this.usual.has(key)) this.usual.set(key, mean([...Array(this.words).keys()].map((word) => this.on(data, head, word, this.pictures[this.at]))));
    const usual = this.usual.get(key);
    return weights.map((weight, at) => (usual[at] > 0 ? weight / usual[at] : 0));
  }

  weights(l, head, token, view) {
    return mean(this.heads(l, head).map((one) => this.see(this.layers[l], one, token, view)));
  }

  /** How a ratio is written; weights are written as everywhere. */
  get format() {
    return this.viewer?.state.view === 'relative' ? (x) => `${figure(x, 2)}×` : undefined;
  }

  peak(weights) {
    return this.format ? Math.max(1, ...weights) : super.peak(weights);
  }

  /** One head, or with -1 all; the mean of all layers has one map and no heads. */
  heads(l, head) {
    return head < 0 ? [...Array(Math.max(1, this.infos[l].heads)).keys()] : [head];
  }

  /** The share of a word's attention on each picture. */
  shares(l, head, token) {
    const heads = this.heads(l, head);
    return this.pictures.map((one) => heads.reduce((sum, each) => sum + this.on(this.layers[l], each, token, one).reduce((a, b) => a + b, 0), 0) / heads.length);
  }

  /** Its attention to places, other tokens of pictures, the prompt's text, words before: shares that sum to 1. */
  kinds(l, head, token) {
    const heads = head < 0 ? this.infos[l].shares : [this.infos[l].shares[head]];
    const rows = heads.flatMap((one) => this.piecesOf(token).map((piece) => one[piece]));
    return [0, 1, 2, 3].map((kind) => rows.reduce((sum, row) => sum + row[kind], 0) / rows.length);
  }

  name(token) {
    const { names, pieces } = this.targets;
    return token < this.words ? numbered(names, [...names.keys()], token) : `‹${pieces[token - this.words]}›`;
  }

  /** The words in order, with the pieces of the selected one after it. */
  chips(token) {
    const word = token < this.words ? token : this.targets.words.findIndex((pieces) => pieces.includes(token - this.words));
    const pieces = this.targets.words[word];
    const inner = pieces.length > 1 ? pieces.map((piece) => this.words + piece) : [];
    return [...Array(this.words).keys()].flatMap((one) => (one === word ? [one, ...inner] : [one]));
  }

  score() {
    return '';
  }

  outline() {
    return null;
  }

  outside(weights, say) {
    if (this.format) return [];
    const { layer, head } = this.viewer.state;
    const [, other, prompt, written] = this.kinds(layer, head, this.viewer.token);
    const elsewhere = this.pictures.length > 1 ? this.shares(layer, head, this.viewer.token).reduce((a, b) => a + b, 0) - weights.reduce((a, b) => a + b, 0) : 0;
    const all = [['otherPictures', elsewhere], ['otherTokens', other], ['promptText', prompt], ['wordsBefore', written]];
    return all.filter(([, share]) => share > 1e-4).map(([key, share]) => [say(key), share]);
  }

  inside(l, head, token, say) {
    const [places, other, prompt, written] = this.kinds(l, head, token);
    return say('answerShares', { name: this.name(token), pictures: percent(Number((places + other).toPrecision(3))), text: percent(Number((prompt + written).toPrecision(3))) });
  }

  patchOf(l, head, token) {
    const weights = this.weights(l, head, token);
    return weights.indexOf(Math.max(...weights));
  }

  answers(l, head, token, at) {
    const { bytes, largest } = this.layers[l];
    const [heads, count, from] = [this.heads(l, head), this.targets.pieces.length, this.pictures[this.at].first + at];
    const weight = (one, piece) => (largest[one][piece] * bytes[(one * count + piece) * this.places + from] ** 2) / 255 ** 2;
    const average = (numbers) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
    return this.targets.words.map((pieces, word) => [word, average(heads.flatMap((one) => pieces.map((piece) => weight(one, piece))))]);
  }

  amount(x) {
    return percent(Number(x.toPrecision(3)));
  }

  layerName(l, say) {
    return l ? say('layerName', { layer: l, count: this.infos.length - 1 }) : say('allLayers');
  }

  rowName(l, say) {
    return l || say('allShort');
  }

  pictureName({ source, part }, say) {
    const several = new Set(this.pictures.map((one) => one.source)).size > 1;
    return [several || !part ? say('pictureName', { number: source + 1 }) : '', part && say(part)].filter(Boolean).join(', ');
  }
}

export class AnswerScene extends PatchScene {
  static Look = AnswerLook;

  static panel = `<div id="seen-pictures" class="seen" role="group" data-label="seenPictures" data-mode="cross"></div>${PatchScene.panel}`;

  static texts = {
    en: {
      is: 'What a model wrote about this image, and where it looked for each word.', sees: 'Answer', crossMode: 'Words attend to the image', others: 'Words of the answer',
      crossWhat1: 'The model reads the image as {rows} × {columns} places among the tokens of its prompt, or through an encoder, and writes one token after another. In every layer the last token attends to all that came before; from what it gathers, the next token is predicted. These are the weights of that step: what the model looked at when it chose the word.',
      crossWhat2: '① Select a word below the image; if it is made of several pieces, these appear beside it. ② shows what the model attended to when it chose that word: dark is a low weight, bright a high one. Below stands the share that went to text. Or point at a place in the image and read which words looked there. ③ has one small map for each layer and head.',
      chooseObject: 'Select a word or a place', sceneHelp: 'The image. Arrow keys move the selected place, Home goes to the first, End to the last; the words that looked there are listed below.',
      crossName: 'What the model looked at for “{name}”', crossHelp: 'The weights of one step over the places of this image; they sum up to the share that went to it. “Compared with all words” divides them by the mean of all words at the same place, layer and head: places that every word looks at no longer stand out.', weights: 'Weights', relative: 'Compared with all words', highestPart: 'Highest: {token}, {share} the mean of all words', readoutPart: '{token}: {share} the mean of all words',
      wordsTitle: 'Words that looked here', wordsWhere: 'For the {patch}: the weight of each word on it. Each is from a step of its own, so they need not sum to 100%.',
      answerShares: '“{name}”: {pictures} of its attention went to images, {text} to text.', promptText: 'text of the prompt', wordsBefore: 'words before', otherPictures: 'other images and views', otherTokens: 'image tokens without a place',
      crossByLayer: 'Attention to images, by layer and head', wideTitle: 'Share on images', wideHelp: 'How much of the attention went to images when “{name}” was chosen.', wideHigh: '↑ share', wideLow: 'none', wideEven: 'uniform over all tokens',
      allLayers: 'mean of all layers', allShort: 'all', pictureName: 'image {number}', detail: 'in detail', overview: 'overview', seenPictures: 'Images, with their share of the attention', asked: 'Question: “{question}”',
      unlocated: 'Where its image tokens lie is not known, so each map is one place: the image as a whole.',
      exactMaps: 'The maps of {count} tokens are stored with 8 bits per weight: the error is at most 0.4% of the largest of its map. Shares were computed before rounding. A word of several tokens is shown as their mean.',
    },
    ko: {
      is: '모델이 이 이미지를 보고 쓴 글과, 단어마다 본 위치를 보여 줍니다.', sees: '답변', crossMode: '단어 → 이미지', others: '답변의 단어',
      crossWhat1: '모델은 이미지를 {rows} × {columns}개의 위치로, 프롬프트의 토큰으로 함께 읽거나 인코더를 거쳐 읽고, 토큰을 하나씩 씁니다. 층마다 마지막 토큰이 앞의 모든 토큰에 어텐션을 주고, 그렇게 모은 정보로 다음 토큰을 예측합니다. 여기 보이는 것은 그 단계의 가중치, 곧 그 단어를 고를 때 모델이 본 곳입니다.',
      crossWhat2: '① 이미지 아래에서 단어를 선택하세요. 여러 조각으로 된 단어는 조각이 옆에 나타납니다. ② 그 단어를 고를 때 모델이 어텐션을 준 곳입니다. 어두우면 가중치가 낮고, 밝으면 높습니다. 텍스트에 준 비율은 그 아래에 있습니다. 이미지의 한 위치를 가리키면 그곳을 본 단어가 나타납니다. ③ 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다.',
      chooseObject: '단어 또는 위치 선택', sceneHelp: '이미지. 화살표 키로 위치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 위치를 본 단어는 아래에 나옵니다.',
      crossName: '“{name}”을(를) 쓸 때 모델이 본 곳', crossHelp: '한 단계가 이 이미지의 위치들에 준 가중치입니다. 합은 이 이미지에 준 비율입니다. “모든 단어와 비교”는 같은 위치, 층, 헤드에서 모든 단어의 평균으로 나눕니다. 모든 단어가 보는 위치는 더 이상 두드러지지 않습니다.', weights: '가중치', relative: '모든 단어와 비교', highestPart: '최댓값: {token}, 모든 단어 평균의 {share}', readoutPart: '{token}: 모든 단어 평균의 {share}',
      wordsTitle: '이 위치를 본 단어', wordsWhere: '{patch}: 각 단어가 주는 가중치. 서로 다른 단계의 값이므로 합이 100%가 아닐 수 있습니다.',
      answerShares: '“{name}”: 어텐션의 {pictures}은(는) 이미지에, {text}은(는) 텍스트에 갔습니다.', promptText: '프롬프트의 텍스트', wordsBefore: '앞서 쓴 단어', otherPictures: '다른 이미지와 보기', otherTokens: '위치가 없는 이미지 토큰',
      crossByLayer: '층과 헤드별 이미지 어텐션', wideTitle: '이미지에 준 비율', wideHelp: '“{name}”을(를) 고를 때 어텐션이 이미지에 간 비율.', wideHigh: '↑ 비율', wideLow: '없음', wideEven: '균등 분포',
      allLayers: '모든 층의 평균', allShort: '전체', pictureName: '이미지 {number}', detail: '상세', overview: '전체 보기', seenPictures: '이미지와 각 이미지에 준 어텐션 비율', asked: '질문: “{question}”',
      unlocated: '이미지 토큰의 위치를 알 수 없어, 맵마다 이미지 전체를 한 위치로 보여 줍니다.',
      exactMaps: '토큰 {count}개의 맵은 가중치 하나에 8비트로 저장됩니다. 오차는 그 맵 최댓값의 0.4% 이하입니다. 비율은 반올림 전에 계산했습니다. 여러 토큰으로 된 단어는 그 평균입니다.',
    },
  };

  static summary({ page, say }) {
    const { question, answer, located } = page.targets;
    const lines = [question && h('p', { className: 'quiet' }, say('asked', { question })), h('p', { className: 'answer' }, answer), !located && h('p', { className: 'quiet' }, say('unlocated'))];
    return lines.filter(Boolean);
  }

  constructor(viewer, look) {
    super(viewer, look);
    look.viewer = viewer;
    this.shares = [];
    if (look.pictures.length > 1) viewer.state.frame = look.at;
  }

  /** Show another picture; the selected word stays. */
  turn(at) {
    const { look, viewer } = this;
    look.turn(at);
    Object.assign(this, { chosen: null, pointed: null });
    viewer.state.frame = at;
    viewer.pointed = null;
    this.lay();
    viewer.write();
  }

  show() {
    super.show();
    const { look, viewer: { state: { layer } } } = this;
    if (look.layers[layer]) this.list();
    else look.load(layer).then(() => look.layers[layer] && this.list());
  }

  /** All pictures small, with their share of the attention of the selected word. */
  list() {
    const { look, viewer: { say, token, state: { layer, head } } } = this;
    if (look.pictures.length < 2) return;
    const shares = look.shares(layer, head, token);
    get('seen-pictures').replaceChildren(...look.pictures.map((one, at) => {
      const button = h('button', { type: 'button', onclick: () => this.turn(at) }, h('img', { src: one.src, alt: '' }), h('span', {}, look.pictureName(one, say)), h('b', {}, look.amount(shares[at])));
      button.setAttribute('aria-pressed', String(at === look.at));
      return button;
    }));
  }

  /** The words that looked at a place, and how much, in the list and on the words themselves. */
  words() {
    const { look, viewer, viewer: { say, token, state: { layer, head } } } = this;
    if (!look.layers[layer]) return;
    const at = this.listed();
    const all = look.answers(layer, head, token, at);
    const most = Math.max(1e-9, ...all.map(([, x]) => x));
    get('words-where').textContent = say('wordsWhere', { patch: look.spot(at, say) });
    get('words').replaceChildren(...[...all].sort((a, b) => b[1] - a[1]).slice(0, MOST_WORDS).map(([word, x]) => bar(look.name(word), look.amount(x), x / most, () => viewer.pick(word))));
    this.tint(all.map(([, x]) => x / most));
  }

  /** The words of the answer in colour, by how much they looked at the place that is selected or pointed at. */
  tint(shares = this.shares) {
    this.shares = shares;
    const on = (this.pointed ?? this.chosen) !== null;
    get('chips').querySelectorAll('[data-token]').forEach((chip) => {
      chip.style.setProperty('--looked', `${on ? Math.round(100 * (shares[chip.dataset.token] ?? 0)) : 0}%`);
    });
  }

  charts(choose) {
    const { look, viewer: { say, token, state: { layer, head } } } = this;
    const infos = look.infos.slice(1);
    const share = (l, one) => look.kinds(l + 1, one, token).slice(0, 2).reduce((a, b) => a + b, 0);
    const series = infos.map((info, l) => Array.from({ length: info.heads }, (_, one) => share(l, one)));
    const even = Math.min(1, look.places / look.tokens);
    get('distance').hidden = true;
    this.tint(); // the words were written anew
    strips(get('entropy'), series, {
      chosen: { layer: layer - 1, head }, reference: even, end: Math.min(1, 1.1 * Math.max(0.01, even, ...series.flat())), choose: (l, one) => choose(l + 1, one),
      words: chartWords(say, 'wide', percent, { name: look.name(token) }),
    });
  }
}
