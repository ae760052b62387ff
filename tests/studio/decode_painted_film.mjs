// Unpack a page of a generated film in node with the viewer's own code and print maps and shares as JSON.
import { readFileSync } from 'node:fs';

const [viewer, file, asked] = process.argv.slice(2);
const { PaintedFilmLook } = await import(`${viewer}/paintedfilmlook.js`);
const text = readFileSync(file, 'utf8');
const element = (id) => text.match(new RegExp(`<script [^>]*id="${id}">([^]*?)</script>`))[1];
const look = new PaintedFilmLook(JSON.parse(element('content')), (name) => element(`targets-${name}`));
const out = [];
for (const { step, layer, head, token } of JSON.parse(asked)) {
  look.turn(step);
  look.selected = () => token;
  await look.load(layer);
  const row = look.weights(layer, head, token, 'row');
  const known = look.known.includes(look.groupOf(token));
  out.push({
    row: [...row],
    column: [...look.weights(layer, head, token, 'column')],
    shares: look.shares(row),
    words: look.isWord(token) || known ? [] : look.answers(layer, head, token).map(([, weight]) => weight),
    frames: look.byFrame(layer, head),
    even: look.evenTime(),
  });
}
console.log(JSON.stringify(out));
