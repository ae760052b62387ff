// The large map: attention of the selected token over the image, with its colour scale and numbers.
import { top } from './attend.js';
import { COLOURS, css, paint, paintColours, place, weightAt } from './colour.js';
import { get, h } from './dom.js';
import { makePicture } from './picture.js';
import { figure, percent } from './texts.js';

export class LargeMap {
  /** viewer gives what is chosen and its texts; pointed(token or null) is called when the pointer or arrow keys move. */
  constructor(viewer, pointed) {
    Object.assign(this, { viewer, weights: null, end: 0, own: {} }); // own: scale, format and texts of a map that has them
    this.canvas = get('map').querySelector('canvas');
    const go = (token) => {
      pointed(token);
      get('live').textContent = get('readout').textContent;
    };
    this.mark = makePicture(get('map'), () => viewer.look, { hover: pointed, pick: pointed, go, from: () => viewer.pointed });
    get('opacity').oninput = ({ target }) => {
      viewer.state.opacity = Number(target.value);
      this.blend();
      viewer.keep();
      viewer.extras.show();
    };
    this.blend();
    this.paintLegend();
  }

  get look() {
    return this.viewer.look;
  }

  /** Show what is chosen now. What is not computed yet comes later, unless something else is chosen by then. */
  async show() {
    const { viewer, look } = this;
    const { token, state: { layer, head, view } } = viewer;
    const now = () => [viewer.state.mode, viewer.token, viewer.state.layer, viewer.state.head, viewer.state.view, viewer.state.cls].join();
    const requested = now();
    const still = () => now() === requested;
    this.mark(token, viewer.pointed);
    if (view === 'rollout') return this.showRollout(token, still);
    if (viewer.extras.has(view)) return this.showExtra(await viewer.extras.map(view, token, layer), still);
    if (!look.kept(layer)) return this.draw(null, viewer.say('notKept', { layer: layer + 1 }));
    if (!look.layers[layer]) await look.load(layer);
    if (still() && look.absent?.(layer, token)) return this.draw(null, viewer.say(viewer.kind === 'column' ? 'notSeen' : 'notTarget'));
    return still() && look.layers[layer] ? this.draw(look.weights(layer, head, token, viewer.kind)) : undefined;
  }

  showExtra(own, still) {
    return still() ? this.draw(own.weights, own.trouble, own) : undefined;
  }

  async showRollout(token, still) {
    const { viewer, look } = this;
    const known = look.rollouts.get(token);
    if (known) return this.draw(known);
    if (!look.canRollOut(token)) {
      return this.draw(null, viewer.say(look.whole ? 'rolloutOnly' : 'rolloutFew', { token: viewer.name(look.speaker) }));
    }
    this.draw(null, viewer.say('computing', { percent: '' }));
    const weights = viewer.peeked === null && (await look.rollout(token, still));
    return weights && still() ? this.draw(weights) : undefined;
  }

  draw(weights, trouble = '', own = {}) {
    const { viewer, look } = this;
    const { shared, view, log } = viewer.state;
    Object.assign(this, { weights, own, low: own.low ?? 0 });
    this.canvas.hidden = !weights;
    this.end = weights && (own.end ?? ((shared && view !== 'rollout' && viewer.maps.common()) || look.peak(weights, viewer.token)));
    if (own.colours) paintColours(this.canvas, own.colours, look.layerGrid ?? look.page.grid);
    else if (weights) this.paint(weights, this.low ? false : log);
    this.ticks();
    this.readout(trouble);
    this.outside();
    viewer.how();
  }

  paint(weights, log) {
    const { low, look, own, viewer } = this;
    const shown = low ? weights.map((x) => x - low) : weights;
    const hidden = own.text ? null : look.hidden?.(viewer.state.layer, viewer.token); // features are of all places
    paint(this.canvas, shown, look.first, look.layerGrid ?? look.page.grid, this.end - low, log, hidden);
  }

  /** The map lies over the picture, and so does its colour scale over grey, so that both show the same colours. */
  blend() {
    get('opacity').value = this.viewer.state.opacity;
    const opacity = this.viewer.state.opacity / 100;
    this.canvas.style.opacity = opacity;
    get('legend').style.opacity = opacity;
  }

  paintLegend() {
    const context = get('legend').getContext('2d');
    COLOURS.forEach((colour, i) => {
      context.fillStyle = `rgb(${colour.join(' ')})`;
      context.fillRect(i, 0, 1, 1);
    });
  }

  ticks() {
    const { end, low, own, look, viewer: { token, say, state: { layer, view } } } = this;
    const log = this.viewer.state.log && !low;
    get('legend').parentElement.hidden = Boolean(own.colours);
    if (!this.weights || own.colours) return get('ticks').replaceChildren();
    const tick = (t, text, kind = '') => {
      const node = h('span', { className: kind }, text);
      node.style.left = `${100 * t}%`;
      node.style.transform = `translateX(${-100 * t}%)`;
      return node;
    };
    const beyond = (own.top ?? look.peak(this.weights, null)) > end + 0.001 * Math.abs(end);
    const sign = (t) => (t === 0 && log ? '≤ ' : t === 1 && beyond ? '≥ ' : '');
    const format = own.format ?? ((x) => look.format?.(x, view) ?? percent(x));
    const ticks = [0, 0.5, 1].map((t) => tick(t, sign(t) + format(low + weightAt(t, end - low, log))));
    if (look.format || own.format) return get('ticks').replaceChildren(...ticks);
    const uniform = 1 / (look.sources?.(layer, token) ?? look.tokens);
    return get('ticks').replaceChildren(...ticks, tick(place(uniform, end, log), say('even', { even: percent(uniform) }), 'even'));
  }

  readout(trouble = '') {
    const { viewer, weights, look } = this;
    const describe = (key, token) => viewer.say(look.format ? `${key}Part` : key, {
      token: look.spot(token, viewer.say), share: look.format?.(weights[token], viewer.state.view) ?? percent(weights[token]),
      times: figure(weights[token] * (look.sources?.(viewer.state.layer, viewer.token) ?? look.tokens), 2),
    });
    let text = trouble;
    if (weights && this.own.text) text = this.own.text(viewer.pointed);
    else if (weights && this.look.notSource?.(viewer.pointed)) text = viewer.say(viewer.kind === 'column' ? 'notReader' : 'notSource', { token: look.spot(viewer.pointed, viewer.say) });
    else if (weights) text = viewer.pointed === null ? describe('highest', top(weights, 1)[0]) : describe('readout', viewer.pointed);
    get('readout').textContent = text;
    get('map').setAttribute('aria-label', `${get('map-name').textContent}. ${text}. ${viewer.say('mapHelp')}`);
  }

  /** Weights on the tokens that have no place in the picture. */
  outside() {
    const { own, low } = this;
    const others = this.weights && !own.colours ? this.look.outside(this.weights, this.viewer.say) : [];
    get('outside').replaceChildren(...others.map(([label, weight]) => {
      const swatch = h('i');
      swatch.style.background = css(weight - low, this.end - low, this.viewer.state.log && !low);
      return h('span', { className: 'chip' }, swatch, `${label} ${(own.format ?? percent)(weight)}`);
    }));
  }
}
