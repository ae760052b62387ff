// The address keeps what is chosen, so that a view can be passed on; around a page in a frame, a notebook's widget does.

export const OPACITY = 80; // per cent, of the map at first

/** Whether the page is in a frame, such as that of a notebook: there is little room, and no address to pass on. */
export const framed = Boolean(globalThis.parent && globalThis.parent !== globalThis);

let remembering = 0;
let answered = 0; // number of the last message from around the frame

/** What is chosen, as the part of an address after #. */
export function addressOf({ mode, token, layer, head, view, language, step, frame, text, cls, pair, opacity, log, shared }) {
  const address = new URLSearchParams({ mode, token, layer: layer + 1, head: head + 1, view, language });
  if (step !== undefined) address.set('step', step + 1);
  if (frame !== undefined) address.set('frame', frame + 1);
  if (text) address.set('text', text);
  if (cls) address.set('class', cls);
  if (pair !== undefined) address.set('pair', pair);
  if (opacity !== OPACITY) address.set('opacity', opacity);
  if (log) address.set('log', 1);
  if (shared) address.set('shared', 1);
  return String(address);
}

/** Write what is chosen into the address; not at every key of a walk: browsers ration it. */
export function remember(state) {
  const address = addressOf(state);
  post({ address });
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    try { history.replaceState(null, '', `#${address}`); } catch { /* a frame may forbid it */ }
  }, 300);
}

/** Send a message to what is around the frame, if this page is in one. number: of the last message from there. */
function post(message) {
  if (framed) parent.postMessage({ saccade: { number: answered, ...message } }, '*');
}

/** Offer the selection to what is around the frame: say what there is to select, and go(address) where it says. */
export function follow(looks, go) {
  const limits = Object.entries(looks).map(([mode, { last, infos, views }]) => [mode, { tokens: last + 1, heads: infos.map(({ heads }) => heads), views }]);
  post({ limits: Object.fromEntries(limits) });
  globalThis.addEventListener?.('message', ({ source, data }) => {
    if (source !== parent || typeof data?.saccade?.address !== 'string') return;
    answered = Number(data.saccade.number);
    go(data.saccade.address);
  });
}

/** Fill the state from an address, as far as it fits. chosen: what is chosen first, in each mode. */
export function recall(state, looks, chosen, address = location.hash.slice(1)) {
  const from = new URLSearchParams(address);
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
  if (state.head >= 0) state.named = state.head;
  if (look.views.includes(from.get('view'))) state.view = from.get('view');
  else if (state.view === 'rollout' && (from.has('layer') || from.has('head'))) state.view = 'row'; // rollout has neither
  state.opacity = read('opacity', 0, 100, state.opacity);
  for (const key of ['log', 'shared']) if (from.has(key)) state[key] = from.get(key) === '1';
  for (const [key, [name, last]] of Object.entries(look.numbered ?? {})) state[key] = read(name, 0, last, state[key]);
  if (['en', 'ko'].includes(from.get('language'))) state.language = from.get('language');
}
