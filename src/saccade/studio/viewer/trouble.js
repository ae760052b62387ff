// What went wrong in the page, for its reader.
import { get } from './dom.js';
import { fill } from './texts.js';

export function report(text) {
  get('trouble').hidden = false;
  get('trouble').textContent = text;
}

/** Show errors on the page, not only in the console. */
export function fail(error) {
  const language = document.documentElement.lang === 'ko' ? 'ko' : 'en';
  report(fill(language, 'failed', { error: error?.message ?? error }));
}
