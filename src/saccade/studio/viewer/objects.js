// A detector's objects: a box each, and how they relate.
import { TargetLook } from './targets.js';

// Distinguishable by hue on any image, and light enough for dark letters.
const HUES = ['#ff6f61', '#3ecf76', '#5aaaff', '#ffc73b', '#cf8bff', '#19cfd0', '#ff94cc', '#b5d63d', '#ffa24d', '#9aa5ff'];

/** Objects, highest score first. */
export class ObjectLook extends TargetLook {
  colour(object) {
    return HUES[object % HUES.length];
  }

  score(object) {
    return `${Math.round(100 * this.targets.scores[object])}%`;
  }

  /** The object's box in patches, to be outlined on the map. */
  outline(object) {
    const [rows, columns] = this.page.grid;
    const [left, top, right, bottom] = this.targets.boxes[object];
    const size = { width: (right - left) * columns, height: (bottom - top) * rows };
    return { x: left * columns, y: top * rows, ...size, class: 'found main', stroke: this.colour(object) };
  }

  /** Relations of one object, highest score first, those of the same pair joined: { subject, object, names, score }. */
  relations(chosen) {
    const pairs = new Map();
    for (const [subject, name, object, score] of this.targets.relations) {
      if (subject !== chosen && object !== chosen) continue;
      const key = `${subject} ${object}`;
      if (!pairs.has(key)) pairs.set(key, { subject, object, names: [], score });
      pairs.get(key).names.push(name);
    }
    return [...pairs.values()].sort((a, b) => (b.subject === chosen) - (a.subject === chosen) || b.score - a.score);
  }
}
