// What the large map shows now, to keep: as an image, as numbers, or as a link that opens the page as it is.
import { framed } from './address.js';
import { get, h } from './dom.js';

const SAVED_WIDTH = 1024; // pixels of a saved image at least, where the page's own has fewer
const SAVED_MARGIN = 76; // below it, for the scale and the text

/** Buttons below the large map. */
export class Save {
  constructor(viewer) {
    this.viewer = viewer;
    for (const key of ['png', 'csv', 'link']) get(`save-${key}`).onclick = () => this[key]();
    get('save-link').hidden = location.protocol === 'about:'; // a page in a notebook has no address
    get('save-link').hidden = framed;
  }

  get map() {
    return this.viewer.large;
  }

  /** The picture under the map: of a page of two the first, as the page's title names both. */
  get title() {
    const { page } = this.viewer;
    return page.other?.first ?? page.title;
  }

  /** A name that says what is in the file. */
  name(end) {
    const { state: { view, layer, head }, look } = this.viewer;
    const single = !['rollout', 'evidence'].includes(view);
    const parts = [this.title.replace(/\.\w+$/, ''), view, single && `layer${layer + 1}`, ['row', 'column'].includes(view) && look.views.includes('column') && (head < 0 ? 'mean' : `head${head + 1}`)];
    return `${parts.filter(Boolean).join('-').replace(/[^\p{L}\p{N}.-]+/gu, '_')}.${end}`;
  }

  /** The image in grey under the map with its opacity, its scale, and what it is in words. */
  async png() {
    const { map, viewer: { page, say } } = this;
    const image = get('map').querySelector('img');
    const factor = Math.max(1, Math.round(SAVED_WIDTH / page.picture.width));
    const [width, height] = [page.picture.width * factor, page.picture.height * factor];
    const canvas = h('canvas', { width, height: height + SAVED_MARGIN });
    const context = canvas.getContext('2d');
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, width, height + SAVED_MARGIN);
    context.imageSmoothingEnabled = page.picture.width >= 160;
    context.filter = 'grayscale(1)';
    context.drawImage(image, 0, 0, width, height);
    context.filter = 'none';
    if (!map.canvas.hidden) {
      context.imageSmoothingEnabled = false;
      context.globalAlpha = this.viewer.state.opacity / 100;
      context.drawImage(map.canvas, 0, 0, width, height);
      context.globalAlpha = 1;
    }
    this.outline(context, width, height);
    this.caption(context, width, height);
    canvas.toBlob((blob) => this.download(blob, this.name('png')), 'image/png');
    this.report(say('savedAs', { name: this.name('png') }));
  }

  /** The frame of the selected patch, as on the page. */
  outline(context, width, height) {
    const { viewer: { look, state, page: { grid: [rows, columns] } } } = this;
    const place = look.outline(state.token);
    if (!place || !('x' in place)) return;
    const [x, y] = [width / columns, height / rows];
    for (const [line, colour] of [[6, '#000c'], [3, '#00d5e8']]) {
      Object.assign(context, { lineWidth: line, strokeStyle: colour });
      context.strokeRect(place.x * x, place.y * y, place.width * x, place.height * y);
    }
  }

  caption(context, width, height) {
    const { map, viewer } = this;
    context.font = '15px system-ui, sans-serif';
    context.fillStyle = '#1b1c1f';
    context.fillText([get('chosen').textContent, get('map-name').textContent, this.layerText()].filter(Boolean).join(' · '), 8, height + 22, width - 16);
    context.fillStyle = '#5d616a';
    context.fillText(`${this.title} · ${viewer.page.model.name ?? ''}`, 8, height + 44, width - 16);
    if (!map.weights || map.own.colours) return;
    const [left, right] = [...get('ticks').querySelectorAll('span:not(.even)')].map((node) => node.textContent).filter((_, i, all) => i === 0 || i === all.length - 1);
    const start = context.measureText(left).width + 16;
    const end = width - context.measureText(right).width - 16;
    context.fillText(left, 8, height + 66);
    context.fillText(right, end + 8, height + 66);
    context.fillStyle = '#808080'; // under the scale, as the grey image is under the map
    context.fillRect(start, height + 54, end - start, 14);
    context.globalAlpha = viewer.state.opacity / 100;
    context.drawImage(get('legend'), start, height + 54, end - start, 14);
    context.globalAlpha = 1;
  }

  layerText() {
    const { state: { view, layer, head }, say } = this.viewer;
    if (['rollout', 'evidence'].includes(view)) return '';
    const name = `${say('layer')} ${layer + 1}`;
    return this.viewer.extras.has(view) ? name : `${name}, ${head < 0 ? say('mean') : say('headName', { head: head + 1 })}`;
  }

  /** A line a token: its name, its row and column in the grid from 1 on (none for tokens without a place), its numbers. */
  csv() {
    const { map: { weights, own }, viewer: { look, page, say } } = this;
    const grid = look.layerGrid ?? page.grid;
    if (!weights) return this.report(say('nothingToSave'));
    const columns = own.columns ?? { weight: weights };
    const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const patches = Array.from({ length: grid[0] * grid[1] }, (_, i) => look.first + i); // of a film, those of the frame shown
    const others = own.colours ? [] : [...look.prefix.keys()];
    const lines = [...others, ...patches].map((i) => {
      const at = i - look.first;
      const place = at < 0 ? ['', ''] : [Math.floor(at / grid[1]) + 1, (at % grid[1]) + 1];
      const name = at < 0 ? look.prefix[i] : 'patch';
      return [cell(name), ...place, ...Object.values(columns).map((values) => Number(values[i].toPrecision(7)))].join(',');
    });
    const text = [['token', 'row', 'column', ...Object.keys(columns)].join(','), ...lines, ''].join('\r\n');
    this.download(new Blob([text], { type: 'text/csv' }), this.name('csv'));
    return this.report(say('savedAs', { name: this.name('csv') }));
  }

  /** The address of the page as it is now, to copy. */
  async link() {
    const { viewer } = this;
    viewer.keep();
    const field = get('save-address');
    field.hidden = false;
    field.value = `${location.href.split('#')[0]}#${viewer.address}`;
    field.focus();
    field.select();
    const copied = await navigator.clipboard?.writeText(field.value).then(() => true, () => false);
    this.report(viewer.say(copied ? 'linkCopied' : 'linkShown'));
  }

  download(blob, name) {
    const url = URL.createObjectURL(blob);
    h('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  report(text) {
    get('save-done').textContent = text;
  }
}
