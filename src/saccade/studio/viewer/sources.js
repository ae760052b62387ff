// A picture that was painted from other pictures: these beside it, with the places to which a patch attends.
import { COLOURS, paint, weightAt } from './colour.js';
import { get, h } from './dom.js';
import { Maps } from './maps.js';
import { PaintingScene } from './painting.js';
import { makePicture, patch } from './picture.js';
import { SourcedLook } from './sourced.js';
import { percent } from './texts.js';

export class SourcesScene extends PaintingScene {
  static Look = SourcedLook;

  static beside = `
    <section class="beside" aria-labelledby="beside-title" data-mode="cross">
      <h2 id="beside-title"><span class="step"></span> <span data-say="besideTitle"></span></h2>
      <p class="quiet" id="beside-where"></p>
      <div id="shares"></div>
      <div id="sources"></div>
      <div class="scale"><canvas id="source-legend" width="256" height="1" aria-hidden="true"></canvas></div>
      <div id="source-ticks" class="ticks"></div>
      <p class="quiet" data-say="besideHelp"></p>
    </section>`;

  static texts = {
    en: {
      ...PaintingScene.texts.en,
      is: 'Image to image: which places of the source pictures, and which words, each patch of the result attends to while it is being painted.',
      painted: 'Painted from the pictures beside it, from noise in {count} steps. Prompt: “{prompt}”.', paintedBare: 'Painted from the pictures beside it, from noise in {count} steps, without a prompt.',
      crossMode: 'Patches attend to words and pictures (cross-attention)',
      crossWhat1: 'The model paints {rows} × {columns} patches. It starts from noise and, step by step, predicts the picture. In every layer each patch attends to the words of the prompt and to the patches of the source pictures, all at once. How much it attends to each one is a weight; the weights of one patch over all words and all places sum to 100%.',
      crossWhat2: '① Click a place in the result. ② shows to which places of the source pictures it attends: dark is a low weight, bright a high one, and how its attention is divided between words and pictures. ③ goes the other way: click a word, or a place in a source picture, and see which patches of the result attend to it. ④ has the maps of ③ for each layer and head. The slider below chooses the step.',
      chooseObject: 'The result: select a place', others: 'Words of the prompt, and each source picture as a whole',
      besideTitle: 'What this place attends to', besideWhere: 'For the {patch} of the result (step {step}, layer {layer}, {head}).',
      besideHelp: 'One colour scale for all source pictures. The small maps show the same for every layer (down) and head (across).',
      'source picture': 'picture', 'source masked': 'masked picture', 'source style': 'style', words: 'words', absent: 'none (sources that are absent)',
      sourcePlace: '{source}, row {row}, column {column}', sourceHelp: '{source}: {share} of the attention. Arrow keys move the selected place, Home goes to the first, End to the last; the patches that attend to it are shown in the result.',
      sourceShare: '{share} of the attention', sourceMost: 'Highest: row {row}, column {column}, {share}', sourceNone: 'It takes no part in the evaluation with this text.',
      crossName: 'Where the result attends to “{name}”', crossHelp: 'The weight of each patch of the result on the selected word or place. Each is from a row of its own, so they need not sum to 100%.',
      wordMean: 'Mean weight of the patches on “{name}”: {share}. Uniform is 1/N for N = {words} words and places.',
      wordsTitle: 'Words and pictures that this patch attends to', wordsWhere: 'For the {patch}: its weight on each word and on each picture as a whole, which sum to 100%.',
      throughTitle: 'The selected word or place through the steps', word: 'Word or place', wordSum: 'sum over words and pictures',
      wordHowWhere: 'For the {patch}, step {step}, layer {layer}, head {head}: its query q and the key k of each word and place. Below each picture, the places with the highest weights; they are parts of its weight.',
      exactMaps: 'Weights of words and of whole pictures are computed here from scores stored as multiples of 0.002 (or coarser, where scores are larger than 64). Those of places are computed from queries and keys of 16 bits or fewer, which changes a weight by about 0.2% of itself.',
    },
    ko: {
      ...PaintingScene.texts.ko,
      is: '이미지 → 이미지: 결과의 패치마다 생성되는 동안 원본 이미지의 어느 위치와 어떤 단어에 어텐션을 주는지 보여 줍니다.',
      painted: '옆의 이미지들로부터 노이즈에서 {count}단계에 걸쳐 생성했습니다. 프롬프트: “{prompt}”.', paintedBare: '프롬프트 없이, 옆의 이미지들로부터 노이즈에서 {count}단계에 걸쳐 생성했습니다.',
      crossMode: '패치 → 단어와 이미지 (크로스 어텐션)',
      crossWhat1: '모델은 {rows} × {columns}개의 패치를 생성합니다. 노이즈에서 시작해 단계마다 이미지를 예측합니다. 층마다 각 패치는 프롬프트의 단어와 원본 이미지의 패치 모두에 한꺼번에 어텐션을 줍니다. 각각에 주는 양이 가중치이며, 한 패치의 가중치를 모든 단어와 모든 위치에 걸쳐 더하면 100%입니다.',
      crossWhat2: '① 결과에서 한 위치를 클릭하세요. ② 그 위치가 원본 이미지의 어느 위치에 어텐션을 주는지(어두우면 낮고 밝으면 높은 가중치), 단어와 이미지에 어떻게 나누는지 나타납니다. ③ 은 반대 방향입니다. 단어나 원본 이미지의 한 위치를 클릭하면 결과의 어느 패치가 그것에 어텐션을 주는지 나타납니다. ④ 에는 ③ 의 맵이 층과 헤드마다 있습니다. 단계는 아래 슬라이더로 고릅니다.',
      chooseObject: '결과: 위치 하나를 선택', others: '프롬프트의 단어, 그리고 원본 이미지 각각 전체',
      besideTitle: '이 위치의 어텐션', besideWhere: '결과의 {patch} ({step}단계, {layer}층, {head}).',
      besideHelp: '원본 이미지는 모두 같은 색상 범위를 씁니다. 작은 어텐션 맵은 층(아래로)과 헤드(옆으로)별로 같은 것을 보여 줍니다.',
      'source picture': '이미지', 'source masked': '가린 이미지', 'source style': '스타일', words: '단어', absent: '없음 (빠진 원본)',
      sourcePlace: '{source}, {row}행 {column}열', sourceHelp: '{source}: 어텐션의 {share}. 화살표 키로 선택한 위치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 위치에 어텐션을 주는 패치는 결과에 나타납니다.',
      sourceShare: '어텐션의 {share}', sourceMost: '최댓값: {row}행 {column}열, {share}', sourceNone: '이 텍스트로 계산할 때는 쓰이지 않습니다.',
      crossName: '결과에서 “{name}”에 어텐션을 주는 위치', crossHelp: '결과의 각 패치가 선택한 단어나 위치에 주는 가중치입니다. 서로 다른 행의 값이므로 합이 100%가 아닐 수 있습니다.',
      wordMean: '패치들이 “{name}”에 주는 평균 가중치: {share}. 균등 분포는 단어와 위치 N = {words}개일 때 1/N입니다.',
      wordsTitle: '이 패치가 어텐션을 주는 단어와 이미지', wordsWhere: '{patch}: 각 단어와 각 이미지 전체에 주는 가중치. 합은 100%입니다.',
      throughTitle: '단계에 따른 선택한 단어나 위치', word: '단어나 위치', wordSum: '단어와 이미지의 합',
      wordHowWhere: '{patch}, {step}단계, {layer}층, 헤드 {head}: 이 패치의 쿼리 q와 각 단어와 위치의 키 k. 이미지마다 아래에 가중치가 가장 높은 위치가 있으며, 이미지 가중치의 일부입니다.',
      exactMaps: '단어와 이미지 전체의 가중치는 0.002의 배수로 저장한 점수(점수가 64보다 크면 더 거칠게)로 여기서 계산합니다. 위치의 가중치는 16비트 이하의 쿼리와 키로 계산하며, 그 값의 0.2%쯤 달라집니다.',
    },
  };

  constructor(viewer, look) {
    super(viewer, look);
    const choose = (layer, head) => viewer.choose(layer, head);
    this.panes = look.targets.sources.map((_, i) => new SourcePane(viewer, look, i, choose));
    get('sources').replaceChildren(...this.panes.map((pane) => pane.element));
    get('sources').classList.toggle('single', this.panes.length === 1);
    document.querySelector('.panels').classList.add('sourced');
    const legend = get('source-legend').getContext('2d');
    COLOURS.forEach((colour, i) => {
      legend.fillStyle = `rgb(${colour.join(' ')})`;
      legend.fillRect(i, 0, 1, 1);
    });
    get('opacity').addEventListener('input', () => this.blend());
    this.blend();
  }

  /** The result and its prompt. */
  static summary({ page, say }) {
    const { prompt, of } = page.targets;
    const picture = h('img', { src: page.picture.src, alt: '', className: 'painted' });
    return [picture, h('p', { className: 'quiet' }, say(prompt.trim() ? 'painted' : 'paintedBare', { prompt, count: of }))];
  }

  blend() {
    [get('source-legend'), ...document.querySelectorAll('#sources .stage canvas')].forEach((canvas) => (canvas.style.opacity = get('opacity').value / 100));
  }

  controls(...all) {
    super.controls(...all);
    this.panes.forEach((pane) => pane.write());
  }

  show() {
    super.show();
    this.panes.forEach((pane) => pane.mark());
  }

  words() {
    super.words();
    if (this.look.layers[this.viewer.state.layer]) this.rows();
  }

  /** What the listed patch attends to. */
  rows() {
    const { look, viewer, viewer: { say, state: { layer, head, log, shared, language } } } = this;
    const at = this.listed();
    const drawn = [at, layer, head, log, shared, language, look.step, look.text].join();
    if (drawn === this.drawnRows) return;
    this.drawnRows = drawn;
    const rows = look.pictures.map((source) => look.rowOf(layer, head, source, at));
    const end = Math.max(...rows.map((row) => look.peak(row)));
    const shares = look.shares(layer, head, at);
    this.panes.forEach((pane, i) => pane.draw(rows[i], end, shares[i + 1][1], { at, moving: this.pointed !== null }));
    get('shares').replaceChildren(...shareBar(shares, say));
    const heads = head < 0 ? say('meanHeads') : say('headName', { head: head + 1 });
    get('beside-where').textContent = say('besideWhere', { patch: look.spot(at, say), step: look.steps[look.step].step + 1, layer: layer + 1, head: heads });
    get('source-ticks').replaceChildren(...[0, 0.5, 1].map((t) => {
      const tick = h('span', {}, (t === 0 && log ? '≤ ' : '') + percent(weightAt(t, end, log)));
      tick.style.left = `${100 * t}%`;
      tick.style.transform = `translateX(${-100 * t}%)`;
      return tick;
    }));
  }
}

/** Shares of 1 as one bar, with their names and numbers below it. */
function shareBar(shares, say) {
  const name = (key) => say(['words', 'absent'].includes(key) ? key : `source ${key}`);
  const bar = h('div', { className: 'sharebar', 'aria-hidden': 'true' }, ...shares.map(([key, share]) => {
    const part = h('i', { className: key });
    part.style.width = `${100 * share}%`;
    return part;
  }));
  return [bar, h('ul', {}, ...shares.map(([key, share]) => h('li', {}, h('i', { className: key }), `${name(key)} `, h('b', {}, share.toFixed(3)))))];
}

/** One source picture: its places as the patch attends to them, large, and small for every layer and head. */
class SourcePane {
  constructor(viewer, look, i, choose) {
    Object.assign(this, { viewer, look, i });
    const { name, src, width, height, grid } = this.source;
    const thumb = h('img', { src, alt: '', className: `original${width < 160 ? ' pixels' : ''}` });
    this.title = h('h3');
    this.share = h('p', { className: 'quiet' });
    this.stage = h('div', { className: 'stage grey', tabIndex: 0, role: 'application' }, h('img', { alt: '' }), h('canvas'), document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
    this.stage.dataset.source = name;
    this.most = h('p', { className: 'caption quiet' });
    const small = h('div', { className: 'maps', role: 'grid' });
    this.element = h('figure', { className: 'source' }, h('header', {}, thumb, h('div', {}, this.title, this.share)), this.stage, this.most, h('div', { className: 'scroll' }, small));
    const picture = { src, width, height };
    const face = () => ({
      page: { grid, picture }, first: look.tokenOf(this.source, 0),
      outline: (token) => (look.placed(token)?.source.name === name ? patch(look.placed(token).at, 0, grid) : null),
    });
    const pick = (token) => viewer.pick(token);
    this.outline = makePicture(this.stage, face, { hover: (token) => viewer.peek(token), pick, go: pick, from: () => viewer.state.token });
    this.stage.style.width = `min(100%, ${28 * (width / height)}rem)`; // tall ones would push the others away
    this.maps = new Maps(small, this.facade({ grid, picture }), choose);
    this.small = small;
  }

  get source() {
    return this.look.pictures[this.i];
  }

  /** What the small maps need of a look: a map is a row, and a token is the patch of the result that it is of. */
  facade(page) {
    const { look } = this;
    return {
      page, first: 0, infos: look.infos, kept: () => true, load: (l) => look.load(l),
      see: (data, head, at) => look.row(data, head, this.source, at), peak: (weights) => look.peak(weights),
    };
  }

  /** All texts. */
  write() {
    const { viewer: { say, state: { language } } } = this;
    if (language === this.language) return;
    this.language = language;
    this.title.textContent = say(`source ${this.source.name}`);
    this.small.setAttribute('aria-label', say('everyHelp'));
    this.maps.build(say);
    this.filled = '';
  }

  mark() {
    const { look, viewer: { token, state } } = this;
    const mine = (one) => (look.placed(one)?.source.name === this.source.name ? one : null);
    this.outline(mine(state.token) ?? -1, token === state.token ? null : mine(token));
  }

  /** weights: of the places. at: the patch of the result; moving: it is only pointed at. */
  draw(weights, end, share, { at, moving }) {
    const { viewer: { say, state: { layer, head, log, shared } }, source, source: { grid } } = this;
    paint(this.stage.querySelector('canvas'), weights, 0, grid, end, log);
    const most = weights.indexOf(Math.max(...weights));
    const facts = { row: Math.floor(most / grid[1]) + 1, column: (most % grid[1]) + 1, share: percent(weights[most]) };
    this.share.textContent = say('sourceShare', { share: percent(share) });
    this.most.textContent = say(source.word === undefined ? 'sourceNone' : 'sourceMost', facts);
    this.stage.setAttribute('aria-label', say('sourceHelp', { source: say(`source ${source.name}`), share: percent(share) }));
    this.maps.select(layer, head);
    const filled = [at, this.look.step, this.look.text].join();
    if (moving || filled === this.filled) return;
    this.filled = filled;
    this.maps.show({ token: at, layer, view: 'row', shared, log }, () => {});
  }
}
