// What a classifier knows and saw of the photograph, and reasons to doubt its answer.
import { h } from './dom.js';

/** Nodes for before and after the classes. */
export function inputParts({ photo, input, frame, texts }) {
  const [knows, how, missing, ...doubts] = texts;
  const pictures = [h('span', {}, h('img', { src: photo.src, alt: '' }), ...outline(frame)), h('img', { src: input.src, alt: '', className: 'pixels' })];
  return {
    before: [...(knows ? [h('p', { className: 'quiet' }, knows)] : []), h('div', { className: 'input' }, ...pictures, h('p', { className: 'quiet' }, how))],
    after: [...doubts.map((text) => h('p', { className: 'doubt' }, text)), ...(missing ? [h('p', { className: 'quiet' }, missing)] : [])],
  };
}

/** The part of the photograph that the model saw; nothing where it is not known. */
function outline(frame) {
  if (!frame) return [];
  const [left, top, right, bottom] = frame.map((edge) => 100 * edge);
  const box = h('i');
  Object.assign(box.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  return [box];
}
