// Making elements, in one line each.

const SVG = 'http://www.w3.org/2000/svg';

export const get = (id) => document.getElementById(id);

/** An HTML element: properties where it has them, attributes where not, then its children (text is never markup). */
export function h(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, x] of Object.entries(properties)) {
    if (key in node) node[key] = x;
    else node.setAttribute(key, x);
  }
  node.append(...children);
  return node;
}

/** An SVG element with attributes and children. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, x] of Object.entries(attributes)) node.setAttribute(key, x);
  node.append(...children);
  return node;
}

/** How far an arrow key goes, as [rows, columns]. */
export const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** A row of buttons of which one is on: options are [key, text]; set(key) is called for a new one. */
export function segmented(box, name, options, on, set) {
  const held = box.contains(document.activeElement);
  box.setAttribute('aria-label', name);
  box.replaceChildren(...options.map(([key, text]) => h('button', {
    type: 'button', role: 'radio', 'aria-checked': String(key === on), tabIndex: key === on ? 0 : -1,
    textContent: text, onclick: () => set(key),
  })));
  box.onkeydown = (event) => {
    if (!ARROWS[event.key]) return;
    event.preventDefault();
    const at = options.findIndex(([key]) => key === on) + ARROWS[event.key][0] + ARROWS[event.key][1];
    set(options[(at + options.length) % options.length][0]);
  };
  if (held) box.querySelector('[aria-checked=true]').focus();
}
