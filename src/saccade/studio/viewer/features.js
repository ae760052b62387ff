// Features of tokens, unpacked: how similar they are, and their principal components. No page here: tests run it in node.
import { inflate, readPlane } from './attend.js';

/** One layer of one image: `count` planes of coordinates, axis by axis, then those of three principal components. */
export function readFeatures(bytes, info, image, grid, tokens) {
  const kinds = info.planes[image];
  const planes = Array.from({ length: kinds.length / 3 }, () => new Int16Array(tokens));
  let at = 0;
  planes.forEach((plane, i) => { at = readPlane(bytes, at, kinds.slice(3 * i, 3 * i + 3), plane, grid); });
  const axes = planes.slice(0, info.count);
  const length = new Float64Array(tokens);
  for (const axis of axes) for (let i = 0; i < tokens; i++) length[i] += axis[i] * axis[i];
  const components = planes.slice(info.count).map((plane, c) => Float32Array.from(plane, (x) => x * info.steps[c]));
  return { axes, length: length.map((x) => Math.sqrt(x) || 1), components, tokens, first: tokens - grid[0] * grid[1] };
}

/** A cosine as text. */
export const cosine = (x) => x.toFixed(3).replace('-', '−');

/** Coordinates of one token on the axes; with the index past the last token those of the mean of all patches. */
function coordinates({ axes, length, tokens, first }, token) {
  if (token < tokens) return axes.map((axis) => axis[token] / length[token]);
  return axes.map((axis) => {
    let sum = 0;
    for (let i = first; i < tokens; i++) sum += axis[i] / length[i];
    return sum / (tokens - first);
  });
}

/** Cosine of the features of one token and of every token of `other`, an image on the same axes. */
export function similarity(image, token, other = image) {
  const query = coordinates(image, token);
  const size = Math.hypot(...query) || 1;
  const out = new Float32Array(other.tokens);
  other.axes.forEach((axis, c) => {
    const factor = query[c] / size;
    if (factor) for (let i = 0; i < out.length; i++) out[i] += factor * axis[i];
  });
  return out.map((x, i) => x / other.length[i]);
}

/**
 * Red, green and blue of every patch (Uint8Array): its first three principal components, each from the lowest to the
 * highest of the patches of all `images`.
 */
export function colours(image, images = [image]) {
  const out = new Uint8ClampedArray(3 * (image.tokens - image.first));
  image.components.forEach((component, c) => {
    const patches = images.map((one) => one.components[c].subarray(one.first));
    const low = Math.min(...patches.map((each) => each.reduce((a, b) => Math.min(a, b))));
    const high = Math.max(...patches.map((each) => each.reduce((a, b) => Math.max(a, b))));
    for (let i = image.first; i < image.tokens; i++) out[3 * (i - image.first) + c] = high > low ? Math.round((255 * (component[i] - low)) / (high - low)) : 128;
  });
  return out;
}

/** The features of a page, by layer and image: 0 for the picture, 1 for the one beside it. */
export class Features {
  constructor({ features, grid, prefix, other }, packed) {
    Object.assign(this, { ...features, packed, prefix: prefix.length, grids: [grid, ...(other ? [other.grid] : [])] });
    this.coming = [];
  }

  /** Layer l if it is on the page, else the next one that is, or the last. */
  nearest(l) {
    const next = this.layers.findIndex((layer, i) => i >= l && layer);
    return next < 0 ? this.layers.findLastIndex(Boolean) : next;
  }

  /** The grid of the first image in a layer that is on the page. */
  gridOf(l) {
    return this.layers[l].grid ?? this.grids[0];
  }

  /** [the picture's, the other picture's] of a layer that is on the page. */
  load(l) {
    this.coming[l] ??= Promise.all(this.grids.map(async (whole, i) => {
      const grid = this.layers[l].grid ?? whole;
      const bytes = await inflate(this.packed(`features-${l}-${i}`));
      return readFeatures(bytes, this.layers[l], i, grid, this.prefix + grid[0] * grid[1]);
    }));
    return this.coming[l];
  }
}
