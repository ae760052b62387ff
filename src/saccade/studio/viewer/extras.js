// Views beside attention: similarity of features, their principal components, and the evidence for a class.
import { inflate, readPlane } from './attend.js';
import { get, h, segmented, svg } from './dom.js';
import { extraViews, LAYERED } from './extraviews.js';
import { colours, cosine, Features, similarity } from './features.js';
import { Pair } from './pair.js';
import { figure, percent } from './texts.js';

const MARGIN = 0.02; // of an area: one image and a few random maps show no finer difference

export class Extras {
  constructor(viewer, packed) {
    const { page, page: { grid, targets } } = viewer;
    Object.assign(this, { viewer, packed, views: extraViews(page) });
    if (page.features) this.ofPatches = new Features(page, packed);
    if (targets?.features) {
      this.ofPlaces = new Features({ features: targets.features, grid, prefix: [] }, (name) => packed(`targets-${name}`));
      this.views = [...new Set([...this.views, ...LAYERED])];
    }
    if (page.other) {
      viewer.state.pair ??= viewer.looks.self.middle - viewer.looks.self.first;
      this.pair = new Pair(viewer, this.ofPatches);
    }
  }

  /** Those of the patches, or of the places of layers on grids of their own. */
  get features() {
    return this.viewer.state.mode === 'cross' ? this.ofPlaces : this.ofPatches;
  }

  /** The grid of a view's map of a layer, where that is not the grid of its attention. */
  gridOf(view, l) {
    return this.layered(view) ? this.features.gridOf(this.features.nearest(l)) : null;
  }

  /** Redraw what depends on the selection, besides the large map. */
  show() {
    this.write();
    if (this.pair) this.pair.show();
  }

  /** A patch that is selected is looked for in the other image too. */
  follow(token) {
    const { viewer: { looks, state } } = this;
    if (this.pair && state.mode === 'self' && token >= looks.self.first && token < looks.self.tokens) state.pair = token - looks.self.first;
  }

  /** What the map of a view is named after, where that is not a token. */
  title(view) {
    const { page: { classes }, state: { cls } } = this.viewer;
    return view === 'evidence' ? classes.maps[cls].label : undefined;
  }

  has(view) {
    return this.views.includes(view);
  }

  /** Whether a view is of one layer, so that it stays when another is chosen. */
  layered(view) {
    return this.has(view) && LAYERED.includes(view);
  }

  /**
   * What the large map shows: weights of all tokens, with the ends of their scale, their format and texts, and what is
   * saved of them; or `trouble`, the reason why there is nothing.
   */
  map(view, token, layer) {
    return this[view](token, layer);
  }

  async layer(l) {
    const { features, viewer: { say } } = this;
    const nearest = features.nearest(l);
    const key = features.known?.[l] === false ? 'featuresNear' : 'featuresOf';
    return { images: await features.load(nearest), note: nearest === l ? '' : ` ${say(key, { layer: nearest + 1 })}` };
  }

  async similarity(token, l) {
    const { viewer: { look, say } } = this;
    const { images: [image], note } = await this.layer(l);
    const selected = look.placed ? look.cellOn(token, this.gridOf('similarity', l)) : token;
    if (selected === null) return { weights: null, trouble: say('noFeatures') };
    const weights = similarity(image, selected);
    const others = [...weights.keys()].filter((i) => i >= look.first && i !== selected);
    const best = others.reduce((a, b) => (weights[b] > weights[a] ? b : a));
    const text = (at) => say(at === null ? 'mostSimilar' : 'cosineOf', { token: look.spot(at ?? best, say), cosine: cosine(weights[at ?? best]) }) + note;
    const low = others.reduce((least, i) => Math.min(least, weights[i]), 1);
    return { weights, low, end: weights[best], top: 1, format: cosine, text, columns: { cosine: weights } };
  }

  async pca(token, l) {
    const { features, viewer: { look, say } } = this;
    const { images, note } = await this.layer(l);
    const [{ components: [one, two, three] }] = images;
    const shares = features.layers[features.nearest(l)].shares.map((x) => percent(Number(x.toFixed(3))));
    const facts = { one: shares[0], two: shares[1], three: shares[2] };
    const text = (at) => (at === null || at < look.first
      ? say(images.length > 1 ? 'pcaSharesBoth' : 'pcaShares', facts)
      : say('pcaOf', { token: look.spot(at, say), one: figure(one[at], 2), two: figure(two[at], 2), three: figure(three[at], 2) })) + note;
    return { weights: one, colours: colours(images[0], images), text, columns: { pc1: one, pc2: two, pc3: three } };
  }

  async evidence() {
    const { viewer: { page: { classes, grid }, look, state }, packed } = this;
    this.maps ??= inflate(packed('classes')).then((bytes) => {
      let at = 0;
      return classes.maps.map(({ step }, i) => {
        const plane = new Int16Array(look.tokens);
        at = readPlane(bytes, at, classes.planes.slice(3 * i, 3 * i + 3), plane, grid);
        return Float32Array.from(plane, (x) => x * step);
      });
    });
    const weights = (await this.maps)[state.cls];
    return { weights, end: look.peak(weights, null), columns: { relevance: weights } };
  }

  /** What is below the map: of a class map the classes to choose from, and its scores. */
  write() {
    const { viewer: { page: { classes }, say, state } } = this;
    const shown = state.mode === 'self' && state.view === 'evidence';
    get('extra').hidden = !shown;
    if (!shown) return;
    const box = h('div', { className: 'segmented wrap', role: 'radiogroup', id: 'classes' });
    const old = get('classes');
    if (old) old.replaceWith(box);
    get('extra').replaceChildren(old ? get('classes') : box, ...this.scores(classes.maps[state.cls]));
    const options = classes.maps.map(({ label, p }, i) => [i, `${label} ${percent(Number(p.toPrecision(3)))}`]);
    segmented(box, say('classOf'), options, state.cls, (i) => this.viewer.set('cls', i));
  }

  /** Both scores of a class map beside random maps, in words and as curves. */
  scores(map) {
    const { viewer: { page: { classes }, say } } = this;
    const from = h('p', { className: 'quiet' }, say(`evidence ${classes.source}`));
    if (!map.deletion) return [h('p', {}, say('noScores')), from];
    const curves = ['deletion', 'insertion'].map((key) => {
      const gain = (map[key].area - map[key].random) * (key === 'deletion' ? -1 : 1);
      const [verdict, kind] = gain > MARGIN ? ['beatsRandom', 'good'] : gain < -MARGIN ? ['beatenByRandom', 'bad'] : ['likeRandom', 'quiet'];
      const facts = { area: figure(map[key].area, 3), random: figure(map[key].random, 3), count: classes.random };
      return h('figure', {}, h('figcaption', {}, h('strong', {}, say(key)), h('p', {}, say(`${key}Score`, facts)), h('p', { className: kind }, say(verdict))), chart(map[key], say));
    });
    return [h('div', { className: 'curves' }, ...curves), h('p', { className: 'quiet' }, say('scoresMean')), from];
  }
}

/** The probability of a class as pixels go or come: of the map, and dashed of random maps. */
function chart({ curve, randomCurve }, say) {
  const points = (ys) => ys.map((y, i) => `${24 + (172 * i) / (ys.length - 1)},${90 - 80 * y}`).join(' ');
  const text = (x, y, anchor, content) => svg('text', { x, y, 'text-anchor': anchor }, content);
  const rule = (y) => svg('line', { class: 'rule', x1: 24, x2: 196, y1: y, y2: y });
  return svg('svg', { viewBox: '0 0 200 112', role: 'img', 'aria-label': say('curveHelp') },
    rule(90), rule(10), text(20, 93, 'end', '0'), text(20, 13, 'end', '1'), text(24, 106, 'start', '0%'), text(196, 106, 'end', '100%'), text(110, 106, 'middle', say('ofPixels')),
    svg('polyline', { class: 'reference', fill: 'none', points: points(randomCurve) }), svg('polyline', { class: 'curve', points: points(curve) }));
}
