// Every text of the page, in English and Korean. {names} are filled in by `say`.

export const WORDS = {
  en: {
    language: 'Language', theme: 'Theme', auto: 'Auto', light: 'Light', dark: 'Dark',
    sees: 'What the model sees',
    noPredictions: 'This model only turns the picture into features; it names nothing.',
    what: 'What am I looking at?',
    what1: 'The model cuts the picture into {rows} × {columns} patches. In every layer each patch asks all the others what they know, and listens to some more than to others. How much it listens to each one is a weight; together, one patch’s weights make 100 %.',
    what2: '① Point at a patch, or click it to keep it. ② shows where it looks: dark is little, bright is much. ③ has one small map for each layer and each head, because the model looks in many ways at once. Click one to see it large.',
    whatCls: '“{name}” is one more token without a place in the picture: it gathers what the prediction is made from, so it is a good one to start with.',
    whatMean: 'This model predicts from the mean of all patches; “rollout” follows it through all layers.',
    choose: 'Choose a patch',
    pictureHelp: 'The picture. Arrow keys move the chosen patch, Home goes to the first, End to the last.',
    others: 'Tokens that are not a place in the picture', meanToken: 'mean of all patches',
    patch: 'patch at row {row}, column {column}', chosen: 'Chosen: {token}', peek: 'Pointing at: {token}',
    lookRow: 'Where it looks', lookColumn: 'Who looks at it', lookRollout: 'Where it looks, through all layers',
    readout: '{token}: {share}, {times} an even share', hint: 'Point at a patch to read its weight. An even share would be {even}.',
    highest: 'Most: {token}, {share}.', even: 'even share',
    outside: '{name} {share}', opacity: 'Map over picture',
    steps: 'Colour steps', linear: 'Linear', log: 'Log',
    every: 'Every layer and head', everyHelp: 'Small maps, one a layer and head. Arrow keys move, Enter chooses.',
    compare: 'Colour scale of the small maps', shared: 'One scale for all (0 to {end})', each: 'Each its own',
    layer: 'Layer', layerName: '{layer} of {count}', head: 'Head', mean: 'mean', headName: 'head {head}',
    controls: 'Layer, head and view', view: 'View',
    row: 'Row: what it attends to', column: 'Column: what attends to it', rollout: 'Rollout',
    helpRow: 'The weights that the chosen token gives: they add up to 100 %.',
    helpColumn: 'The weight that each token gives to the chosen one. These come from different rows, so they need not add up to 100 %.',
    helpRollout: 'Weights multiplied through all layers, half of each layer passed straight on: how much each patch flows into the chosen token at the end (Abnar & Zuidema 2020). It has no layer or head; the small maps stay those of single layers.',
    rolloutOnly: 'This page carries the rollout of {token} only: for other tokens it would take too long here.',
    rolloutFew: 'This page carries the rollout of {token} only, because some layers were left out.',
    computing: 'computing… {percent} %', missing: 'left out', notKept: 'Layer {layer} was left out to keep this page small.',
    how: 'How it is computed', howWhere: '{target}, layer {layer}, head {head}.',
    howMean: 'A mean of heads has no query of its own: shown for head {head}.',
    howSpoken: 'The mean of all patches has no query of its own: choose a patch to see its numbers.',
    say1: 'Query times key. The token’s query q and the other’s key k are lists of {width} numbers. Multiply them in pairs and add up: the better they match, the larger q·k.',
    say2: 'Score. q·k times {scale}, so that long lists do not give huge scores.',
    say3: 'Softmax. e to the score, divided by the sum of that over all {tokens} tokens. The log of the sum is lse = {lse}, so the weight is exp(score − lse): between 0 and 1, and all of them add up to 1.',
    say4: 'Weight times value. Each token hands over its value v in proportion to its weight.',
    say5: 'Weighted sum. Added up over all {tokens} tokens, this is what the head tells the chosen token.',
    noValues: 'The values v were not kept in this trace: watch(model, values=True) keeps them.',
    from: 'query of', to: 'key of', dot: 'q·k', score: '× {scale} = score', weight: 'exp(score − lse) = weight',
    times: 'weight × v, numbers 1 to {count}', sum: 'sum over all {tokens} tokens', pointed: 'pointed at',
    vectors: 'q and k of {source} in detail: {kept} of {width} directions, most important first. Bars of one sign in both push the product up.',
    product: 'q × k',
    byLayer: 'How far and how widely each head looks',
    distance: 'Mean attention distance', distanceUnit: 'patches', distanceHelp: 'How far from each patch the patches it attends to are. Low: a head that looks nearby (short range). High: across the picture (long range).',
    distanceEven: 'even attention', long: 'long range', short: 'short range',
    entropy: 'Entropy', entropyUnit: 'nats', entropyHelp: 'How widely attention is spread, averaged over tokens. 0: all on one token. ln {tokens} = {most}: even over all.',
    entropyEven: 'ln {tokens}: even', oneToken: 'one token', dotName: 'layer {layer}, head {head}: {value}', meanLine: 'mean of heads',
    exact: 'How exact are these numbers?',
    exactPacked: 'Weights are computed in this page from the model’s queries and keys, which are stored with {bits} bits a number instead of 32: rotated together so that q·k stays the same, the mean of the keys taken out (which changes no weight), then rounded. Checked against the exact weights, a weight above the even share is off by {typical} of itself (median); the largest difference found is {largest} of a row’s total.',
    exactAll: 'All {count} layers are here.', exactFew: '{kept} of {count} layers are here ({names}); the others were left out to keep the page small.',
    exactValues: 'Of each value v, {values} of {width} numbers are here.',
    noDecompression: 'This browser cannot unpack the page’s data (it has no DecompressionStream). Chrome or Edge 80, Firefox 113, Safari 16.4 or newer can.',
    failed: 'Something went wrong in this page: {error}',
  },
  ko: {
    language: '언어', theme: '화면', auto: '자동', light: '밝게', dark: '어둡게',
    sees: '모델이 본 것',
    noPredictions: '이 모델은 그림을 특징으로 바꾸기만 하고 이름을 붙이지 않습니다.',
    what: '지금 무엇을 보고 있나요?',
    what1: '모델은 그림을 {rows} × {columns}개의 조각(패치)으로 나눕니다. 층마다 각 조각은 다른 모든 조각에게 묻고, 어떤 조각의 말은 더 귀담아듣습니다. 얼마나 귀담아듣는지가 가중치이며, 한 조각의 가중치를 모두 더하면 100 %입니다.',
    what2: '① 조각을 가리키거나, 클릭해서 고르세요. ② 그 조각이 어디를 보는지 나타납니다. 어두우면 조금, 밝으면 많이 봅니다. ③ 모델은 동시에 여러 방식으로 보기 때문에 층과 헤드마다 작은 지도가 하나씩 있습니다. 클릭하면 크게 보입니다.',
    whatCls: '“{name}”은(는) 그림 속 자리가 없는 추가 토큰입니다. 예측에 쓰일 정보를 모으므로 여기서 시작하면 좋습니다.',
    whatMean: '이 모델은 모든 조각의 평균으로 예측합니다. “롤아웃”은 그 평균을 모든 층에 걸쳐 따라갑니다.',
    choose: '조각 고르기',
    pictureHelp: '그림. 화살표 키로 고른 조각을 옮기고, Home은 처음, End는 마지막으로 갑니다.',
    others: '그림 속 자리가 없는 토큰', meanToken: '모든 조각의 평균',
    patch: '{row}행 {column}열 조각', chosen: '고른 것: {token}', peek: '가리킨 것: {token}',
    lookRow: '어디를 보는가', lookColumn: '누가 이것을 보는가', lookRollout: '모든 층을 거쳐 어디를 보는가',
    readout: '{token}: {share}, 고른 몫의 {times}', hint: '조각을 가리키면 가중치가 보입니다. 모두 고르게 보면 {even}입니다.',
    highest: '가장 많이 보는 곳: {token}, {share}.', even: '고른 몫',
    outside: '{name} {share}', opacity: '그림 위 지도',
    steps: '색 눈금', linear: '선형', log: '로그',
    every: '모든 층과 헤드', everyHelp: '층과 헤드마다 하나씩인 작은 지도. 화살표 키로 옮기고 Enter로 고릅니다.',
    compare: '작은 지도의 색 눈금', shared: '모두 같은 눈금 (0–{end})', each: '각자 눈금',
    layer: '층', layerName: '{count}개 중 {layer}', head: '헤드', mean: '평균', headName: '헤드 {head}',
    controls: '층, 헤드, 보기', view: '보기',
    row: '행: 이것이 보는 곳', column: '열: 이것을 보는 곳', rollout: '롤아웃',
    helpRow: '고른 토큰이 주는 가중치입니다. 모두 더하면 100 %입니다.',
    helpColumn: '각 토큰이 고른 토큰에 주는 가중치입니다. 서로 다른 행에서 왔으므로 합이 100 %가 아닐 수 있습니다.',
    helpRollout: '각 층의 절반은 그대로 지나간다고 보고 모든 층의 가중치를 곱한 것입니다. 각 조각이 마지막에 고른 토큰으로 얼마나 흘러드는지 보여 줍니다(Abnar & Zuidema 2020). 층과 헤드가 따로 없으며, 작은 지도는 층별 그대로입니다.',
    rolloutOnly: '이 페이지에는 {token}의 롤아웃만 있습니다. 다른 토큰은 여기서 계산하기에 너무 오래 걸립니다.',
    rolloutFew: '일부 층이 빠져 있어 이 페이지에는 {token}의 롤아웃만 있습니다.',
    computing: '계산 중… {percent} %', missing: '빠짐', notKept: '페이지 크기를 줄이려고 {layer}층은 뺐습니다.',
    how: '어떻게 계산되나요?', howWhere: '{target}, {layer}층, 헤드 {head}.',
    howMean: '헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수를 보여 줍니다.',
    howSpoken: '모든 조각의 평균에는 자기 쿼리가 없습니다. 조각을 고르면 수가 보입니다.',
    say1: '쿼리 곱하기 키. 이 토큰의 쿼리 q와 상대의 키 k는 각각 {width}개의 수입니다. 짝지어 곱하고 더합니다. 잘 맞을수록 q·k가 커집니다.',
    say2: '점수. q·k에 {scale}을 곱해 긴 벡터의 점수가 지나치게 커지지 않게 합니다.',
    say3: '소프트맥스. e의 점수 제곱을, 토큰 {tokens}개에 대한 그 합으로 나눕니다. 합의 로그가 lse = {lse}이므로 가중치는 exp(점수 − lse)이고, 0과 1 사이이며 모두 더하면 1입니다.',
    say4: '가중치 곱하기 값. 각 토큰은 가중치에 비례해 자기 값 v를 건넵니다.',
    say5: '가중합. 토큰 {tokens}개를 모두 더하면 이 헤드가 고른 토큰에 전하는 것이 됩니다.',
    noValues: '이 기록에는 값 v가 없습니다. watch(model, values=True)로 남길 수 있습니다.',
    from: '쿼리', to: '키', dot: 'q·k', score: '× {scale} = 점수', weight: 'exp(점수 − lse) = 가중치',
    times: '가중치 × v, 1–{count}번째 수', sum: '토큰 {tokens}개의 합', pointed: '가리킨 것',
    vectors: 'q와 {source}의 k: {width}개 방향 가운데 {kept}개, 중요한 것부터. 두 막대의 부호가 같으면 곱이 커집니다.',
    product: 'q × k',
    byLayer: '각 헤드는 얼마나 멀리, 얼마나 넓게 보나요?',
    distance: '평균 주의 거리', distanceUnit: '조각', distanceHelp: '각 조각에서 그것이 보는 조각까지의 거리. 낮으면 가까이(단거리), 높으면 그림 전체(장거리)를 봅니다.',
    distanceEven: '고르게 볼 때', long: '장거리', short: '단거리',
    entropy: '엔트로피', entropyUnit: '내트', entropyHelp: '주의가 얼마나 넓게 퍼지는지, 토큰에 대한 평균. 0: 한 토큰에만. ln {tokens} = {most}: 모두 고르게.',
    entropyEven: 'ln {tokens}: 고르게', oneToken: '한 토큰', dotName: '{layer}층, 헤드 {head}: {value}', meanLine: '헤드 평균',
    exact: '이 수들은 얼마나 정확한가요?',
    exactPacked: '가중치는 모델의 쿼리와 키로 이 페이지 안에서 계산됩니다. 쿼리와 키는 수 하나에 32비트 대신 {bits}비트로 담겼습니다. q·k가 그대로이도록 함께 회전하고, 키의 평균을 빼고(가중치는 바뀌지 않습니다), 반올림했습니다. 정확한 가중치와 견주면 고른 몫보다 큰 가중치의 오차는 그 값의 {typical}(중앙값)이고, 가장 큰 차이는 한 행 합의 {largest}입니다.',
    exactAll: '{count}개 층이 모두 있습니다.', exactFew: '{count}개 층 가운데 {kept}개({names})가 있습니다. 나머지는 페이지 크기를 줄이려고 뺐습니다.',
    exactValues: '값 v의 수 {width}개 가운데 {values}개가 있습니다.',
    noDecompression: '이 브라우저는 페이지의 자료를 풀 수 없습니다(DecompressionStream 없음). Chrome·Edge 80, Firefox 113, Safari 16.4 이상을 쓰세요.',
    failed: '페이지에 문제가 생겼습니다: {error}',
  },
};

/** A text of one language with its {names} filled in. */
export function fill(language, key, facts = {}) {
  return (WORDS[language][key] ?? key).replace(/\{(\w+)\}/g, (all, name) => facts[name] ?? all);
}

/** A share of 1 as a percentage with two or three telling digits. */
export function percent(x) {
  const p = 100 * x;
  if (p === 0) return '0 %';
  if (p >= 99.95) return '100 %';
  if (p < 1e-6) return '< 0.000001 %';
  return `${Number(p.toPrecision(p >= 10 ? 3 : 2))} %`.replace(/(\d)e-7/, '0.000000$1');
}

/** A number with `digits` significant digits and a true minus sign. */
export function figure(x, digits = 3) {
  const text = Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-4) ? x.toExponential(digits - 1) : x.toPrecision(digits);
  return String(text.includes('e') ? text : Number(text)).replace('-', '−');
}
