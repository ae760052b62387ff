// A generated picture: where each word of the prompt acts on it, at every sampling step.
import { paint } from './colour.js';
import { get, h, segmented } from './dom.js';
import { PaintedLook } from './painted.js';
import { PatchScene } from './patches.js';
import { figure, percent } from './texts.js';

const MOST_EXPLAINED = 12; // words in the table of numbers, besides the selected one
const TEXT_KEYS = ['prompt', 'negative']; // by their number in the look
const MOST_PLACES = 3; // of each source below it

export class PaintingScene extends PatchScene {
  static Look = PaintedLook;

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
      'fact from': 'painted from:', 'fact style': 'style:',
      crossMode: 'Patches attend to words (cross-attention)', selfMode: 'Patches attend to patches (self-attention, step {step})',
      crossWhat1: 'The model paints {rows} × {columns} patches. It starts from noise and, step by step, predicts the picture. In every layer each patch attends to the words of the prompt. How much it attends to each word is a weight; the weights of one patch over all words sum to 100%.',
      crossWhat2: '① Select a word, or point at a patch and read which words it attends to. The picture is what the model predicts at this step; choose the step with the slider below. ② shows how much each patch attends to the selected word: dark is a low weight, bright a high one. ③ has one small map for each layer and head. Click one to enlarge it.',
      what1: 'The model paints {rows} × {columns} patches. In every layer each patch also attends to all patches, to some more than to others. How much it attends to each one is a weight; the weights of one patch sum to 100%. This view holds one of the steps.',
      chooseObject: 'Select a word or a patch',
      sceneHelp: 'The picture as predicted at this step. Arrow keys move the selected patch, Home goes to the first, End to the last; the words it attends to are listed below.',
      others: 'Words of the prompt', crossName: 'Where the word acts',
      text: 'Text', prompt: 'Prompt', negative: 'Negative prompt', negativeWords: 'Words of the negative prompt',
      textHelp: 'Where a step is guided, the model predicts twice: with the prompt, and with the negative prompt “{negative}”, from which the result moves away. These are the weights with the negative prompt.',
      crossHelp: 'The weight of each patch on the selected word. Each is from a row of its own: the words of one patch sum to 100%, the patches of one word do not.',
      wordMean: 'Mean weight of the patches on “{name}”: {share}. Uniform is 1/N for N = {words} tokens.',
      wordsTitle: 'Words that this patch attends to', wordsWhere: 'For the {patch}: its weight on each word, which sum to 100%.',
      step: 'Step', stepName: '{step} of {count}', throughTitle: 'The selected word through the steps',
      throughWhere: 'Above, the picture as predicted at each step; below, the weight of each patch on “{name}” (layer {layer}, {head}), all on one scale from 0 to {end}. Click a step to select it.',
      frame: 'Step {step}', crossByLayer: 'Entropy of each head', wideHelp: 'How broadly the map of “{name}” is spread over the patches at this step: from 0 to {most}.',
      wordHowWhere: 'For the {patch}, step {step}, layer {layer}, head {head}: its query q and the key k of each word.', wordHowMean: 'The mean of all heads has no query of its own, so the numbers are those of head {head}.',
      word: 'Word', bias: '+ log of its weight in the prompt', wordSum: 'sum over all {count} words', restWords: '{count} others', keys: 'ln Σ exp(score) of {count} keys', exp: 'exp(score − lse), lse = {lse}',
      exactMaps: 'The maps of {count} words are computed here from scores stored as multiples of 0.002 (or coarser, where scores are larger than 64): a weight is off by at most 0.2% of itself.',
    },
    ko: {
      is: '텍스트 → 이미지: 이미지가 생성되는 동안 프롬프트의 단어마다 이미지의 어디에 작용하는지 보여 줍니다.',
      sees: '생성된 이미지', painted: '프롬프트 “{prompt}”(으)로 노이즈에서 {count}단계에 걸쳐 생성했습니다.',
      'fact sampler': '샘플러:', 'fact guidance': '가이던스:', 'fact seed': '시드:', 'fact negative': '네거티브 프롬프트:',
      'fact from': '원본:', 'fact style': '스타일:',
      crossMode: '패치 → 단어 (크로스 어텐션)', selfMode: '패치 → 패치 (셀프 어텐션, {step}단계)',
      crossWhat1: '모델은 {rows} × {columns}개의 패치를 생성합니다. 노이즈에서 시작해 단계마다 이미지를 예측합니다. 층마다 각 패치는 프롬프트의 단어들에 어텐션을 줍니다. 각 단어에 주는 양이 가중치이며, 한 패치의 가중치를 모든 단어에 걸쳐 더하면 100%입니다.',
      crossWhat2: '① 단어를 선택하거나, 패치를 가리켜 그 패치가 어텐션을 주는 단어를 읽으세요. 이미지는 이 단계에서 모델이 예측한 것이며, 아래 슬라이더로 단계를 고릅니다. ② 각 패치가 선택한 단어에 주는 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      what1: '모델은 {rows} × {columns}개의 패치를 생성합니다. 층마다 각 패치는 모든 패치에도 어텐션을 주며, 어떤 패치에는 더 많이 줍니다. 각 패치에 주는 양이 가중치이며, 한 패치의 가중치 합은 100%입니다. 여기에는 한 단계만 있습니다.',
      chooseObject: '단어 또는 패치 선택',
      sceneHelp: '이 단계에서 예측한 이미지. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 패치가 어텐션을 주는 단어는 아래에 나옵니다.',
      others: '프롬프트의 단어', crossName: '단어가 작용하는 곳',
      text: '텍스트', prompt: '프롬프트', negative: '네거티브 프롬프트', negativeWords: '네거티브 프롬프트의 단어',
      textHelp: '가이던스가 있는 단계에서 모델은 두 번 예측합니다. 프롬프트로 한 번, 결과가 멀어져야 할 네거티브 프롬프트 “{negative}”(으)로 한 번. 여기의 가중치는 네거티브 프롬프트의 것입니다.',
      crossHelp: '각 패치가 선택한 단어에 주는 가중치입니다. 서로 다른 행의 값이어서, 한 패치의 단어들은 합이 100%이지만 한 단어의 패치들은 그렇지 않습니다.',
      wordMean: '패치들이 “{name}”에 주는 평균 가중치: {share}. 균등 분포는 토큰 N = {words}개일 때 1/N입니다.',
      wordsTitle: '이 패치가 어텐션을 주는 단어', wordsWhere: '{patch}: 각 단어에 주는 가중치. 합은 100%입니다.',
      step: '단계', stepName: '{step} / {count}', throughTitle: '단계에 따른 선택한 단어',
      throughWhere: '위는 단계마다 예측한 이미지, 아래는 각 패치가 “{name}”에 주는 가중치({layer}층, {head})이며 모두 0부터 {end}까지 같은 색상 범위입니다. 단계를 클릭해 선택하세요.',
      frame: '{step}단계', crossByLayer: '헤드별 엔트로피', wideHelp: '이 단계에서 “{name}”의 맵이 패치들에 퍼진 정도: 0부터 {most}까지.',
      wordHowWhere: '{patch}, {step}단계, {layer}층, 헤드 {head}: 이 패치의 쿼리 q와 각 단어의 키 k.', wordHowMean: '모든 헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수치를 보여 줍니다.',
      word: '단어', bias: '+ 프롬프트 가중치의 로그', wordSum: '단어 {count}개의 합', restWords: '다른 {count}개', keys: '키 {count}개의 ln Σ exp(점수)', exp: 'exp(점수 − lse), lse = {lse}',
      exactMaps: '단어 {count}개의 맵은 0.002의 배수로 저장한 점수(점수가 64보다 크면 더 거칠게)로 여기서 계산합니다. 가중치의 오차는 그 값의 0.2% 이하입니다.',
    },
  };

  constructor(viewer, look) {
    super(viewer, look);
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
    this.switch = h('div', { className: 'segmented', role: 'radiogroup' });
    this.help = h('span', { className: 'quiet' });
    const line = h('div', { id: 'texts' }, this.switch, this.help);
    line.dataset.mode = 'cross';
    if (look.sides.length > 1) get('mode').after(line);
    viewer.state.text = look.sides.length > 1 ? TEXT_KEYS[look.text] : undefined;
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
    this.redo();
    get('live').textContent = this.stepName.textContent;
  }

  /** Choose the prompt, or the negative prompt. */
  read(text) {
    const { look, viewer, viewer: { state } } = this;
    const place = state.token - look.words; // of a source picture; negative for a word
    look.read(TEXT_KEYS.indexOf(text));
    Object.assign(state, { text, token: place < 0 ? look.speaker : place + look.words });
    Object.assign(viewer, { peeked: null, pointed: null });
    look.load(state.layer).then(() => {
      viewer.charts();
      this.redo();
    });
  }

  /** Another step or text: all maps are others. */
  redo() {
    const { viewer } = this;
    viewer.state.step = this.look.step;
    viewer.filled = '';
    this.drawn = '';
    viewer.refresh();
    viewer.controls();
  }

  controls() {
    const { look, viewer: { say, state: { mode, text } } } = this;
    const { src: predicted, step } = look.steps[look.step];
    const src = predicted ?? look.page.picture.src;
    const facts = { step: step + 1, count: look.targets.of };
    this.slider.value = look.step + 1;
    this.stepName.textContent = say('stepName', facts);
    this.stage.querySelector('img').src = src;
    get('map').querySelector('img').src = mode === 'cross' ? src : look.page.picture.src;
    segmented(this.switch, say('text'), look.sides.map((_, i) => [TEXT_KEYS[i], say(TEXT_KEYS[i])]), text, (one) => this.read(one));
    this.help.textContent = text === 'negative' ? say('textHelp', { negative: look.page.model.negative }) : '';
    get('chips').setAttribute('aria-label', say(text === 'negative' ? 'negativeWords' : 'others'));
    if (!look.infos[0].scale) get('word-how-title').parentElement.hidden = true; // only weights are known
    this.frames.forEach((frame, one) => {
      frame.setAttribute('aria-pressed', String(one === look.step));
      frame.disabled = !look.present.includes(one);
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
    const drawn = [token, layer, head, log, language, look.text].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const maps = look.through(layer, head, token);
    const end = Math.max(...maps.map((map) => (map ? look.peak(map) : 0)));
    maps.forEach((map, step) => {
      const canvas = this.frames[step].querySelector('canvas');
      canvas.classList.toggle('absent', !map);
      if (map) paint(canvas, map, 0, look.page.grid, end, log);
    });
    const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    get('through-where').textContent = say('throughWhere', { name: look.name(token, say), layer: layer + 1, head: heads, end: percent(Number(end.toPrecision(3))) });
  }

  /** How a patch's query and the words' keys become weights. */
  explain() {
    const { look, viewer: { say, token, state: { layer, head: chosen, named } } } = this;
    const data = look.layers[layer];
    const head = Math.min(chosen < 0 ? named : chosen, data.heads - 1);
    const at = this.listed();
    const terms = look.terms(data, head, at);
    const lse = Math.log(terms.reduce((sum, { score, bias }) => sum + Math.exp(score + bias), 0));
    const weigh = ({ score, bias }) => Math.exp(score + bias - lse);
    const order = [...terms].sort((a, b) => weigh(b) - weigh(a));
    const shown = order.filter(({ word }, i) => i < MOST_EXPLAINED || word === token);
    const weighted = terms.some(({ bias }) => bias);
    const number = (...children) => h('td', { className: 'number' }, ...children);
    const line = (term, part = '') => h('tr', { className: [term.word === token ? 'pointed' : '', part].join(' ') }, h('td', {}, look.name(term.word, say)),
      number(term.keys > 1 ? say('keys', { count: term.keys }) : figure(term.score / data.scale)), number(figure(term.score)), ...(weighted ? [number(figure(term.bias))] : []),
      number(`exp(${figure(term.score + term.bias)} − ${figure(lse).replace('−', '−\u2060')})`), number(h('b', {}, percent(weigh(term)))));
    const rest = order.length - shown.length;
    const span = { colSpan: weighted ? 5 : 4 };
    const parts = ({ places = [] }) => places.filter(({ word }, i) => i < MOST_PLACES || word === token).map((one) => line(one, 'part-of'));
    const lines = shown.flatMap((term) => [line(term), ...parts(term)]);
    if (rest) lines.push(h('tr', {}, h('td', span, say('restWords', { count: rest })), number(percent(1 - shown.reduce((sum, term) => sum + weigh(term), 0)))));
    lines.push(h('tr', { className: 'sum' }, h('td', span, say('wordSum', { count: look.words })), number(percent(terms.reduce((sum, term) => sum + weigh(term), 0)))));
    const titles = [say('word'), 'q·k', say('score', { scale: figure(data.scale) }), ...(weighted ? [say('bias')] : []), say('exp', { lse: figure(lse) }), say('weight')];
    get('word-numbers').replaceChildren(h('thead', {}, h('tr', {}, ...titles.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...lines));
    const facts = { patch: look.spot(at, say), step: look.steps[look.step].step + 1, layer: layer + 1, head: head + 1 };
    get('word-how-where').textContent = `${say('wordHowWhere', facts)} ${chosen < 0 ? say('wordHowMean', facts) : ''}`;
  }
}
