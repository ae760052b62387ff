// Unpack a page of a film in node with the viewer's own code and print rows, columns and shares as JSON.
import { readFileSync } from 'node:fs';

const [viewer, file, asked] = process.argv.slice(2);
const { FilmLook } = await import(`${viewer}/filmlook.js`);
const text = readFileSync(file, 'utf8');
const element = (id) => text.match(new RegExp(`<script [^>]*id="${id}">([^]*?)</script>`))[1];
const look = new FilmLook(JSON.parse(element('content')), (l) => element(`targets-${l}`));
const out = [];
for (const { layer, head, token } of JSON.parse(asked)) {
  await look.load(layer);
  const row = look.weights(layer, head, token, 'row');
  const hidden = look.hidden(layer, token);
  out.push({
    row: [...row],
    column: [...look.weights(layer, head, token, 'column')],
    shares: look.shares(row),
    hidden: [...row.keys()].filter((other) => hidden?.(other)),
    sources: look.sources(layer, token),
  });
}
console.log(JSON.stringify(out));
