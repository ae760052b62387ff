// Attention weights recomputed from packed queries and keys. No page here: tests run this file in node too.

/** Bytes of a base64 string that holds a zlib stream. */
export async function inflate(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undo the plane coder of pack.py: one plane of whole numbers over tokens. Returns the position after it. */
export function readPlane(bytes, at, [offset, differs, wide], out, grid) {
  const n = out.length;
  for (let i = 0; i < n; i++) {
    out[i] = wide ? (bytes[at + n + i] << 24 >> 16) | bytes[at + i] : bytes[at + i] << 24 >> 24;
  }
  if (differs) {
    const [rows, columns] = grid;
    const first = n - rows * columns;
    for (let y = 0, i = first; y < rows; y++) {
      for (let x = 0; x < columns; x++, i++) {
        if (y && x) out[i] += (out[i - 1] + out[i - columns]) >> 1;
        else if (x) out[i] += out[i - 1];
        else if (y) out[i] += out[i - columns];
      }
    }
  }
  if (offset) for (let i = 0; i < n; i++) out[i] += offset;
  return at + (wide ? 2 * n : n);
}

/** One call of attention from its bytes. `info` is the call's entry in the page's JSON. */
export function readLayer(bytes, info, grid, tokens) {
  let at = 0;
  let plane = 0;
  const take = (count) => {
    const out = new Int16Array(count * tokens);
    for (let c = 0; c < count; c++, plane++) {
      const kind = info.planes.slice(3 * plane, 3 * plane + 3);
      at = readPlane(bytes, at, kind, out.subarray(c * tokens, (c + 1) * tokens), grid);
    }
    return out;
  };
  const group = info.heads / info.groups;
  const heads = [...Array(info.heads).keys()];
  const layer = { ...info, tokens };
  layer.q = heads.map((h) => take(info.gain[Math.floor(h / group)].length));
  layer.k = info.gain.map((gain) => take(gain.length));
  layer.shift = heads.map(() => take(1));
  layer.lse = heads.map(() => Float32Array.from(take(1), (x) => x * info.lseStep));
  layer.meanRow = info.meanRowStep ? heads.map(() => Float32Array.from(take(1), (x) => Math.exp(x * info.meanRowStep))) : [];
  layer.v = info.valueStep.map((steps) => take(steps.length));
  return layer;
}

const groupOf = (layer, head) => Math.floor(head / (layer.heads / layer.groups));

/** out[j] = Σ over directions of factor · a[token] · b[j], walked plane by plane, which is the order in memory. */
function project(a, b, gain, scale, token, n) {
  const out = new Float32Array(n);
  for (let c = 0; c < gain.length; c++) {
    const factor = scale * gain[c] * a[c * n + token];
    if (factor === 0) continue;
    for (let j = 0, at = c * n; j < n; j++, at++) out[j] += factor * b[at];
  }
  return out;
}

/** Scaled scores of one target with every source, without the constant that the keys' mean adds to the row. */
export function rowScores(layer, head, target) {
  const g = groupOf(layer, head);
  return project(layer.q[head], layer.k[g], layer.gain[g], layer.scale, target, layer.tokens);
}

/** Log of the sum of exp(score). */
export function logSumExp(scores) {
  let top = -Infinity;
  for (const s of scores) if (s > top) top = s;
  let sum = 0;
  for (const s of scores) sum += Math.exp(s - top);
  return top + Math.log(sum);
}

/** What a target attends to: weights over sources that sum to 1. */
export function row(layer, head, target) {
  if (target === layer.tokens) return layer.meanRow[head]; // the mean of all patches, packed as it is
  const out = rowScores(layer, head, target);
  let top = -Infinity;
  for (const s of out) if (s > top) top = s;
  let sum = 0;
  for (let j = 0; j < out.length; j++) sum += out[j] = Math.exp(out[j] - top);
  for (let j = 0; j < out.length; j++) out[j] /= sum;
  return out;
}

/** What attends to a source: the weight that each target gives it. */
export function column(layer, head, source) {
  const g = groupOf(layer, head);
  const out = project(layer.k[g], layer.q[head], layer.gain[g], layer.scale, source, layer.tokens);
  const lse = layer.lse[head];
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(out[i] - lse[i]);
  return out;
}

/** Mean of arrays of one length. */
export function mean(maps) {
  const out = new Float32Array(maps[0].length);
  for (const map of maps) for (let j = 0; j < out.length; j++) out[j] += map[j] / maps.length;
  return out;
}

/** Every number on the way from query and key to weight, for one pair. Directions are in the packed order. */
export function pair(layer, head, target, source) {
  const g = groupOf(layer, head);
  const n = layer.tokens;
  const gain = layer.gain[g];
  const q = Float32Array.from(gain, (x, c) => Math.sqrt(x) * layer.q[head][c * n + target]);
  const k = Float32Array.from(gain, (x, c) => Math.sqrt(x) * layer.k[g][c * n + source]);
  const shift = layer.shift[head][target] * layer.shiftStep;
  let dot = shift; // q·(mean of k), which is the same for every source
  for (let c = 0; c < q.length; c++) dot += q[c] * k[c];
  return { q, k, dot, score: dot * layer.scale, shift: shift * layer.scale };
}

/** The packed components of one source's value. */
export function value(layer, head, source) {
  const g = groupOf(layer, head);
  if (!layer.v.length) return null;
  return Float32Array.from(layer.valueStep[g], (step, c) => step * layer.v[g][c * layer.tokens + source]);
}

/** Σ weight · value over all sources: what the head hands to the target. */
export function weightedSum(layer, head, weights) {
  const g = groupOf(layer, head);
  if (!layer.v.length) return null;
  const n = layer.tokens;
  return Float32Array.from(layer.valueStep[g], (step, c) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += weights[j] * layer.v[g][c * n + j];
    return step * sum;
  });
}

/**
 * Attention rollout (Abnar & Zuidema 2020) of one token as a chain of vector products, last layer first:
 * r ← ½ r + ½ · mean over heads of rᵀA. A generator that pauses after every row, so that a page stays awake.
 */
export function* rollout(layers, token) {
  const n = layers[0].tokens;
  let r = new Float32Array(n);
  r[token] = 1;
  for (const layer of [...layers].reverse()) {
    const next = r.map((x) => x / 2);
    for (let head = 0; head < layer.heads; head++) {
      for (let i = 0; i < n; i++) {
        if (r[i] < 1e-9) continue; // the first product has one row only
        const weights = row(layer, head, i);
        const share = r[i] / (2 * layer.heads);
        for (let j = 0; j < n; j++) next[j] += share * weights[j];
        yield;
      }
    }
    r = next;
  }
  return r;
}

/** Multiply-adds of a rollout. */
export function rolloutCost(infos, tokens) {
  return infos.reduce((sum, i) => sum + i.heads * (i.width + 8), 0) * tokens * tokens;
}

/** Indices of the largest numbers, largest first. */
export function top(weights, count) {
  const best = [];
  for (let j = 0; j < weights.length; j++) {
    if (best.length === count && weights[j] <= weights[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && weights[best[at - 1]] < weights[j]) at--;
    best.splice(at, 0, j);
    if (best.length > count) best.pop();
  }
  return best;
}
