// Unpack the features and class maps of a page in node with the viewer's own code and print some of them as JSON.
import { readFileSync } from 'node:fs';

const [viewer, file, asked] = process.argv.slice(2);
const { Look } = await import(`${viewer}/look.js`);
const { Extras } = await import(`${viewer}/extras.js`);
const { colours, similarity } = await import(`${viewer}/features.js`);
const text = readFileSync(file, 'utf8');
const element = (id) => text.match(new RegExp(`<script [^>]*id="${id}">([^]*?)</script>`))[1];
const page = JSON.parse(element('content'));
const { other, ...alone } = page; // the section of two images needs a document
const look = new Look(page, element);
const extras = new Extras({ page: alone, look, looks: { self: look }, say: (key, facts) => JSON.stringify([key, facts]), state: { cls: 0 } }, element);
const { layer, token } = JSON.parse(asked);
const features = page.features && new (await import(`${viewer}/features.js`)).Features(page, element);
const images = features && (await features.load(features.nearest(layer)));
const maps = [];
for (let i = 0; i < (page.classes?.maps.length ?? 0); i++) {
  extras.viewer.state.cls = i;
  maps.push([...(await extras.evidence()).weights]);
}
console.log(JSON.stringify({
  views: look.views,
  nearest: features?.nearest(layer),
  similarity: images && [...similarity(images[0], token)],
  across: images?.[1] && [...similarity(images[0], token, images[1])],
  pca: images?.map(({ components, first }) => components.map((one) => [...one.subarray(first)])),
  colours: images && [...colours(images[0], images)],
  maps,
  map: features && (await extras.similarity(token, layer).then(({ low, end, text }) => ({ low, end, text: text(null) }))),
}));
