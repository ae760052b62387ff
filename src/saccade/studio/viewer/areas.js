// Semantic segmentation: the image under the colours of its classes, and the classes of the selected patch.
import { get, h, svg } from './dom.js';
import { ClassLook, shareOfPixels } from './classes.js';
import { laidMarks } from './picture.js';
import { amongSection, Scene } from './scene.js';
import { arrange } from './tags.js';
import { percent } from './texts.js';

const MOST_CLASSES = 6; // listed with their shares of the image
const NAMED = 0.035; // room around a name, in widths of the picture, from which on it is written there

export class AreaScene extends Scene {
  static Look = ClassLook;

  static panel = `
    <div class="options">
      <span data-say="colours"></span><div class="segmented" role="radiogroup" data-label="colours" id="areas"></div>
      <label><span data-say="cover"></span> <input type="range" id="cover" min="0" max="100" value="55"></label>
    </div>
    <div class="patch" data-mode="self">
      <h3 data-say="patchTitle"></h3>
      <p class="quiet" id="patch-where"></p>
      <div id="patch-classes"></div>
    </div>`;

  static section = amongSection();

  static texts = {
    en: {
      is: 'Semantic segmentation: the class of every pixel of this image, and what the token of each class attends to.',
      crossMode: 'Classes attend to the image (cross-attention)',
      presentClasses: '{count} of its {all} classes, with their share of the image’s pixels:', moreClasses: 'and {count} more: {share}',
      crossWhat1: 'The model splits the image into {rows} × {columns} patches and has {queries} tokens, one for each class. In every layer of the decoder a token attends to the patches and to the other tokens; then each pixel is assigned the class whose token it matches best. How much a token attends to each patch is a weight; the weights of one token sum to 100%.',
      crossWhat2: '① Click an area of the image, or a class below it. ② shows what the token of that class attends to: dark is a low weight, bright a high one; the line is the edge of its area. ③ has one small map for each layer and head, because heads attend in different ways. Click one to enlarge it.',
      what2: '① Click a patch: its most probable classes are listed below the image. ② shows which patches it attends to: dark is a low weight, bright a high one. ③ has one small map for each layer and head, because heads attend in different ways. Click one to enlarge it.',
      chooseObject: 'Select a class',
      sceneHelp: 'The image under the colours of its classes. Arrow keys go from class to class, Home to the largest, End to the last.',
      others: 'Classes, or tokens without a position in the image', colours: 'Class colours', allAreas: 'all', oneAreas: 'selected',
      noAreas: 'none', cover: 'Opacity', absent: 'Not in this image:', patchTitle: 'Classes of this patch',
      patchWhere: 'Probability of each class, as the mean over the patch’s pixels:', patchNone: 'Select a patch to see its classes.',
      patchOutside: 'This patch lies outside the image.', crossName: 'What its token attends to',
      crossHelp: 'The weights of the token of this class over the patches.',
      inside: '{share} of it lies inside the area of {name}, which covers {area} of the patches: {times} × uniform.',
      insideNone: 'No patch is assigned to {name}; the attention of its token is shown all the same.', amongTitle: 'Attention to other classes',
      amongWhere: 'Attention of the token of {name} to the tokens of all classes in layer {layer}, {head}.', restQueries: '{count} other classes',
      crossByLayer: 'Attention inside the area, and entropy', inTitle: 'Attention inside its area',
      inHelp: 'Share of the attention of {name} to the patches that lies inside its area.', inEven: 'the area’s share of the patches (uniform)',
      exactMaps: 'The maps of {count} classes are stored with 8 bits per weight: the error is at most 0.4% of the largest of its map. Shares inside areas, entropies and weights between classes were computed before rounding.',
      nothing: '{count} other classes',
    },
    ko: {
      is: '의미 분할: 이 이미지의 픽셀별 클래스와, 클래스마다 토큰의 어텐션을 보여 줍니다.', crossMode: '클래스 → 이미지 (크로스 어텐션)',
      presentClasses: '클래스 {all}개 가운데 {count}개, 이미지 픽셀에서 차지하는 비율:', moreClasses: '그 밖에 {count}개: {share}',
      crossWhat1: '모델은 이미지를 {rows} × {columns}개의 패치로 나누고, 클래스마다 토큰을 하나씩 모두 {queries}개 둡니다. 디코더의 층마다 토큰은 패치들과 다른 토큰들에 어텐션을 주고, 각 픽셀은 가장 잘 맞는 토큰의 클래스가 됩니다. 각 패치에 주는 양이 가중치이며, 한 토큰의 가중치 합은 100%입니다.',
      crossWhat2: '① 이미지의 영역이나 그 아래 클래스를 클릭하세요. ② 그 클래스 토큰의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. 선은 그 영역의 경계입니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      what2: '① 패치를 클릭하세요. 확률이 높은 클래스가 이미지 아래에 나옵니다. ② 그 패치의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      chooseObject: '클래스 선택', sceneHelp: '클래스의 색을 입힌 이미지. 화살표 키로 클래스를 옮기고, Home은 가장 큰 클래스, End는 마지막 클래스로 갑니다.', others: '클래스 또는 이미지 안에 위치가 없는 토큰',
      colours: '클래스 색', allAreas: '모두', oneAreas: '선택한 것', noAreas: '없음', cover: '불투명도', absent: '이 이미지에 없음:', patchTitle: '이 패치의 클래스',
      patchWhere: '클래스별 확률(패치의 픽셀 평균):', patchNone: '패치를 선택하면 클래스가 나타납니다.', patchOutside: '이 패치는 이미지 밖에 있습니다.', crossName: '토큰의 어텐션',
      crossHelp: '이 클래스의 토큰이 패치들에 주는 가중치입니다.', inside: '그중 {share}이(가) {name} 영역 안에 있습니다. 이 영역은 패치들의 {area}이므로 균등 분포의 {times}배입니다.',
      insideNone: '{name}(으)로 분류된 패치는 없지만, 그 토큰의 어텐션은 표시합니다.', amongTitle: '다른 클래스에 주는 어텐션',
      amongWhere: '{layer}층, {head}: {name}의 토큰이 모든 클래스의 토큰에 주는 어텐션.', restQueries: '다른 클래스 {count}개', crossByLayer: '영역 안 어텐션과 엔트로피',
      inTitle: '영역 안 어텐션', inHelp: '{name}이(가) 패치들에 주는 어텐션 중 자기 영역 안의 비율.', inEven: '패치들에서 영역의 비율(균등 분포)',
      exactMaps: '클래스 {count}개의 맵은 가중치 하나에 8비트로 저장됩니다. 오차는 그 맵 최댓값의 0.4% 이하입니다. 영역 안의 비율, 엔트로피, 클래스 사이의 가중치는 반올림 전에 계산했습니다.',
      nothing: '다른 클래스 {count}개',
    },
  };

  static options = () => ({ areas: 'all' });

  /** Pages of patches start with the patch in the middle of the image. */
  static start = (look) => ({ token: look.middle, view: 'row' });

  /** The largest classes with their shares of the image. */
  static summary({ scene }) {
    return scene ? scene.list(MOST_CLASSES) : [];
  }

  constructor(viewer, look) {
    super(viewer, look);
    this.canvases = ['scene', 'picture'].map((id) => get(id).querySelector('canvas'));
    const slider = get('cover');
    slider.oninput = () => this.canvases.forEach((canvas) => (canvas.style.opacity = slider.value / 100));
    slider.oninput();
    look.ready.then(() => viewer.refresh());
  }

  /** The class at a place; none beside the picture or where its maps are not here. */
  under([x, y]) {
    const found = this.look.at(x, y);
    return found === null || found > this.look.last ? [] : [found];
  }

  draw() {
    const { look, stage, viewer: { token, state: { areas } } } = this;
    const outline = look.outline(token);
    laidMarks(stage, look.page.grid).replaceChildren(...(outline ? [svg('path', { d: outline.d, class: 'halo' }), svg('path', outline)] : []));
    this.paint(0, areas === 'one' ? token : null);
    this.write(areas === 'no' ? [] : areas === 'one' ? [token] : look.chips());
  }

  /** The colours of all classes or of one, over one of the two pictures. */
  paint(which, only) {
    const { look, viewer: { state: { areas } } } = this;
    const canvas = this.canvases[which];
    canvas.hidden = areas === 'no' || !look.mask;
    const painted = String(only);
    if (canvas.hidden || canvas.dataset.painted === painted) return;
    canvas.dataset.painted = painted;
    look.paint(canvas, only);
  }

  /** Names of classes in the middles of their areas, the chosen one first. */
  write(tokens) {
    const { look, stage, viewer } = this;
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const order = [...tokens].sort((a, b) => (b === viewer.token) - (a === viewer.token) || a - b);
    const named = order.filter((token) => look.middle(token) && (token === viewer.token || look.middle(token).room >= NAMED));
    const tags = named.map((token) => {
      const tag = h('span', { className: token === viewer.token ? 'tag chosen' : 'tag' }, look.name(token));
      tag.style.background = look.isTransparent(token) ? '#e4e4e0' : look.colour(token);
      if (!look.isTransparent(token) && look.dark(token)) tag.style.color = '#fff';
      return tag;
    });
    stage.querySelector('.tags').replaceChildren(...tags);
    if (width) arrange(tags, named.map((token) => [[look.middle(token).x * width, look.middle(token).y * height, 0.5, 0.5]]), width, height);
  }

  /** The classes of the patch of a token, and their colours over the image of patches. */
  showPatch(token) {
    const { look, viewer: { say, looks, state: { areas } } } = this;
    const patch = token - looks.self.first;
    const placed = patch >= 0 && patch < look.patches;
    const likely = placed ? look.likely(patch) : [];
    this.paint(1, areas === 'one' ? likely[0]?.[0] ?? -1 : null);
    get('patch-where').textContent = say(!placed ? 'patchNone' : look.mask && !likely.length ? 'patchOutside' : 'patchWhere');
    get('patch-classes').replaceChildren(...likely.map(([one, chance]) => this.bar(one, percent(Number(chance.toFixed(4))), chance)));
  }

  /** The classes of the selected patch, for screen readers. */
  patchText() {
    const lines = [...get('patch-classes').children].map((line) => [...line.querySelectorAll('span')].map((one) => one.textContent).join(' '));
    return lines.length ? `${this.viewer.say('patchTitle')}: ${lines.join(', ')}` : '';
  }

  /** Switch for the colours of classes. */
  controls(segmentedIn, { areas }) {
    segmentedIn('areas', ['all', 'one', 'no'].map((key) => [key, this.viewer.say(`${key}Areas`)]), areas);
  }

  swatch(token) {
    const swatch = super.swatch(token);
    if (this.look.isTransparent(token)) swatch.style.background = 'none';
    return swatch;
  }

  /** A class with its colour, a figure and a bar of its length. */
  bar(token, text, length) {
    const bar = h('i');
    Object.assign(bar.style, { width: `${100 * length}%`, background: this.look.isTransparent(token) ? 'var(--quiet)' : this.look.colour(token) });
    return h('div', { className: 'prediction' }, bar, h('span', {}, this.swatch(token), this.look.name(token)), h('span', {}, text));
  }

  /** The largest classes with their shares of the picture. */
  list(most) {
    const { look, viewer: { say } } = this;
    const there = [...look.targets.pixels.keys()].filter((token) => look.there(token));
    const rest = there.slice(most);
    const sum = rest.reduce((total, token) => total + look.targets.pixels[token], 0);
    const lines = there.slice(0, most).map((token) => this.bar(token, look.score(token), look.targets.pixels[token]));
    const head = h('p', { className: 'quiet' }, say('presentClasses', { count: there.length, all: look.targets.queries }));
    return [head, ...lines, ...(rest.length ? [h('p', { className: 'quiet' }, say('moreClasses', { count: rest.length, share: shareOfPixels(sum) }))] : [])];
  }
}
