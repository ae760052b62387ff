// Image-text matching by cross-attention: the patches to which each word of a text attends.
import { get, h } from './dom.js';
import { PatchScene } from './patches.js';
import { ranking, RANKING_TEXTS } from './ranking.js';
import { amongSection } from './scene.js';
import { TargetLook } from './targets.js';
import { percent } from './texts.js';

/** The name of a word; one that occurs several times in `text`, the words of a text, is numbered. */
export function numbered(names, text, token) {
  const same = text.filter((word) => names[word] === names[token]);
  return same.length > 1 ? names[token] + [...String(same.indexOf(token) + 1)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]).join('') : names[token];
}

/** `token` is the index of a word; words of all texts are counted together, best text first. */
export class WordLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    let first = 0;
    this.texts = this.targets.texts.map((one) => {
      const range = { ...one, first, end: first + one.words };
      first = range.end;
      return range;
    });
    this.speaker = this.worst(0); // it decides
  }

  /** The index of the text of a word. */
  textOf(token) {
    return this.texts.findIndex((one) => token < one.end);
  }

  /** The word of a text with the lowest score. */
  worst(text) {
    const { scores } = this.targets;
    return this.chips(this.texts[text].first).reduce((worst, word) => (scores[word] < scores[worst] ? word : worst));
  }

  /** The words of the text of one of them. */
  chips(token) {
    const { first, words } = this.texts[this.textOf(token)];
    return Array.from({ length: words }, (_, i) => first + i);
  }

  /** A word that occurs several times in its text is numbered. */
  name(token) {
    return numbered(this.targets.names, this.chips(token), token);
  }

  score(token) {
    return percent(Number(this.targets.scores[token].toPrecision(3)));
  }

  outline() {
    return null;
  }

  inside(l, head, token, say) {
    const key = token === this.worst(this.textOf(token)) ? 'wordScoreLowest' : 'wordScore';
    return say(key, { name: this.name(token), score: this.score(token) });
  }

  patchOf(l, head, token) {
    const weights = this.weights(l, head, token);
    return weights.indexOf(Math.max(...weights));
  }

  answers(l, head, token, at) {
    return this.chips(token).map((word) => [word, this.weights(l, head, word)[at]]);
  }

  amount(x) {
    return percent(x);
  }

  /** What one word gives to the words of its text. */
  among(l, head, token) {
    const text = this.textOf(token);
    const { first } = this.texts[text];
    const heads = this.infos[l].among[text];
    const given = (head < 0 ? heads : [heads[head]]).map((one) => one[token - first]);
    const share = (i) => given.reduce((sum, row) => sum + row[i], 0) / given.length;
    const pairs = this.chips(token).map((word) => [word, share(word - first)]).filter(([word]) => word !== token);
    return { pairs: pairs.sort((a, b) => b[1] - a[1]), own: share(token - first), rest: 0 };
  }

  rest(say, known = 0) {
    return known && say('restWords', { count: known });
  }
}

export class WordScene extends PatchScene {
  static Look = WordLook;

  static section = amongSection();

  static texts = {
    en: {
      ...RANKING_TEXTS.en,
      is: 'Image-text matching: which patches of this image each word of a text attends to.', crossMode: 'Words attend to patches (cross-attention)',
      crossWhat1: 'The model splits the image into {rows} × {columns} patches. In every layer of its matching head each word attends to the other words and to all patches. How much it attends to each patch is a weight; the weights of one word sum to 100%. Each word then has a score, and a text fits about as well as its worst word.',
      crossWhat2: '① Select a word below the image, or point at a patch and read which words attend to it. ② shows what the selected word attends to: dark is a low weight, bright a high one. ③ has one small map for each layer and head, because heads attend in different ways. Click one to enlarge it.',
      chooseObject: 'Select a word or a patch',
      sceneHelp: 'The image. Arrow keys move the selected patch, Home goes to the first, End to the last; the words that attend to it are listed below.',
      others: 'Words of the text, with their scores', crossName: 'What the word attends to',
      crossHelp: 'The weights of the selected word over the patches; they sum to 100%.', wordScore: 'Score of “{name}”: {score}.',
      wordScoreLowest: 'Score of “{name}”: {score}, the lowest of its text.', chooseText: 'Click a text to see its words.',
      wordsTitle: 'Words that attend to this patch', wordsWhere: 'For the {patch}: the weight of each word on it. Each is from a row of its own, so they need not sum to 100%.',
      amongTitle: 'Attention to other words', amongWhere: 'Attention of “{name}” to the words of its text in layer {layer}, {head}, before it attends to the patches.',
      restWords: '{count} other words', crossByLayer: 'Entropy of each head',
      wideHelp: 'How broadly the attention of “{name}” is spread over the patches: from 0 to {most}.',
      exactMaps: 'The maps of {count} words are stored with 8 bits per weight: the error is at most 0.4% of the largest of its map. Scores, entropies and weights between words were computed before rounding.',
    },
    ko: {
      ...RANKING_TEXTS.ko,
      is: '이미지–텍스트 매칭: 텍스트의 단어마다 이 이미지의 어떤 패치에 어텐션을 주는지 보여 줍니다.', crossMode: '단어 → 패치 (크로스 어텐션)',
      crossWhat1: '모델은 이미지를 {rows} × {columns}개의 패치로 나눕니다. 매칭 헤드의 층마다 각 단어는 다른 단어들과 모든 패치에 어텐션을 줍니다. 각 패치에 주는 양이 가중치이며, 한 단어의 가중치 합은 100%입니다. 그다음 단어마다 점수가 있고, 텍스트는 대략 가장 맞지 않는 단어만큼 맞습니다.',
      crossWhat2: '① 이미지 아래 단어를 선택하거나, 패치를 가리켜 그 패치에 어텐션을 주는 단어를 읽으세요. ② 선택한 단어의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      chooseObject: '단어 또는 패치 선택', sceneHelp: '이미지. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 패치에 어텐션을 주는 단어는 아래에 나옵니다.',
      others: '텍스트의 단어와 점수', crossName: '단어의 어텐션', crossHelp: '선택한 단어가 패치들에 주는 가중치입니다. 합은 100%입니다.', wordScore: '“{name}”의 점수: {score}.',
      wordScoreLowest: '“{name}”의 점수: {score}. 이 텍스트에서 가장 낮습니다.', chooseText: '텍스트를 클릭하면 그 단어들이 나타납니다.',
      wordsTitle: '이 패치에 어텐션을 주는 단어', wordsWhere: '{patch}: 각 단어가 주는 가중치. 서로 다른 행의 값이므로 합이 100%가 아닐 수 있습니다.',
      amongTitle: '다른 단어에 주는 어텐션', amongWhere: '{layer}층, {head}: 패치에 어텐션을 주기 전에 “{name}”이(가) 같은 텍스트의 단어들에 주는 어텐션.',
      restWords: '다른 단어 {count}개', crossByLayer: '헤드별 엔트로피', wideHelp: '“{name}”의 어텐션이 패치들에 퍼진 정도: 0부터 {most}까지.',
      exactMaps: '단어 {count}개의 맵은 가중치 하나에 8비트로 저장됩니다. 오차는 그 맵 최댓값의 0.4% 이하입니다. 점수, 엔트로피, 단어 사이의 가중치는 반올림 전에 계산했습니다.',
    },
  };

  /** The texts, best first. */
  static summary({ scene }) {
    return scene ? scene.list() : [];
  }

  show() {
    super.show();
    this.listAttention();
    const chosen = this.look.textOf(this.viewer.token);
    get('predictions').querySelectorAll('button').forEach((line, i) => line.setAttribute('aria-pressed', String(i === chosen)));
  }

  /** A click on a text selects its worst word. */
  list() {
    const { look, viewer, viewer: { say } } = this;
    const several = look.texts.length > 1;
    const clicks = { choose: (i) => viewer.pick(look.worst(i)), count: several ? look.texts.length : 0, chosen: look.textOf(viewer.token) };
    const lines = ranking(look.targets.comparison, say, clicks);
    return several ? [h('p', { className: 'quiet' }, say('chooseText')), ...lines] : lines;
  }
}
