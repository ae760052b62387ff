// The widget's part in the notebook: the page in a frame, and the selection carried between frame and Python.
const KEYS = ['mode', 'token', 'layer', 'head', 'view'];

/** Traits of an address: indices from 0, head null for the mean of the heads. */
function traits(address) {
  const from = new URLSearchParams(address);
  const [layer, head] = [Number(from.get('layer')) - 1, Number(from.get('head')) - 1];
  return { mode: from.get('mode'), token: Number(from.get('token')), layer, head: head < 0 ? null : head, view: from.get('view') };
}

/** The address of some traits. What is null is left to the page; of a page that is there, head null is the mean. */
function addressOf(values, there) {
  const numbers = { token: values.token, layer: values.layer + 1, head: values.head === null ? 0 : values.head + 1 };
  const known = Object.entries({ ...values, ...numbers }).filter(([key]) => values[key] !== null || (key === 'head' && there && 'head' in values));
  return String(new URLSearchParams(known));
}

function render({ model, el }) {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', 'allow-scripts allow-downloads');
  Object.assign(frame, { title: 'Attention', srcdoc: model.get('_document') });
  frame.style.cssText = `box-sizing:border-box;width:100%;height:${model.get('_height')}px;border:1px solid #8886;border-radius:8px;resize:vertical`;
  el.append(frame);

  let sent = 0; // messages to the page; it repeats the number of the last one it has seen
  let reading = false; // traits change because the page says so
  let changed = new Set();
  const send = (values, there = true) => {
    sent += 1;
    frame.contentWindow.postMessage({ saccade: { number: sent, address: addressOf(values, there) } }, '*');
  };

  /** The page was loaded (again): what Python has selected holds, the rest is as the page chooses. */
  const greet = (limits) => {
    model.set('_limits', limits);
    sent = 0;
    send(Object.fromEntries(KEYS.map((key) => [key, model.get(key)])), model.get('token') !== null);
  };
  const read = (address) => {
    reading = true;
    Object.entries(traits(address)).forEach(([key, value]) => model.set(key, value));
    model.save_changes();
    reading = false;
  };
  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow || !data?.saccade) return;
    const { limits, address, number } = data.saccade;
    if (limits) greet(limits);
    else if (number === sent && !changed.size) read(address); // else Python has changed its mind meanwhile
  };
  const tell = () => {
    const values = Object.fromEntries([...changed].map((key) => [key, model.get(key)]));
    changed = new Set();
    send(values);
  };
  const listeners = KEYS.map((key) => [`change:${key}`, () => {
    if (reading) return;
    if (!changed.size) queueMicrotask(tell); // several traits that change together are one message
    changed.add(key);
  }]);
  addEventListener('message', hear);
  listeners.forEach(([event, listener]) => model.on(event, listener));
  return () => {
    removeEventListener('message', hear);
    listeners.forEach(([event, listener]) => model.off(event, listener));
  };
}

export default { render };
