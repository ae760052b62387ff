// The large map: attention of the selected token over the image, with its colour scale and numbers.
import { top } from './attend.js';
import { COLOURS, css, paint, place, weightAt } from './colour.js';
import { get, h } from './dom.js';
import { makePicture } from './picture.js';
import { figure, percent } from './texts.js';

export class LargeMap {
  /** viewer gives what is chosen and its texts; pointed(token or null) is called when the pointer or arrow keys move. */
  constructor(viewer, pointed) {
    Object.assign(this, { viewer, weights: null, end: 0 });
    this.canvas = get('map').querySelector('canvas');
    const go = (token) => {
      pointed(token);
      get('live').textContent = get('readout').textContent;
    };
    this.mark = makePicture(get('map'), () => viewer.look, { hover: pointed, pick: pointed, go, from: () => viewer.pointed });
    get('opacity').oninput = () => this.blend();
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
    const now = () => [viewer.state.mode, viewer.token, viewer.state.layer, viewer.state.head, viewer.state.view].join();
    const requested = now();
    const still = () => now() === requested;
    this.mark(token, viewer.pointed);
    if (view === 'rollout') return this.showRollout(token, still);
    if (!look.kept(layer)) return this.draw(null, viewer.say('notKept', { layer: layer + 1 }));
    if (!look.layers[layer]) await look.load(layer);
    return still() && look.layers[layer] ? this.draw(look.weights(layer, head, token, viewer.kind)) : undefined;
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

  draw(weights, trouble = '') {
    const { viewer, look } = this;
    const { shared, view, log } = viewer.state;
    this.weights = weights;
    this.canvas.hidden = !weights;
    this.end = weights && ((shared && view !== 'rollout' && viewer.maps.common()) || look.peak(weights, viewer.token));
    if (weights) paint(this.canvas, weights, look.first, look.page.grid, this.end, log, look.hidden?.(viewer.state.layer, viewer.token));
    this.ticks();
    this.readout(trouble);
    this.outside();
    viewer.how();
  }

  /** The map lies over the picture, and so does its colour scale over grey, so that both show the same colours. */
  blend() {
    const opacity = get('opacity').value / 100;
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
    const { end, look, viewer: { token, say, state: { layer, log, view } } } = this;
    if (!this.weights) return get('ticks').replaceChildren();
    const tick = (t, text, kind = '') => {
      const node = h('span', { className: kind }, text);
      node.style.left = `${100 * t}%`;
      node.style.transform = `translateX(${-100 * t}%)`;
      return node;
    };
    const beyond = look.peak(this.weights, null) > end * 1.001;
    const sign = (t) => (t === 0 && log ? '≤ ' : t === 1 && beyond ? '≥ ' : '');
    const format = (x) => look.format?.(x, view) ?? percent(x);
    const ticks = [0, 0.5, 1].map((t) => tick(t, sign(t) + format(weightAt(t, end, log))));
    if (look.format) return get('ticks').replaceChildren(...ticks);
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
    if (weights) text = viewer.pointed === null ? describe('highest', top(weights, 1)[0]) : describe('readout', viewer.pointed);
    get('readout').textContent = text;
    get('map').setAttribute('aria-label', `${get('map-name').textContent}. ${text}. ${viewer.say('mapHelp')}`);
  }

  /** Weights on the tokens that have no place in the picture. */
  outside() {
    const others = this.weights ? this.look.outside(this.weights, this.viewer.say) : [];
    get('outside').replaceChildren(...others.map(([label, weight]) => {
      const swatch = h('i');
      swatch.style.background = css(weight, this.end, this.viewer.state.log);
      return h('span', { className: 'chip' }, swatch, `${label} ${percent(weight)}`);
    }));
  }
}
