// The address keeps what is chosen, so that a view can be passed on.

let remembering = 0;

/** Write what is chosen into the address; not at every key of a walk: browsers ration it. */
export function remember({ mode, token, layer, head, view, language, step, frame, text }) {
  const address = new URLSearchParams({ mode, token, layer: layer + 1, head: head + 1, view, language });
  if (step !== undefined) address.set('step', step + 1);
  if (frame !== undefined) address.set('frame', frame + 1);
  if (text) address.set('text', text);
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    try { history.replaceState(null, '', `#${address}`); } catch { /* a frame may forbid it */ }
  }, 300);
}

/** Fill the state from the address, as far as it fits. chosen: what is chosen first, in each mode. */
export function recall(state, looks, chosen) {
  const from = new URLSearchParams(location.hash.slice(1));
  const read = (key, low, high, otherwise) => {
    const x = from.has(key) ? Number(from.get(key)) : NaN;
    return Number.isInteger(x) && x >= low && x <= high ? x : otherwise;
  };
  if (from.get('mode') in looks) state.mode = from.get('mode');
  const look = looks[state.mode];
  look.recall?.(from);
  Object.assign(state, chosen[state.mode]);
  state.token = read('token', 0, look.last, state.token);
  state.layer = read('layer', 1, look.infos.length, state.layer + 1) - 1;
  state.head = read('head', 0, look.infos[state.layer].heads, state.head + 1) - 1;
  state.named = Math.max(state.head, 0);
  if (look.views.includes(from.get('view'))) state.view = from.get('view');
  if (['en', 'ko'].includes(from.get('language'))) state.language = from.get('language');
}
