// A film that a pipeline of another library painted: which words act in which frame, and no more.
import { get } from './dom.js';
import { PaintedFilmScene } from './paintedfilm.js';
import { PaintedFilmLook } from './paintedfilmlook.js';

/** Its maps are those of words; `token` is always a word. */
export class FilmWordsLook extends PaintedFilmLook {
  get views() {
    return ['row'];
  }

  set views(_) { /* by the base */ }

  kept() {
    return true;
  }

  load(l) {
    const { step, coming, layers, infos } = this; // of the step that is chosen now
    coming[l] ??= this.words.load(l).then((acting) => (layers[l] = { ...infos[l], acting, step }));
    return coming[l];
  }

  /** No token has distances. */
  uncharted() {
    return true;
  }

  /** The first and the last frame of a long group. */
  shown(group) {
    const frames = this.groups[group];
    return frames.length > 2 ? [frames[0], frames.at(-1)] : frames;
  }
}

export class FilmWordsScene extends PaintedFilmScene {
  static Look = FilmWordsLook;

  static texts = Object.fromEntries(Object.entries({
    en: {
      is: 'Text to video: which words of the prompt act in which frame, while the film is being painted.',
      painted: 'Painted for the prompt “{prompt}”, in {count} evaluations of the network. This page shows evaluation {steps}.',
      crossWhat1: 'The network paints {rows} × {columns} patches for every group of frames. In every layer each patch attends to the tokens of the prompt, by cross-attention or together with the film. The weight of a word is that of all its tokens; “(other)” is all that is no word: end, padding, and with joint attention the film. All together sum to 100% for each patch.',
      crossWhat2: 'Select a word, and the row of frames shows how much every place attends to it: dark is a low weight, bright a high one. Point at a place, or click it, and read which words it attends to. Choose the evaluation with the slider “Evaluation”. ① and ② show one frame large; choose it with the slider “Frame”. ③ has one small map of this frame for each layer and head.',
      filmTitle: 'The selected word, in every frame', tubes: 'Frames that stand together share their patches; of more than two, the first and the last are drawn.',
      filmWhereWord: 'How much every place attends to “{name}” ({layer}, {head}), in all frames on one scale from 0 to {end}. Click a place to read its words.',
      chooseObject: 'Select a word or a place', step: 'Evaluation',
      exactMaps: 'The maps are stored as logs of weights, as multiples of 0.002: a weight is off by at most 0.2% of itself, and those below one in a billion are shown as that.',
    },
    ko: {
      is: '텍스트 → 비디오: 영상이 생성되는 동안 프롬프트의 어떤 단어가 어느 프레임에 작용하는지 보여 줍니다.',
      painted: '프롬프트 “{prompt}”(으)로 네트워크를 {count}번 계산해 생성했습니다. 이 페이지는 {steps}번째 계산을 보여 줍니다.',
      crossWhat1: '네트워크는 프레임 묶음마다 {rows} × {columns}개의 패치를 생성합니다. 층마다 각 패치는 크로스 어텐션으로, 또는 영상과 함께 프롬프트의 토큰에 어텐션을 줍니다. 단어의 가중치는 그 토큰 모두의 합이고, “(other)”는 단어가 아닌 모든 것(끝, 패딩, 결합 어텐션에서는 영상)입니다. 한 패치에서 모두 더하면 100%입니다.',
      crossWhat2: '단어를 선택하면 프레임 줄에 모든 위치가 그 단어에 주는 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. 한 위치를 가리키거나 클릭하면 그 위치가 어텐션을 주는 단어가 나타납니다. 계산 순서는 “계산” 슬라이더로 고릅니다. ①과 ②는 한 프레임을 크게 보여 주며 “프레임” 슬라이더로 고릅니다. ③ 층과 헤드마다 이 프레임의 작은 어텐션 맵이 하나씩 있습니다.',
      filmTitle: '모든 프레임에서 선택한 단어', tubes: '붙어 있는 프레임들은 패치를 함께 씁니다. 셋 이상이면 처음과 마지막만 표시합니다.',
      filmWhereWord: '모든 위치가 “{name}”에 주는 어텐션({layer}, {head}). 모든 프레임이 0부터 {end}까지 같은 색상 범위입니다. 한 위치를 클릭하면 그 단어들이 나타납니다.',
      chooseObject: '단어 또는 위치 선택', step: '계산',
      exactMaps: '맵은 가중치의 로그를 0.002의 배수로 저장합니다. 가중치의 오차는 그 값의 0.2% 이하이며, 10억분의 1보다 작은 값은 그 값으로 나타냅니다.',
    },
  }).map(([language, texts]) => [language, { ...PaintedFilmScene.texts[language], ...texts }]));

  constructor(viewer, look) {
    super(viewer, look);
    get('numbers').closest('section').dataset.mode = 'self'; // only weights are known
    this.stage.onpointerleave = () => this.hover(null);
    this.chosen = null;
    if (!look.isWord(viewer.state.token)) viewer.state.token = look.speaker;
  }

  tile(frames, group) {
    return super.tile(this.look.shown(group), group);
  }

  from() {
    return this.chosen;
  }

  choose(place) {
    this.chosen = place;
    this.hover(null);
  }

  hover(place) {
    this.over = place;
    this.draw();
    if (this.look.layers[this.viewer.state.layer]) this.listen();
  }

  listed() {
    return this.over ?? this.viewer.pointed ?? this.chosen ?? super.listed();
  }

  draw() {
    super.draw();
    const { look, over, chosen } = this;
    const marks = this.stage.querySelector('svg');
    marks.replaceChildren(...this.outlined(chosen ?? null, look.first, 'chosen'), ...this.outlined(over ?? null, look.first, 'pointed'));
  }
}
