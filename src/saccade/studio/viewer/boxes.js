// Object detection: boxes, names, and lines from the selected object to others.
import { get, h, svg } from './dom.js';
import { ObjectLook } from './objects.js';
import { amongSection, Scene } from './scene.js';
import { along, around, arrange } from './tags.js';
import { percent } from './texts.js';

const CROWDED = 12; // with as many objects only the selected one is named on the image
const MOST_LINES = 4; // from one object

export class BoxScene extends Scene {
  static Look = ObjectLook;

  static panel = `
    <div class="options" data-mode="cross"><span data-say="links"></span><div class="segmented" role="radiogroup" data-label="links" id="links"></div></div>`;

  static section = amongSection(`
      <div>
        <h2 data-say="relationsTitle"></h2>
        <p class="quiet" id="relations-where"></p>
        <ul id="relations"></ul>
      </div>`);

  static texts = {
    en: {
      crossMode: 'Objects attend to the image (cross-attention)', several: '{times} × {label}', found: '{count} at {least} or more: {list}',
      foundNothing: 'Nothing at {least} or more.',
      crossWhat1: 'The model has {queries} queries, each of which can detect one object. In every layer of the decoder a query attends to the image’s {rows} × {columns} patches and to the other queries. How much it attends to each patch is a weight; the weights of one query sum to 100%.',
      crossWhat2: '① Click an object, or its name below the image. ② shows what its query attends to: dark is a low weight, bright a high one; the outline is the predicted box. ③ has one small map for each layer and head, because heads attend in different ways. Click one to enlarge it.',
      chooseObject: 'Select an object',
      sceneHelp: 'The image with the detected objects. Arrow keys go from object to object, Home to the highest score, End to the lowest.',
      links: 'Lines', relationsLinks: 'relations', attentionLinks: 'attention', noLinks: 'none', crossName: 'What its query attends to',
      crossHelp: 'The weights of this object’s query over the patches.',
      inside: '{share} of it lies inside its box, which covers {area} of the image: {times} × uniform.', amongTitle: 'Attention to other objects',
      amongWhere: 'Attention of the query of {name} to all queries in layer {layer}, {head}.', nothing: '{count} queries without an object',
      restQueries: '{count} other queries', relationsTitle: 'Relations',
      relationsWhere: 'Predicted relations of {name}, highest score first. Each percentage is the score of the relation and both objects together; of a pair with several relations, the highest.',
      noRelations: 'No relation of {name} is predicted.', noneAtAll: 'No relations are predicted here.',
      crossByLayer: 'Attention inside the box, and entropy', inTitle: 'Attention inside its box',
      inHelp: 'Share of the attention of {name} to the patches that lies inside its box.', inEven: 'the box’s share of the image (uniform)',
      exactMaps: 'The maps of the {count} highest-scoring objects are stored with 8 bits per weight: the error is at most 0.4% of the largest of its map. Shares inside boxes, entropies and weights between objects were computed before rounding.',
      is: 'Object detection: the objects found in this image, and what the query of each one attends to.',
    },
    ko: {
      crossMode: '객체 → 이미지 (크로스 어텐션)', several: '{label} {times}개', found: '{least} 이상 {count}개: {list}', foundNothing: '{least} 이상인 객체가 없습니다.',
      crossWhat1: '모델에는 쿼리가 {queries}개 있으며, 쿼리 하나가 객체 하나를 검출할 수 있습니다. 디코더의 층마다 쿼리는 이미지의 패치 {rows} × {columns}개와 다른 쿼리들에 어텐션을 줍니다. 각 패치에 주는 양이 가중치이며, 한 쿼리의 가중치 합은 100%입니다.',
      crossWhat2: '① 객체나 이미지 아래 이름을 클릭하세요. ② 그 객체 쿼리의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. 테두리는 예측한 박스입니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      chooseObject: '객체 선택', sceneHelp: '검출한 객체가 표시된 이미지. 화살표 키로 객체를 옮기고, Home은 점수가 가장 높은 객체, End는 가장 낮은 객체로 갑니다.', links: '선', relationsLinks: '관계',
      attentionLinks: '어텐션', noLinks: '없음', crossName: '쿼리의 어텐션', crossHelp: '이 객체의 쿼리가 패치들에 주는 가중치입니다.',
      inside: '그중 {share}이(가) 박스 안에 있습니다. 박스는 이미지의 {area}이므로 균등 분포의 {times}배입니다.', amongTitle: '다른 객체에 주는 어텐션',
      amongWhere: '{layer}층, {head}: {name}의 쿼리가 모든 쿼리에 주는 어텐션.', nothing: '객체가 없는 쿼리 {count}개', restQueries: '다른 쿼리 {count}개', relationsTitle: '관계',
      relationsWhere: '예측한 {name}의 관계, 점수가 높은 순. 백분율은 관계와 두 객체를 함께 본 점수이며, 관계가 여럿이면 가장 높은 값입니다.', noRelations: '{name}의 관계가 예측되지 않았습니다.',
      noneAtAll: '예측된 관계가 없습니다.', crossByLayer: '박스 안 어텐션과 엔트로피', inTitle: '박스 안 어텐션', inHelp: '{name}이(가) 패치들에 주는 어텐션 중 박스 안의 비율.',
      inEven: '이미지에서 박스의 비율(균등 분포)',
      exactMaps: '점수가 높은 객체 {count}개의 맵은 가중치 하나에 8비트로 저장됩니다. 오차는 그 맵 최댓값의 0.4% 이하입니다. 박스 안의 비율, 엔트로피, 객체 사이의 가중치는 반올림 전에 계산했습니다.',
      is: '객체 검출: 이 이미지에서 검출한 객체와, 객체마다 쿼리의 어텐션을 보여 줍니다.',
    },
  };

  static options = ({ targets }) => ({ links: targets.relations.length ? 'relations' : 'attention' });

  /** "5 at 50% or more: 2 × star, ring …" */
  static summary({ say, page: { targets: { labels, found: count, threshold } } }) {
    const least = percent(threshold);
    if (!count) return [h('p', {}, say('foundNothing', { least }))];
    const counts = new Map();
    labels.forEach((label) => counts.set(label, (counts.get(label) ?? 0) + 1));
    const list = [...counts].map(([label, times]) => (times > 1 ? say('several', { label, times }) : label)).join(', ');
    return [h('p', {}, say('found', { count, least, list: count > labels.length ? `${list}, …` : list }))];
  }

  /** Switch for what lines on the image stand for. */
  controls(segmentedIn, { links }) {
    const { relations, layers } = this.look.targets;
    const options = [...(relations.length ? ['relations'] : []), ...(layers.some((one) => one.among) ? ['attention'] : []), 'no'];
    segmentedIn('links', options.map((key) => [key, this.viewer.say(`${key}Links`)]), links);
  }

  alone = null; // the relation under the pointer

  /** Objects whose box is at a place, smallest first. */
  under([x, y]) {
    const { boxes, area } = this.look.targets;
    const within = ([left, top, right, bottom]) => left <= x && x <= right && top <= y && y <= bottom;
    return [...boxes.keys()].filter((i) => within(boxes[i])).sort((a, b) => area[a] - area[b]);
  }

  /** The smallest of the boxes there; a second click on the same spot selects the box around it. */
  click(objects) {
    const again = this.clicked === objects.join();
    this.clicked = objects.join();
    if (objects.length) this.viewer.pick(objects[again ? (objects.indexOf(this.viewer.state.token) + 1) % objects.length : 0]);
  }

  show() {
    super.show();
    this.listRelations();
  }

  // on the image, in pixels of the screen

  draw() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!width) return;
    const marks = this.stage.querySelector('svg');
    const tags = this.stage.querySelector('.tags');
    marks.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const { look, viewer } = this;
    const chosen = viewer.token;
    const order = look.chips().sort((a, b) => (a === chosen) - (b === chosen) || look.targets.area[b] - look.targets.area[a]);
    const corners = (i) => look.targets.boxes[i].map((x, at) => x * (at % 2 ? height : width));
    const lines = this.lines(chosen).map((line) => ({ ...line, path: this.path(corners(line.from), corners(line.to)) }));
    marks.replaceChildren(...order.flatMap((i) => this.box(corners(i), i)), ...lines.flatMap((line) => this.arrow(line)));
    const named = order.filter((i) => i === chosen || order.length < CROWDED).reverse(); // the chosen one first
    const words = [...named.map((i) => this.tag(i)), ...lines.map(({ text }) => h('span', { className: 'tag word' }, text))];
    tags.replaceChildren(...words);
    arrange(words, [...named.map((i) => around(corners(i))), ...lines.map(({ path }) => along(path))], width, height);
  }

  box([left, top, right, bottom], i) {
    const place = { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
    const main = i === this.viewer.token ? 'main' : '';
    const outline = this.look.targets.outlines?.[i];
    const shape = (more, attributes) => (outline?.length
      ? svg('path', { d: this.rings(outline), class: `ring ${main} ${more}`, ...attributes })
      : svg('rect', { ...place, class: `found ${main} ${more}`, ...attributes }));
    return [shape('under', {}), shape('', { stroke: this.look.colour(i) })];
  }

  /** The rings around a mask as a path, in pixels of the screen. */
  rings(outline) {
    const { clientWidth, clientHeight } = this.stage;
    return outline.map((ring) => `M${ring.map(([x, y]) => `${x * clientWidth},${y * clientHeight}`).join('L')}Z`).join('');
  }

  tag(i) {
    const tag = h('span', { className: 'tag' }, `${this.look.name(i)} ${this.look.score(i)}`);
    tag.style.background = this.look.colour(i);
    return tag;
  }

  /** Lines from the selected object: { from, to, text, width }. */
  lines(chosen) {
    const { look, viewer: { state } } = this;
    if (state.links === 'relations') {
      const all = look.relations(chosen).filter((one) => (this.alone ? this.alone === `${one.subject} ${one.object}` : one.subject === chosen));
      return all.slice(0, MOST_LINES).map(({ subject, object, names }) => ({ from: subject, to: object, text: names.join(', '), width: 2.5, head: true }));
    }
    const given = state.links === 'attention' && look.among(state.layer, state.head, chosen);
    if (!given) return [];
    const most = given.pairs[0]?.[1] || 1;
    const strong = given.pairs.slice(0, MOST_LINES).filter(([, weight]) => weight > 0.05 * most);
    return strong.map(([to, weight]) => ({ from: chosen, to, text: percent(weight), width: 1 + (6 * weight) / most, head: false }));
  }

  /** A bent line from box to box: from middle to middle, less what lies inside them where they are apart. */
  path(a, b) {
    const middle = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];
    const [from, to] = [middle(a), middle(b)];
    const bend = [0.12 * (to[1] - from[1]), 0.12 * (from[0] - to[0])];
    const control = [(from[0] + to[0]) / 2 + bend[0], (from[1] + to[1]) / 2 + bend[1]];
    const at = (t) => [0, 1].map((c) => (1 - t) ** 2 * from[c] + 2 * t * (1 - t) * control[c] + t * t * to[c]);
    return { from, control, to, at, angle: Math.atan2(to[1] - control[1], to[0] - control[0]) };
  }

  arrow({ from: start, path: { from, control, to, angle }, width, head }) {
    const d = `M${from} Q${control} ${to}`;
    const parts = ['line under', 'line'].map((kind) => svg('path', { d, class: kind, 'stroke-width': width + (kind === 'line' ? 0 : 3) }));
    parts[1].setAttribute('stroke', '#fff');
    const dot = svg('circle', { cx: from[0], cy: from[1], r: 4, class: 'end', fill: this.look.colour(start) });
    const tip = [0, 2.65, -2.65].map((turn, i) => [0, 1].map((c) => to[c] + (i ? 13 : 4) * [Math.cos, Math.sin][c](angle + turn)));
    return [...parts, dot, head ? svg('polygon', { points: tip.join(' '), class: 'end', fill: '#fff' }) : svg('circle', { cx: to[0], cy: to[1], r: 4, class: 'end', fill: '#fff' })];
  }

  listRelations() {
    const { look, viewer: { say, token } } = this;
    const all = look.relations(token);
    const none = look.targets.relations.length ? say('noRelations', { name: look.name(token) }) : say('noneAtAll');
    get('relations-where').textContent = all.length ? say('relationsWhere', { name: look.name(token) }) : none;
    get('relations').replaceChildren(...all.map(({ subject, object, names, score }) => {
      const side = (i) => h('span', {}, this.swatch(i), look.name(i));
      const arrow = h('span', { className: 'arrow' }, `${names.join(', ')} →`);
      const line = h('li', {}, side(subject), ' ', arrow, ' ', side(object), ' ', h('span', { className: 'quiet' }, `${Math.round(100 * score)}%`));
      line.onpointerenter = () => this.only(`${subject} ${object}`);
      line.onpointerleave = () => this.only(null);
      return line;
    }));
  }

  /** While the pointer is on one relation, only its arrow is drawn. */
  only(pair) {
    this.alone = this.viewer.state.links === 'relations' ? pair : null;
    this.draw();
  }
}
