// A generated picture: where each word of the prompt acts on it, at every sampling step.
import { inflate, readPlane } from './attend.js';
import { paint } from './colour.js';
import { get, h } from './dom.js';
import { PatchScene } from './patches.js';
import { TargetLook } from './targets.js';
import { figure, percent } from './texts.js';
import { numbered } from './words.js';

const MOST_EXPLAINED = 12; // words in the table of numbers, besides the selected one

/**
 * `token` is the index of a word. Maps are those of the chosen step. A map is a column of the attention: of each patch,
 * the weights of all words sum to 1.
 */
export class PaintingLook extends TargetLook {
  constructor(page, packed) {
    super(page, packed);
    this.steps = this.targets.steps;
    [this.speaker, this.start] = this.targets.start;
    this.words = this.targets.names.length;
    this.turn(Math.max(0, this.steps.findLastIndex(({ step }) => step <= this.targets.self_step)));
  }

  turn(step) {
    this.step = step;
    this.infos.forEach((info) => (info.entropy = info.entropies[step]));
  }

  /** Scores of all steps, whole multiples of a quantum: by step, head, word and patch. */
  load(l) {
    this.coming[l] ??= inflate(this.packed(l)).then((bytes) => {
      const info = this.infos[l];
      const scores = new Int16Array(this.steps.length * info.heads * this.words * this.patches);
      for (let plane = 0, at = 0; plane * this.patches < scores.length; plane++) {
        const out = scores.subarray(plane * this.patches, (plane + 1) * this.patches);
        at = readPlane(bytes, at, info.planes.slice(3 * plane, 3 * plane + 3), out, this.page.grid);
      }
      this.layers[l] = { ...info, scores, maps: new Map() };
      return this.layers[l];
    });
    return this.coming[l];
  }

  /** The scaled score of a patch with a word, without the log of the word's weight in the prompt. */
  scoreOf(data, step, head, word, at) {
    return data.quantum * data.scores[((step * data.heads + head) * this.words + word) * this.patches + at];
  }

  /** The maps of all words: the softmax over them, patch by patch. */
  softmax(data, step, head) {
    const key = step * data.heads + head;
    if (!data.maps.has(key)) {
      const { words, patches, targets: { bias } } = this;
      const out = new Float32Array(words * patches);
      for (let at = 0; at < patches; at++) {
        const scores = bias.map((extra, word) => this.scoreOf(data, step, head, word, at) + extra);
        const most = Math.max(...scores);
        const powers = scores.map((x) => Math.exp(x - most));
        const sum = powers.reduce((a, b) => a + b, 0);
        powers.forEach((x, word) => (out[word * patches + at] = x / sum));
      }
      data.maps.set(key, out);
    }
    return data.maps.get(key);
  }

  see(data, head, token) {
    return this.softmax(data, this.step, head).subarray(token * this.patches, (token + 1) * this.patches);
  }

  /** The map of a word at each step. */
  through(l, head, token) {
    const now = this.step;
    const maps = this.steps.map((_, step) => {
      this.step = step;
      return this.weights(l, head, token);
    });
    this.step = now;
    return maps;
  }

  /** A word that occurs several times is numbered. */
  name(token) {
    return numbered(this.targets.names, this.chips(), token);
  }

  /** The weight of a word in the prompt, where it is not 1. */
  score(token) {
    const weight = Math.exp(this.targets.bias[token]);
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
    return say('wordMean', { name: this.name(token), share: percent(Number(share.toPrecision(3))), words: this.tokens });
  }

  patchOf(l, head, token) {
    const weights = this.weights(l, head, token);
    return weights.indexOf(Math.max(...weights));
  }

  answers(l, head, token, at) {
    return this.chips().map((word) => [word, this.weights(l, head, word)[at]]);
  }

  amount(x) {
    return percent(x);
  }
}

export class PaintingScene extends PatchScene {
  static Look = PaintingLook;

  static section = `
  <section class="part" aria-labelledby="through-title" data-mode="cross">
    <h2 id="through-title" data-say="throughTitle"></h2>
    <p class="quiet" id="through-where"></p>
    <div id="through"></div>
  </section>
  <section class="part" aria-labelledby="word-how-title" data-mode="cross">
    <h2 id="word-how-title" data-say="how"></h2>
    <p class="quiet" id="word-how-where"></p>
    <div class="scroll"><table id="word-numbers"></table></div>
  </section>`;

  static texts = {
    en: {
      is: 'Text to image: where each word of the prompt acts on the picture, while it is being painted.',
      sees: 'Generated picture', painted: 'Painted for the prompt “{prompt}”, from noise in {count} steps.',
      'fact sampler': 'sampler:', 'fact guidance': 'guidance:', 'fact seed': 'seed:', 'fact negative': 'negative prompt:',
      crossMode: 'Patches attend to words (cross-attention)', selfMode: 'Patches attend to patches (self-attention, step {step})',
      crossWhat1: 'The model paints {rows} × {columns} patches. It starts from noise and, step by step, predicts the picture. In every layer each patch attends to the words of the prompt. How much it attends to each word is a weight; the weights of one patch over all words sum to 100 %.',
      crossWhat2: '① Select a word, or point at a patch and read which words it attends to. The picture is what the model predicts at this step; choose the step with the slider below. ② shows how much each patch attends to the selected word: dark is a low weight, bright a high one. ③ has one small map for each layer and head. Click one to enlarge it.',
      what1: 'The model paints {rows} × {columns} patches. In every layer each patch also attends to all patches, to some more than to others. How much it attends to each one is a weight; the weights of one patch sum to 100 %. This view holds one of the steps.',
      chooseObject: 'Select a word, or point at a patch',
      sceneHelp: 'The picture as predicted at this step. Arrow keys move the selected patch, Home goes to the first, End to the last; the words it attends to are listed below.',
      others: 'Words of the prompt', crossName: 'Where the word acts',
      crossHelp: 'The weight of each patch on the selected word. Each is from a row of its own: the words of one patch sum to 100 %, the patches of one word do not.',
      wordMean: 'Mean weight of the patches on “{name}”: {share}. Uniform is 1/N for N = {words} tokens.',
      wordsTitle: 'Words that this patch attends to', wordsWhere: 'For the {patch}: its weight on each word, which sum to 100 %.',
      step: 'Step', stepName: '{step} of {count}', throughTitle: 'The selected word through the steps',
      throughWhere: 'Above, the picture as predicted at each step; below, the weight of each patch on “{name}” (layer {layer}, {head}), all on one scale from 0 to {end}. Click a step to select it.',
      frame: 'Step {step}', crossByLayer: 'Entropy of each head', wideHelp: 'How broadly the map of “{name}” is spread over the patches at this step: from 0 to {most}.',
      wordHowWhere: 'For the {patch}, step {step}, layer {layer}, head {head}: its query q and the key k of each word.', wordHowMean: 'The mean of all heads has no query of its own, so the numbers are those of head {head}.',
      word: 'Word', bias: '+ log of its weight in the prompt', wordSum: 'sum over all {count} words', restWords: '{count} other words', exp: 'exp(score − lse), lse = {lse}',
      exactMaps: 'The maps of {count} words are computed here from scores stored as multiples of 0.002 (or coarser, where scores are larger than 64): a weight is off by at most 0.2 % of itself.',
    },
    ko: {
      is: '텍스트 → 이미지: 그림이 그려지는 동안 프롬프트의 단어마다 그림의 어디에 작용하는지 보여 줍니다.',
      sees: '생성된 그림', painted: '프롬프트 “{prompt}”(으)로 노이즈에서 {count}단계에 걸쳐 그렸습니다.',
      'fact sampler': '샘플러:', 'fact guidance': '가이던스:', 'fact seed': '시드:', 'fact negative': '네거티브 프롬프트:',
      crossMode: '패치 → 단어 (크로스 어텐션)', selfMode: '패치 → 패치 (셀프 어텐션, {step}단계)',
      crossWhat1: '모델은 {rows} × {columns}개의 패치를 그립니다. 노이즈에서 시작해 단계마다 그림을 예측합니다. 층마다 각 패치는 프롬프트의 단어들에 어텐션을 줍니다. 각 단어에 주는 양이 가중치이며, 한 패치의 가중치를 모든 단어에 걸쳐 더하면 100 %입니다.',
      crossWhat2: '① 단어를 선택하거나, 패치를 가리켜 그 패치가 어텐션을 주는 단어를 읽으세요. 그림은 이 단계에서 모델이 예측한 것이며, 아래 슬라이더로 단계를 고릅니다. ② 각 패치가 선택한 단어에 주는 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 층과 헤드마다 작은 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      what1: '모델은 {rows} × {columns}개의 패치를 그립니다. 층마다 각 패치는 모든 패치에도 어텐션을 주며, 어떤 패치에는 더 많이 줍니다. 각 패치에 주는 양이 가중치이며, 한 패치의 가중치 합은 100 %입니다. 여기에는 한 단계만 있습니다.',
      chooseObject: '단어를 선택하거나 패치를 가리키기',
      sceneHelp: '이 단계에서 예측한 그림. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 패치가 어텐션을 주는 단어는 아래에 나옵니다.',
      others: '프롬프트의 단어', crossName: '단어가 작용하는 곳',
      crossHelp: '각 패치가 선택한 단어에 주는 가중치입니다. 서로 다른 행의 값이어서, 한 패치의 단어들은 합이 100 %이지만 한 단어의 패치들은 그렇지 않습니다.',
      wordMean: '패치들이 “{name}”에 주는 평균 가중치: {share}. 균등은 토큰 N = {words}개일 때 1/N입니다.',
      wordsTitle: '이 패치가 어텐션을 주는 단어', wordsWhere: '{patch}: 각 단어에 주는 가중치. 합은 100 %입니다.',
      step: '단계', stepName: '{step} / {count}', throughTitle: '단계에 따른 선택한 단어',
      throughWhere: '위는 단계마다 예측한 그림, 아래는 각 패치가 “{name}”에 주는 가중치({layer}층, {head})이며 모두 0부터 {end}까지의 한 눈금입니다. 단계를 클릭해 선택하세요.',
      frame: '{step}단계', crossByLayer: '헤드별 엔트로피', wideHelp: '이 단계에서 “{name}”의 맵이 패치들에 퍼진 정도: 0부터 {most}까지.',
      wordHowWhere: '{patch}, {step}단계, {layer}층, 헤드 {head}: 이 패치의 쿼리 q와 각 단어의 키 k.', wordHowMean: '모든 헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수를 보여 줍니다.',
      word: '단어', bias: '+ 프롬프트 가중치의 로그', wordSum: '단어 {count}개의 합', restWords: '다른 단어 {count}개', exp: 'exp(점수 − lse), lse = {lse}',
      exactMaps: '단어 {count}개의 맵은 0.002의 배수로 저장한 점수(점수가 64보다 크면 더 거칠게)로 여기서 계산합니다. 가중치의 오차는 그 값의 0.2 % 이하입니다.',
    },
  };

  constructor(viewer, look) {
    super(viewer, look);
    const asked = Number(new URLSearchParams(window.location.hash.slice(1)).get('step'));
    if (Number.isInteger(asked) && asked >= 1 && asked <= look.steps.length) look.turn(asked - 1);
    viewer.state.step = look.step;
    this.slider = h('input', { type: 'range', id: 'step', min: 1, max: look.steps.length, step: 1 });
    this.slider.oninput = () => this.turn(this.slider.value - 1);
    this.stepName = h('output', { id: 'step-name', htmlFor: 'step' });
    const name = h('span');
    name.dataset.say = 'step';
    const label = h('label', {}, name, this.slider, this.stepName);
    label.dataset.mode = 'cross';
    document.querySelector('.controls').prepend(label);
    this.frames = look.steps.map(({ src }, step) => h('button', { type: 'button', tabIndex: -1, onclick: () => this.turn(step) },
      ...(src ? [h('img', { src, alt: '', className: look.page.picture.width < 160 ? 'pixels' : '' })] : []), h('canvas'), h('span', {}, String(look.steps[step].step + 1))));
    get('through').replaceChildren(...this.frames);
  }

  /** What is selected first of the self-attention. */
  static start = (look) => ({ token: look.middle, view: 'row' });

  /** The picture and its prompt. */
  static summary({ page, say }) {
    const { prompt, of } = page.targets;
    const picture = h('img', { src: page.picture.src, alt: '', className: 'painted' });
    return [picture, h('p', { className: 'quiet' }, say('painted', { prompt, count: of }))];
  }

  /** Choose a step. */
  turn(step) {
    this.look.turn(step);
    this.viewer.state.step = step;
    this.viewer.filled = ''; // the small maps are those of another step
    this.viewer.refresh();
    this.controls();
    get('live').textContent = this.stepName.textContent;
  }

  controls() {
    const { look, viewer: { say, state: { mode } } } = this;
    const { src: predicted, step } = look.steps[look.step];
    const src = predicted ?? look.page.picture.src;
    const facts = { step: step + 1, count: look.targets.of };
    this.slider.value = look.step + 1;
    this.stepName.textContent = say('stepName', facts);
    this.stage.querySelector('img').src = src;
    get('map').querySelector('img').src = mode === 'cross' ? src : look.page.picture.src;
    if (!look.infos[0].scale) get('word-how-title').parentElement.hidden = true; // only weights are known
    this.frames.forEach((frame, one) => {
      frame.setAttribute('aria-pressed', String(one === look.step));
      frame.setAttribute('aria-label', say('frame', { step: look.steps[one].step + 1 }));
    });
  }

  words() {
    super.words();
    if (!this.look.layers[this.viewer.state.layer]) return;
    this.film();
    if (this.look.infos[0].scale) this.explain();
  }

  /** The map of the selected word at each step. */
  film() {
    const { look, viewer: { say, token, state: { layer, head, log, language } } } = this;
    const drawn = [token, layer, head, log, language].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const maps = look.through(layer, head, token);
    const end = Math.max(...maps.map((map) => look.peak(map)));
    maps.forEach((map, step) => paint(this.frames[step].querySelector('canvas'), map, 0, look.page.grid, end, log));
    const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    get('through-where').textContent = say('throughWhere', { name: look.name(token), layer: layer + 1, head: heads, end: percent(Number(end.toPrecision(3))) });
  }

  /** How a patch's query and the words' keys become weights. */
  explain() {
    const { look, viewer: { say, token, state: { layer, head: chosen, named } } } = this;
    const data = look.layers[layer];
    const head = Math.min(chosen < 0 ? named : chosen, data.heads - 1);
    const at = this.listed();
    const scores = look.chips().map((word) => look.scoreOf(data, look.step, head, word, at));
    const { bias } = look.targets;
    const lse = Math.log(scores.reduce((sum, score, word) => sum + Math.exp(score + bias[word]), 0));
    const weights = scores.map((score, word) => Math.exp(score + bias[word] - lse));
    const order = look.chips().sort((a, b) => weights[b] - weights[a]);
    const shown = order.filter((word, i) => i < MOST_EXPLAINED || word === token);
    const weighted = bias.some((x) => x);
    const number = (...children) => h('td', { className: 'number' }, ...children);
    const line = (word) => h('tr', { className: word === token ? 'pointed' : '' }, h('td', {}, look.name(word)),
      number(figure(scores[word] / data.scale)), number(figure(scores[word])), ...(weighted ? [number(figure(bias[word]))] : []),
      number(`exp(${figure(scores[word] + bias[word])} − ${figure(lse).replace('−', '−\u2060')})`), number(h('b', {}, percent(weights[word]))));
    const rest = order.length - shown.length;
    const span = { colSpan: weighted ? 5 : 4 };
    const lines = shown.map(line);
    if (rest) lines.push(h('tr', {}, h('td', span, say('restWords', { count: rest })), number(percent(1 - shown.reduce((sum, word) => sum + weights[word], 0)))));
    lines.push(h('tr', { className: 'sum' }, h('td', span, say('wordSum', { count: look.words })), number(percent(weights.reduce((a, b) => a + b, 0)))));
    const titles = [say('word'), 'q·k', say('score', { scale: figure(data.scale) }), ...(weighted ? [say('bias')] : []), say('exp', { lse: figure(lse) }), say('weight')];
    get('word-numbers').replaceChildren(h('thead', {}, h('tr', {}, ...titles.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...lines));
    const facts = { patch: look.spot(at, say), step: look.steps[look.step].step + 1, layer: layer + 1, head: head + 1 };
    get('word-how-where').textContent = `${say('wordHowWhere', facts)} ${chosen < 0 ? say('wordHowMean', facts) : ''}`;
  }
}

/** A pipeline of another library: its weights alone, without predictions by step. */
export class PipelineScene extends PaintingScene {
  static texts = {
    en: {
      ...PaintingScene.texts.en,
      is: 'Text to image: where each word of the prompt acts on the picture, at every evaluation of the network.',
      crossWhat1: 'The network paints {rows} × {columns} patches; layers with fewer, larger ones are shown on this grid. In every layer each patch attends to the tokens of the prompt, by cross-attention or together with the patches. The weight of a word is that of all its tokens; “(other)” is all that is no word: begin, end, padding, and with joint attention the patches. All together sum to 100 % for each patch.',
      crossWhat2: '① Select a word, or point at a patch and read which words it attends to. The picture is the finished one; choose the evaluation with the slider below. ② shows how much each patch attends to the selected word: dark is a low weight, bright a high one. ③ has one small map for each layer and head. Click one to enlarge it.',
      sceneHelp: 'The picture. Arrow keys move the selected patch, Home goes to the first, End to the last; the words it attends to are listed below.',
      crossMode: 'Patches attend to words', step: 'Evaluation', frame: 'Evaluation {step}', throughTitle: 'The selected word through the evaluations',
      throughWhere: 'The weight of each patch on “{name}” at each evaluation (layer {layer}, {head}), all on one scale from 0 to {end}. Click one to select it.',
      wideHelp: 'How broadly the map of “{name}” is spread over the patches at this evaluation: from 0 to {most}.',
      painted: 'Painted for the prompt “{prompt}”, from noise in {count} evaluations.',
      exactMaps: 'The maps are stored as logs of weights, as multiples of 0.002: a weight is off by at most 0.2 % of itself, and those below one in a billion are shown as that.',
    },
    ko: {
      ...PaintingScene.texts.ko,
      is: '텍스트 → 이미지: 네트워크를 계산할 때마다 프롬프트의 단어가 그림의 어디에 작용하는지 보여 줍니다.',
      crossWhat1: '네트워크는 {rows} × {columns}개의 패치를 그리며, 더 크고 적은 패치의 층도 이 격자에 나타냅니다. 층마다 각 패치는 크로스 어텐션으로, 또는 패치들과 함께 프롬프트의 토큰에 어텐션을 줍니다. 단어의 가중치는 그 토큰 모두의 합이고, “(other)”는 단어가 아닌 모든 것(시작, 끝, 채움, 결합 어텐션에서는 패치)입니다. 한 패치에서 모두 더하면 100 %입니다.',
      crossWhat2: '① 단어를 선택하거나, 패치를 가리켜 그 패치가 어텐션을 주는 단어를 읽으세요. 그림은 완성된 것이며, 아래 슬라이더로 계산 순서를 고릅니다. ② 각 패치가 선택한 단어에 주는 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 층과 헤드마다 작은 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      sceneHelp: '그림. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 패치가 어텐션을 주는 단어는 아래에 나옵니다.',
      crossMode: '패치 → 단어', step: '계산', frame: '계산 {step}', throughTitle: '계산 순서에 따른 선택한 단어',
      throughWhere: '계산할 때마다 각 패치가 “{name}”에 주는 가중치({layer}층, {head})이며 모두 0부터 {end}까지의 한 눈금입니다. 클릭해 선택하세요.',
      wideHelp: '이 계산에서 “{name}”의 맵이 패치들에 퍼진 정도: 0부터 {most}까지.',
      painted: '프롬프트 “{prompt}”(으)로 노이즈에서 {count}번 계산해 그렸습니다.',
      exactMaps: '맵은 가중치의 로그를 0.002의 배수로 저장합니다. 가중치의 오차는 그 값의 0.2 % 이하이며, 10억분의 1보다 작은 값은 그 값으로 나타냅니다.',
    },
  };
}
