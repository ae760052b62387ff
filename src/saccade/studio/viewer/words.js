// Every text of the page, in English and Korean. {names} are filled in by `fill`.

export const WORDS = {
  en: {
    language: 'Language', theme: 'Theme', auto: 'Auto', light: 'Light', dark: 'Dark',
    'fact parameters': 'parameters:', 'fact picture': 'picture:', 'fact patch': 'patch:', 'fact precision': 'precision:',
    tokens: '{tokens} tokens, {rows} × {columns} of them patches',
    sees: 'What the model sees',
    noPredictions: 'This model names nothing: it turns the picture into features for other uses.',
    what: 'What am I looking at?',
    what1: 'The model cuts the picture into {rows} × {columns} patches. In every layer each patch asks all the others what they know, and listens to some more than to others. How much it listens to each one is a weight; together, one patch’s weights make 100 %.',
    what2: '① Point at a patch, or click it to keep it. ② shows where that patch looks: dark is little, bright is much. ③ has one small map for each layer and each head, because the model looks in many ways at once. Click one to see it large.',
    whatCls: '“{name}” is one more token, without a place in the picture: it gathers what the prediction is made from, so it is a good one to start with.',
    whatClsBare: '“{name}” is one more token, without a place in the picture: it gathers what speaks for the picture as a whole, so it is a good one to start with.',
    whatMeanBare: '“Rollout” follows the mean of all patches back through all layers.',
    whatMean: 'This model predicts from the mean of all patches. “Rollout” follows that mean back through all layers.',
    choose: 'Choose a patch',
    pictureHelp: 'The picture. Arrow keys move the chosen patch, Home goes to the first, End to the last.',
    mapHelp: 'Arrow keys read one patch after another.',
    others: 'Tokens without a place in the picture', meanToken: 'mean of all patches',
    patch: 'patch at row {row}, column {column}', chosen: 'Chosen: {token}', peek: 'Pointing at: {token}',
    rowName: 'Where it looks', columnName: 'Who looks at it', rolloutName: 'Where it looks, through all layers',
    readout: '{token}: {share}, {times} × an even share', highest: 'Most: {token}, {share}, {times} × an even share',
    even: 'even share {even}', opacity: 'Map over picture',
    steps: 'Steps of the colour scale', linear: 'Linear', log: 'Log',
    every: 'Every layer and head', everyHelp: 'Small maps, one a layer and head. Arrow keys move, Enter chooses.',
    compare: 'Colour scale of the maps', shared: 'One scale for all, 0 to {end}', each: 'Each its own scale',
    layer: 'Layer', layerName: '{layer} of {count}', head: 'Head', mean: 'mean', headName: 'head {head}',
    controls: 'Layer, head and view', view: 'View',
    row: 'Row: what it attends to', column: 'Column: what attends to it', rollout: 'Rollout',
    rowHelp: 'The weights that the chosen token gives to all tokens; they add up to 100 %.',
    columnHelp: 'The weight that each token gives to the chosen one. Each is from a row of its own, so they need not add up to 100 %.',
    rolloutHelp: 'How much each patch has flowed into the chosen token by the last layer: the layers’ mean weights multiplied, half of each layer passed straight on (Abnar & Zuidema 2020). The small maps stay those of single layers.',
    rolloutOnly: 'This page holds the rollout of one token, “{token}”: for others it would take too long to compute here.',
    rolloutFew: 'This page holds the rollout of one token, “{token}”: for others it lacks the layers that were left out.',
    computing: 'computing… {percent} %', missing: 'left out', notKept: 'Layer {layer} was left out to keep this page small.',
    how: 'How it is computed', howWhere: 'For {target} in layer {layer}, head {head}.',
    howMean: 'The mean of all heads has no query of its own, so these are the numbers of head {head}; choose another below the maps.',
    howRollout: 'Rollout joins all layers; these are the numbers of one of them.',
    howSpoken: 'The mean of all patches has no query of its own: choose a patch to see its numbers.',
    say1: 'Query times key. The query q of one token and the key k of another are lists of {width} numbers. Multiply them in pairs and add up: the better they match, the larger q·k.',
    say2: 'Score. q·k times {scale}, so that long lists do not give huge scores.',
    say3: 'Softmax. e to the power of the score, divided by the sum of that over all {tokens} tokens. The log of this sum is called lse (here {lse}), so each weight is exp(score − lse). All weights lie between 0 and 1 and add up to 1.',
    say4: 'Weight times value. Each token hands over its value v, in proportion to its weight.',
    say5: 'Weighted sum. Added up over all {tokens} tokens, that is what the head tells the chosen token.',
    noValues: 'Values. The values v were not kept: watch(model, values=True) keeps them.',
    from: 'query of', to: 'key of', score: '× {scale} = score', weight: '= weight',
    times: 'weight × v (first {count})', sum: 'sum over all {tokens} tokens',
    vectors: 'q of {target} and k of {source} in detail, in {kept} of {width} directions, most important first. Where both bars point the same way the product is positive. The products and q·(mean of all keys) = {rest} add up to q·k = {dot}.',
    byLayer: 'How far and how widely each head looks',
    distanceTitle: 'Mean attention distance', distanceHigh: '↑ patches', distanceLow: 'nearby',
    distanceHelp: 'How far a patch is from what it attends to, on average: short range at the bottom, long range at the top.',
    distanceEven: 'if attention were even', chartKey: 'mean of the heads; each dot is a head, click it to choose it',
    entropyTitle: 'Entropy', entropyHigh: '↑ nats', entropyLow: 'all on one token',
    entropyHelp: 'How widely a token spreads its attention, on average: from 0 to ln {tokens} = {most}.',
    entropyEven: 'ln {tokens}: even over all tokens', dotName: 'layer {layer}, head {head}: {value}',
    exact: 'How exact are these numbers?',
    exactPacked: 'The page computes all weights from the model’s queries and keys. These are stored with {bits} bits a number instead of 32: rotated together, which leaves q·k as it is; without the mean of the keys, which changes no weight; then rounded. Checked against the exact weights, a weight above the even share is off by {typical} of itself (median), and the largest difference found is {largest} of a row’s total.',
    exactAll: 'All {count} layers are here.', exactFew: '{kept} of {count} layers are here ({names}); the others were left out to keep the page small.',
    exactValues: 'Of the {width} numbers of each value v, {values} are here.',
    noDecompression: 'This browser cannot unpack the page’s data (it has no DecompressionStream). Chrome or Edge 110, Firefox 113, Safari 16.4 or newer can.',
    failed: 'Something went wrong in this page: {error}',
  },
  ko: {
    language: '언어', theme: '화면', auto: '자동', light: '밝게', dark: '어둡게',
    'fact parameters': '매개변수:', 'fact picture': '그림:', 'fact patch': '조각:', 'fact precision': '정밀도:',
    tokens: '토큰 {tokens}개, 그중 조각 {rows} × {columns}개',
    sees: '모델이 본 것',
    noPredictions: '이 모델은 이름을 붙이지 않고, 그림을 다른 데 쓸 특징으로 바꿉니다.',
    what: '지금 무엇을 보고 있나요?',
    what1: '모델은 그림을 {rows} × {columns}개의 조각(패치)으로 나눕니다. 층마다 각 조각은 다른 모든 조각에게 무엇을 아는지 묻고, 어떤 조각의 말은 더 귀담아듣습니다. 얼마나 귀담아듣는지가 가중치이며, 한 조각의 가중치를 모두 더하면 100 %입니다.',
    what2: '① 조각을 가리키거나, 클릭해서 선택하세요. ② 그 조각이 어디를 보는지 나타납니다. 어두우면 조금, 밝으면 많이 봅니다. ③ 모델은 동시에 여러 방식으로 보기 때문에 층과 헤드마다 작은 지도가 하나씩 있습니다. 클릭하면 크게 보입니다.',
    whatCls: '“{name}” 토큰은 그림 속에 자리가 없는 추가 토큰입니다. 예측에 쓰일 정보를 모으므로 여기서 시작하면 좋습니다.',
    whatClsBare: '“{name}” 토큰은 그림 속에 자리가 없는 추가 토큰입니다. 그림 전체를 나타내는 정보를 모으므로 여기서 시작하면 좋습니다.',
    whatMeanBare: '“롤아웃”은 모든 조각의 평균을 모든 층에 걸쳐 거슬러 따라갑니다.',
    whatMean: '이 모델은 모든 조각의 평균으로 예측합니다. “롤아웃”은 그 평균을 모든 층에 걸쳐 거슬러 따라갑니다.',
    choose: '조각 선택',
    pictureHelp: '그림. 화살표 키로 선택한 조각을 옮기고, Home은 처음, End는 마지막으로 갑니다.',
    mapHelp: '화살표 키로 조각을 하나씩 읽습니다.',
    others: '그림 속에 자리가 없는 토큰', meanToken: '모든 조각의 평균',
    patch: '{row}행 {column}열 조각', chosen: '선택: {token}', peek: '가리킴: {token}',
    rowName: '어디를 보는가', columnName: '누가 이것을 보는가', rolloutName: '모든 층을 거쳐 어디를 보는가',
    readout: '{token}: {share}, 균등한 몫의 {times}배', highest: '가장 많이 보는 곳: {token}, {share}, 균등한 몫의 {times}배',
    even: '균등한 몫 {even}', opacity: '그림 위 지도',
    steps: '색 눈금의 간격', linear: '선형', log: '로그',
    every: '모든 층과 헤드', everyHelp: '층과 헤드마다 하나씩인 작은 지도. 화살표 키로 옮기고 Enter로 선택합니다.',
    compare: '지도의 색 눈금', shared: '모두 같은 눈금, 0–{end}', each: '지도마다 다른 눈금',
    layer: '층', layerName: '{layer} / {count}', head: '헤드', mean: '평균', headName: '헤드 {head}',
    controls: '층, 헤드, 보기', view: '보기',
    row: '행: 이것이 보는 곳', column: '열: 이것을 보는 곳', rollout: '롤아웃',
    rowHelp: '선택한 토큰이 모든 토큰에 주는 가중치입니다. 모두 더하면 100 %입니다.',
    columnHelp: '각 토큰이 선택한 토큰에 주는 가중치입니다. 저마다 다른 행에서 왔으므로 합이 100 %가 아닐 수 있습니다.',
    rolloutHelp: '마지막 층까지 각 조각이 선택한 토큰으로 얼마나 흘러들었는지 보여 줍니다. 각 층의 절반은 그대로 지나간다고 보고 층별 평균 가중치를 모두 곱합니다(Abnar & Zuidema 2020). 작은 지도는 층별 그대로입니다.',
    rolloutOnly: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 여기서 계산하기에 너무 오래 걸립니다.',
    rolloutFew: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 빠진 층이 있어 계산할 수 없습니다.',
    computing: '계산 중… {percent} %', missing: '빠짐', notKept: '페이지 크기를 줄이려고 {layer}층은 뺐습니다.',
    how: '어떻게 계산되나요?', howWhere: '{target}, {layer}층, 헤드 {head}.',
    howMean: '모든 헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수를 보여 줍니다. 다른 헤드는 지도 아래에서 선택하세요.',
    howRollout: '롤아웃은 모든 층을 잇습니다. 아래는 그중 한 층의 수입니다.',
    howSpoken: '모든 조각의 평균에는 자기 쿼리가 없습니다. 조각을 선택하면 수가 보입니다.',
    say1: '쿼리 곱하기 키. 한 토큰의 쿼리 q와 다른 토큰의 키 k는 각각 {width}개의 수입니다. 짝지어 곱하고 더합니다. 잘 맞을수록 q·k가 커집니다.',
    say2: '점수. q·k에 {scale}을(를) 곱해, 수가 많아도 점수가 지나치게 커지지 않게 합니다.',
    say3: '소프트맥스. e의 점수 제곱을, 토큰 {tokens}개 모두에 대한 그 합으로 나눕니다. 이 합의 로그를 lse(여기서는 {lse})라 하므로 가중치는 exp(점수 − lse)입니다. 가중치는 0과 1 사이이고 모두 더하면 1입니다.',
    say4: '가중치 곱하기 값. 각 토큰은 가중치에 비례해 자기 값 v를 건넵니다.',
    say5: '가중합. 토큰 {tokens}개를 모두 더하면 이 헤드가 선택한 토큰에 전하는 것이 됩니다.',
    noValues: '값. 값 v는 남기지 않았습니다. watch(model, values=True)로 남길 수 있습니다.',
    from: '쿼리', to: '키', score: '× {scale} = 점수', weight: '= 가중치',
    times: '가중치 × v (처음 {count}개)', sum: '토큰 {tokens}개의 합',
    vectors: '{target}의 q와 {source}의 k: {width}개 방향 가운데 {kept}개, 중요한 것부터. 두 막대가 같은 쪽이면 곱이 양수입니다. 곱을 모두 더하고 q·(모든 키의 평균) = {rest}을(를) 더하면 q·k = {dot}입니다.',
    byLayer: '각 헤드는 얼마나 멀리, 얼마나 넓게 보나요?',
    distanceTitle: '평균 어텐션 거리', distanceHigh: '↑ 조각 수', distanceLow: '가까이',
    distanceHelp: '한 조각과 그것이 보는 곳 사이의 평균 거리: 아래는 단거리, 위는 장거리.',
    distanceEven: '균등하게 볼 때', chartKey: '헤드의 평균. 점 하나가 헤드 하나이며, 클릭하면 선택됩니다',
    entropyTitle: '엔트로피', entropyHigh: '↑ 내트', entropyLow: '한 토큰에만',
    entropyHelp: '토큰이 어텐션을 평균적으로 얼마나 넓게 퍼뜨리는지: 0부터 ln {tokens} = {most}까지.',
    entropyEven: 'ln {tokens}: 모두 균등하게', dotName: '{layer}층, 헤드 {head}: {value}',
    exact: '이 수들은 얼마나 정확한가요?',
    exactPacked: '이 페이지는 모든 가중치를 모델의 쿼리와 키로 계산합니다. 쿼리와 키는 수 하나에 32비트 대신 {bits}비트로 담겼습니다. 함께 회전하고(q·k는 그대로), 키의 평균을 빼고(가중치는 그대로), 반올림했습니다. 정확한 가중치와 견주면 균등한 몫보다 큰 가중치의 오차는 그 값의 {typical}(중앙값)이고, 가장 큰 차이는 한 행 합의 {largest}입니다.',
    exactAll: '{count}개 층이 모두 있습니다.', exactFew: '{count}개 층 가운데 {kept}개({names})가 있습니다. 나머지는 페이지 크기를 줄이려고 뺐습니다.',
    exactValues: '각 값 v의 수 {width}개 가운데 {values}개가 있습니다.',
    noDecompression: '이 브라우저는 페이지의 자료를 풀 수 없습니다(DecompressionStream 없음). Chrome·Edge 110, Firefox 113, Safari 16.4 이상을 쓰세요.',
    failed: '페이지에 문제가 생겼습니다: {error}',
  },
};

/** A text of one language with its {names} filled in. Keys that are no text ("fact gpu") are said as they are. */
export function fill(language, key, facts = {}) {
  const text = WORDS[language][key] ?? key.replace(/^fact /, '');
  return text.replace(/\{(\w+)\}/g, (all, name) => facts[name] ?? all);
}

/** A number with `digits` significant digits, a true minus sign and powers of ten written out. */
export function figure(x, digits = 3) {
  if (x === 0 || (Math.abs(x) >= 1e-4 && Math.abs(x) < 1e6)) {
    const text = Number(x.toPrecision(digits)).toString();
    return text.replace('-', '−');
  }
  const [number, power] = x.toExponential(digits - 1).split('e');
  const raised = [...power.replace('+', '')].map((sign) => (sign === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[sign])).join('');
  return `${number.replace('-', '−')}×10${raised}`;
}

/** A share of 1 as a percentage with two or three telling digits. */
export function percent(x) {
  if (x > 0 && x < 1e-8) return '< 0.000001 %';
  const decimals = x > 0 ? Math.min(8, Math.max(0, (x >= 0.1 ? 2 : 1) - Math.floor(Math.log10(100 * x)))) : 0;
  return `${(100 * x).toFixed(decimals).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')} %`;
}
