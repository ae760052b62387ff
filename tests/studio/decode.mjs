// Unpack a page in node with the viewer's own code and print some rows and columns as JSON.
import { readFileSync } from 'node:fs';

const [viewer, file, asked] = process.argv.slice(2);
const { Look } = await import(`${viewer}/look.js`);
const { pair, value, weightedSum, rollout } = await import(`${viewer}/attend.js`);
const text = readFileSync(file, 'utf8');
const element = (id) => text.match(new RegExp(`<script [^>]*id="${id}">([^]*?)</script>`))[1];
const look = new Look(JSON.parse(element('content')), (l) => element(`layer-${l}`));
const { layer, head, token, other } = JSON.parse(asked);
const layers = await Promise.all(look.page.layers.map((_, l) => look.load(l)));
const row = look.weights(layer, head, token, 'row');
const work = rollout(layers, token);
let at = work.next();
while (!at.done) at = work.next();
console.log(JSON.stringify({
  row: [...row],
  mean: [...look.weights(layer, -1, token, 'row')],
  column: [...look.weights(layer, head, token, 'column')],
  meanRow: look.speaker === look.mean ? [...look.weights(layer, head, look.mean, 'row')] : null,
  pair: pair(layers[layer], head, token, other).dot,
  value: value(layers[layer], head, other) && [...value(layers[layer], head, other)],
  sum: value(layers[layer], head, other) && [...weightedSum(layers[layer], head, row)],
  rollout: [...at.value],
}));
