// Image-text matching by attribution: what each pair of a word and a patch adds to the similarity.
import { h } from './dom.js';
import { PatchScene } from './patches.js';
import { ranking, RANKING_TEXTS } from './ranking.js';
import { TargetLook } from './targets.js';
import { figure } from './texts.js';

const HALF = 127; // bytes of one sign

/** An attribution, with its sign. */
export const part = (x) => {
  const decimals = x ? Math.min(7, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(x))))) : 0;
  return `${x > 0 ? '+' : ''}${x.toFixed(decimals).replace('-', '−')}`;
};

/** The same face as TargetLook: `token` is the index of a word, or past the last one the whole text. */
export class AttributionLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    this.tokens = this.patches;
    this.last = this.targets.names.length;
    this.views = ['positive', 'negative'];
    this.start = 0; // the layer at whose input every token holds its own patch or word
    const sums = this.infos[0].sums.slice(0, this.targets.special ? -1 : undefined);
    this.speaker = sums.indexOf(Math.max(...sums));
  }

  /** The attribution to word `head` and each patch; with view "negative", of opposite sign. */
  see(data, head, _, view) {
    const scale = (view === 'negative' ? -1 : 1) * data.largest[head] / HALF ** 2;
    const from = head * this.patches;
    return Float32Array.from(data.bytes.subarray(from, from + this.patches), (byte) => {
      const t = byte - HALF - 1;
      return scale * t * Math.abs(t);
    });
  }

  weights(l, _, token, view) {
    const words = token === this.last ? [...Array(this.last).keys()] : [token];
    return this.joined(words.map((word) => this.see(this.layers[l], word, token, view)));
  }

  /** Of all words together. */
  joined(maps) {
    return maps.reduce((sum, map) => sum.map((x, j) => x + map[j]), new Float32Array(this.patches));
  }

  peak(weights) {
    return Math.max(1e-9, ...weights);
  }

  /** A number of a map as text, with its own sign. */
  format(x, view) {
    return part(view === 'negative' && x ? -x : x);
  }

  name(token, say) {
    if (token === this.last) return say('wholeText');
    return this.targets.special && token === this.last - 1 ? say('special') : this.targets.names[token];
  }

  /** Its sum over the patches, at the first of the layers. */
  score(token) {
    return part(this.sum(0, token));
  }

  sum(l, token, of = 'sums') {
    const values = this.infos[l][of];
    return token === this.last ? values.reduce((a, b) => a + b, 0) : values[token];
  }

  outline() {
    return null;
  }

  outside() {
    return [];
  }

  inside(l, _, token, say) {
    const weights = this.layers[l] && this.weights(l, -1, token, 'positive');
    if (!weights) return '';
    const signed = (sign) => weights.reduce((sum, x) => sum + (x * sign > 0 ? x : 0), 0);
    const facts = { name: this.name(token, say), sum: part(this.sum(l, token)), elsewhere: part(this.sum(l, token, 'elsewhere')) };
    const rest = Math.abs(this.sum(l, token, 'elsewhere')) < 1e-6 ? '' : ` ${say('addsElsewhere', facts)}`;
    return say('adds', { ...facts, plus: part(signed(1)), minus: part(signed(-1)) }) + rest;
  }

  // the words of a patch

  /** The patch of the word's highest attribution. */
  patchOf(l, _, token) {
    const own = this.weights(l, -1, token, 'positive');
    return own.indexOf(Math.max(...own));
  }

  answers(l, _, token, at) {
    return this.targets.names.map((_name, word) => [word, this.see(this.layers[l], word, word, 'positive')[at]]);
  }

  amount(x) {
    return part(x);
  }

  // the small maps: one column per word

  column(i, say) {
    return this.name(i, say);
  }

  columnOf(token) {
    return token === this.last ? -1 : token;
  }

  /** What clicking a small map selects. */
  cell(layer, column) {
    return { layer, token: column < 0 ? this.last : column };
  }
}

export class AttributionScene extends PatchScene {
  static Look = AttributionLook;

  static texts = {
    en: {
      ...RANKING_TEXTS.en,
      wholeText: 'whole text', special: '(begin and end)', positive: 'Positive', negative: 'Negative',
      textSimilarity: 'The text “{text}” and this image have a similarity of {similarity} (a cosine, from −1 to 1).',
      similarityParts: 'Pairs of a word and a part of the image contribute {shared} of it; {rest} is what an empty image or an empty text has as well.',
      adds: '{name} adds {sum}, summed over the patches: {plus} positive, {minus} negative.',
      addsElsewhere: 'From image tokens that are not patches: {elsewhere}.', wordsTitle: 'Words that correspond to this patch',
      wordsWhere: 'For the {patch}: its attribution together with each word, positive or negative.', readoutPart: '{token}: {share}',
      highestPart: 'Highest: {token}, {share}', crossLayer: 'Depth', crossEvery: 'Every word, at three depths',
      crossMode: 'Words and patches (attribution)', is: 'Image-text matching: which words of a text correspond to which patches of this image.',
      crossWhat1: 'The model turns the image, split into {rows} × {columns} patches, into one vector, and the text into another; the more similar the vectors, the better the match. Words and patches do not attend to each other in this model. But the similarity can be attributed exactly to pairs of a word and a patch (Möller et al. 2025).',
      crossWhat2: '① Select a word below the image, or point at a patch and read which words correspond to it. ② shows which patches correspond to the selected word: dark is zero, bright is a high attribution. Some attributions are negative; the switch below shows those. ③ has one small map for each word, at the input of the first (1), a middle (2) and the last layer (3). Early, every token still holds its own patch or word; late, much has moved to tokens without a position.',
      chooseObject: 'Select a word or a patch',
      sceneHelp: 'The image. Arrow keys move the selected patch, Home goes to the first, End to the last; the words that correspond to it are listed below.',
      others: 'Words of the text, or tokens without a position in the image', crossName: 'Positive attribution', negativeName: 'Negative attribution',
      crossHelp: 'The attribution of the similarity to the selected word and each patch: a part of the cosine, positive or negative.',
      exactMaps: 'The maps of {count} words are stored with 8 bits per attribution: the error is at most 0.8% of the largest of its map. Sums were computed before rounding.',
    },
    ko: {
      ...RANKING_TEXTS.ko,
      wholeText: '텍스트 전체', special: '(시작과 끝)', positive: '양의 기여', negative: '음의 기여',
      textSimilarity: '텍스트 “{text}”과(와) 이 이미지의 유사도는 {similarity}입니다(코사인, −1부터 1까지).',
      similarityParts: '그중 {shared}은(는) 단어와 이미지 부분의 쌍이 기여하고, {rest}은(는) 빈 이미지나 빈 텍스트에도 있는 값입니다.',
      adds: '{name}: 패치 전체에서 {sum}을(를) 더합니다(양 {plus}, 음 {minus}).', addsElsewhere: '패치가 아닌 이미지 토큰에서는 {elsewhere}.', wordsTitle: '이 패치에 대응하는 단어',
      wordsWhere: '{patch}: 각 단어와 함께 유사도에 기여하는 정도(양 또는 음).', readoutPart: '{token}: {share}', highestPart: '최댓값: {token}, {share}', crossLayer: '깊이',
      crossEvery: '모든 단어, 세 깊이에서', crossMode: '단어와 패치 (기여도)', is: '이미지–텍스트 매칭: 텍스트의 어떤 단어가 이 이미지의 어떤 패치에 대응하는지 보여 줍니다.',
      crossWhat1: '모델은 {rows} × {columns}개의 패치로 나눈 이미지를 벡터 하나로, 텍스트를 또 하나의 벡터로 바꿉니다. 두 벡터가 비슷할수록 잘 맞습니다. 이 모델에서 단어와 패치는 서로에게 어텐션을 주지 않습니다. 그러나 유사도는 단어와 패치의 쌍이 기여하는 값으로 정확히 나눌 수 있습니다(Möller et al. 2025).',
      crossWhat2: '① 이미지 아래 단어를 선택하거나, 패치를 가리켜 대응하는 단어를 읽으세요. ② 선택한 단어에 대응하는 패치가 나타납니다. 어두우면 0, 밝으면 기여도가 높습니다. 음의 기여도 있으며, 아래 단추로 볼 수 있습니다. ③ 단어마다 작은 어텐션 맵이 하나씩 있습니다: 첫 층(1), 가운데 층(2), 마지막 층(3)의 입력에서. 앞에서는 토큰이 자기 패치나 단어만 담고 있고, 뒤에서는 위치가 없는 토큰으로 많이 옮겨 갑니다.',
      chooseObject: '단어 또는 패치 선택', sceneHelp: '이미지. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 대응하는 단어는 아래에 나옵니다.',
      others: '텍스트의 단어 또는 이미지 안에 위치가 없는 토큰', crossName: '양의 기여', negativeName: '음의 기여',
      crossHelp: '선택한 단어와 각 패치의 쌍이 유사도에 기여하는 값입니다. 코사인의 일부이며, 양 또는 음입니다.',
      exactMaps: '단어 {count}개의 맵은 값 하나에 8비트로 저장됩니다. 오차는 그 맵 최댓값의 0.8% 이하입니다. 합은 반올림 전에 계산했습니다.',
    },
  };

  /** The similarity, and its parts. */
  static summary({ scene }) {
    return scene ? scene.list() : [];
  }

  /** The similarity, and its parts. */
  list() {
    const { look: { targets, infos }, viewer: { say } } = this;
    const facts = { text: targets.text, similarity: figure(targets.similarity, 3), shared: part(infos[0].shared) };
    const rest = part(targets.similarity - infos[0].shared);
    const lines = [h('p', {}, say('textSimilarity', facts)), h('p', { className: 'quiet' }, say('similarityParts', { ...facts, rest }))];
    return targets.comparison ? [...ranking(targets.comparison, say), ...lines] : lines;
  }
}
