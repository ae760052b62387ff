// What can be selected by name: tokens without a position in the image, objects, classes or words.
import { get, h } from './dom.js';

/** Redraw the buttons; the one with the focus keeps it. */
export function showChips(viewer) {
  const { look, say, state } = viewer;
  const held = document.activeElement?.dataset?.token;
  const tokens = look.chips(state.token);
  const absent = tokens.find((token) => look.there?.(token) === false);
  get('chips').replaceChildren(...tokens.flatMap((token) => [
    ...(token === absent ? [h('span', { className: 'quiet' }, say('absent'))] : []), chipOf(viewer, token),
  ]));
  if (held) get('chips').querySelector(`[data-token="${held}"]`)?.focus();
}

function chipOf(viewer, token) {
  const { look, scene, state } = viewer;
  const content = state.mode === 'cross' ? [scene.swatch(token), `${viewer.name(token)} `, h('small', {}, look.score(token))] : [viewer.name(token)];
  const chip = h('button', { type: 'button', className: 'chip', onclick: () => viewer.pick(token) }, ...content);
  chip.dataset.token = token;
  chip.setAttribute('aria-pressed', String(token === state.token));
  chip.onpointerenter = (event) => event.pointerType === 'mouse' && viewer.peek(token);
  chip.onpointerleave = () => viewer.peek(null);
  return chip;
}
