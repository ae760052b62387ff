// The texts of the page, in English and Korean; those of a scene are in the scene. {names} are filled in by `fill`.
// A Korean particle after a name has both forms, 을(를), and is chosen by the word before it.
import { withParticles } from './korean.js';

export const TEXTS = {
  en: {
    language: 'Language', theme: 'Theme', auto: 'Auto', light: 'Light', dark: 'Dark', 'fact parameters': 'parameters:', 'fact picture': 'image:',
    'fact patch': 'patch:', 'fact precision': 'precision:', tokens: '{tokens} tokens, {rows} × {columns} of them patches',
    sees: 'Prediction', noPredictions: 'This model makes no prediction: it turns the image into features for other uses.',
    what: 'What am I looking at?',
    what1: 'The model splits the image into {rows} × {columns} patches. In every layer each patch attends to all patches, to some more than to others. How much it attends to each one is a weight; the weights of one patch sum to 100%.',
    what2: '① Point at a patch, or click it to select it. ② shows what that patch attends to: dark is a low weight, bright a high one. ③ has one small map for each layer and head, because heads attend in different ways. Click one to enlarge it.',
    whatCls: '“{name}” is one more token, without a position in the image: the prediction is computed from it, so it is a good one to start with.',
    whatClsBare: '“{name}” is one more token, without a position in the image: it represents the image as a whole, so it is a good one to start with.',
    whatMeanBare: '“Rollout” traces the mean of all patches back through all layers.',
    whatMean: 'This model predicts from the mean of all patches. “Rollout” traces that mean back through all layers.', choose: 'Select a patch',
    pictureHelp: 'The image. Arrow keys move the selected patch, Home goes to the first, End to the last.',
    mapHelp: 'Arrow keys read one patch after another.', others: 'Tokens without a position in the image', meanToken: 'mean of all patches',
    patch: 'patch at row {row}, column {column}', chosen: 'Selected: {token}', peek: 'Pointing at: {token}', rowName: 'What it attends to',
    columnName: 'What attends to it', rolloutName: 'What it attends to, through all layers', readout: '{token}: {share}, {times} × uniform (1/N)',
    highest: 'Highest: {token}, {share}, {times} × uniform (1/N)', even: 'uniform (1/N) {even}', opacity: 'Opacity of the map',
    steps: 'Steps of the colour scale', linear: 'Linear', log: 'Log', every: 'Every layer and head',
    everyHelp: 'Small maps, one per layer and head. Arrow keys move, Enter selects.', compare: 'Colour scale of the maps',
    shared: 'One scale for all, 0 to {end}', each: 'Each map its own scale', layer: 'Layer', layerName: '{layer} of {count}', head: 'Head',
    mean: 'mean', headName: 'head {head}', controls: 'Layer, head and view', view: 'View', row: 'Row: what it attends to',
    column: 'Column: what attends to it', rollout: 'Rollout', rowHelp: 'The weights of the selected token over all tokens; they sum to 100%.',
    columnHelp: 'The weight of each token on the selected one. Each is from a row of its own, so they need not sum to 100%.',
    rolloutHelp: 'How much each patch contributes to the selected token by the last layer: the product of the layers’ mean weights, with half of each layer from its residual connection (Abnar & Zuidema 2020). The small maps remain those of single layers.',
    rolloutOnly: 'This page holds the rollout of one token, “{token}”: for others it would take too long to compute here.',
    rolloutFew: 'This page holds the rollout of one token, “{token}”: for others it lacks the layers that were left out.',
    computing: 'computing… {percent}%', missing: 'left out', notKept: 'Layer {layer} was left out to keep this page small.',
    how: 'How it is computed', howWhere: 'For {target} in layer {layer}, head {head}.',
    howMean: 'The mean of all heads has no query of its own, so these are the numbers of head {head}; select another below the maps.',
    howRollout: 'Rollout combines all layers; these are the numbers of one of them.',
    howMeanToken: 'The mean of all patches has no query of its own: select a patch to see its numbers.',
    say1: 'Query times key. The query q of one token and the key k of another are vectors of {width} numbers. Their dot product q·k is the larger, the better they match.',
    say2: 'Score. q·k times {scale}, so that scores do not grow with the length of the vectors.',
    say3: 'Softmax. e to the power of the score, divided by the sum of that over all {tokens} tokens. The log of this sum is called lse (here {lse}), so each weight is exp(score − lse). All weights lie between 0 and 1 and add up to 1.',
    say4: 'Weight times value. Each token contributes its value v in proportion to its weight.',
    say5: 'Weighted sum. Summed over all {tokens} tokens, this is the head’s output for the selected token.',
    noValues: 'Values. The values v were not recorded: watch(model, values=True) records them.', from: 'query of', to: 'key of',
    score: '× {scale} = score', weight: '= weight', times: 'weight × v (first {count})', sum: 'sum over all {tokens} tokens',
    vectors: 'q of {target} and k of {source} in detail, in {kept} of {width} directions, most important first. Where both bars point the same way the product is positive. The products and q·(mean of all keys) = {rest} add up to q·k = {dot}.',
    byLayer: 'Attention distance and entropy of each head', distanceTitle: 'Mean attention distance', distanceHigh: '↑ patches', distanceLow: 'local',
    distanceHelp: 'Mean distance between a patch and what it attends to: short range at the bottom, long range at the top.',
    distanceEven: 'uniform attention', chartKey: 'mean of the heads; each dot is a head, click it to select it', entropyTitle: 'Entropy',
    entropyHigh: '↑ nats', entropyLow: 'one token',
    entropyHelp: 'How broadly a token’s attention is spread, on average: from 0 to ln {tokens} = {most}.', entropyEven: 'ln {tokens}: uniform',
    dotName: 'layer {layer}, head {head}: {value}', exact: 'How exact are these numbers?',
    exactPacked: 'The page computes all weights from the model’s queries and keys. These are stored with {bits} bits per number instead of 32: rotated together, which does not change q·k; without the mean of the keys, which changes no weight; then rounded. Compared with the exact weights, a weight above 1/N has a relative error of {typical} (median), and the largest absolute error found is {largest}.',
    exactAll: 'All {count} layers are included.',
    exactFew: '{kept} of {count} layers are included ({names}); the others were left out to keep the page small.',
    exactValues: 'Of the {width} numbers of each value v, {values} are included.',
    noDecompression: 'This browser cannot unpack the page’s data (it has no DecompressionStream). Chrome or Edge 110, Firefox 113, Safari 16.4 or newer can.',
    selfMode: 'Patches attend to patches (self-attention)', mode: 'Attention', 'fact queries': 'queries:', elsewhere: 'on tokens outside the image',
    meanHeads: 'mean of the heads', noAmong: 'In this layer it is ambiguous and not shown.', itself: 'itself', restTokens: 'patches and other tokens',
    inHigh: '↑ share', inLow: 'none', wideTitle: 'Entropy', wideHigh: '↑ nats', wideLow: 'one patch',
    wideHelp: 'How broadly the attention of {name} is spread over the patches: from 0 to {most}.', wideEven: 'uniform over all patches',
    is: 'What a vision model attends to in this image: click a patch to see its attention.', 'fact classes': 'classes:',
    crossEvery: 'Every layer and head', crossLayer: 'Layer', failed: 'Something went wrong in this page: {error}',
  },
  ko: {
    language: '언어', theme: '화면', auto: '자동', light: '밝게', dark: '어둡게', 'fact parameters': '파라미터:', 'fact picture': '이미지:', 'fact patch': '패치:',
    'fact precision': '정밀도:', tokens: '토큰 {tokens}개, 그중 패치 {rows} × {columns}개', sees: '예측', noPredictions: '이 모델은 예측하지 않고, 이미지를 다른 용도의 특징으로 변환합니다.',
    what: '무엇을 보여 주나요?',
    what1: '모델은 이미지를 {rows} × {columns}개의 패치로 나눕니다. 층마다 각 패치는 모든 패치에 어텐션을 주며, 어떤 패치에는 더 많이 줍니다. 각 패치에 주는 양이 가중치이며, 한 패치의 가중치 합은 100%입니다.',
    what2: '① 패치를 가리키거나, 클릭해서 선택하세요. ② 그 패치의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
    whatCls: '“{name}” 토큰은 이미지 안에 위치가 없는 추가 토큰입니다. 예측이 이 토큰에서 계산되므로 여기서 시작하면 좋습니다.',
    whatClsBare: '“{name}” 토큰은 이미지 안에 위치가 없는 추가 토큰입니다. 이미지 전체를 나타내므로 여기서 시작하면 좋습니다.', whatMeanBare: '“롤아웃”은 모든 패치의 평균을 모든 층에 걸쳐 거슬러 따라갑니다.',
    whatMean: '이 모델은 모든 패치의 평균으로 예측합니다. “롤아웃”은 그 평균을 모든 층에 걸쳐 거슬러 따라갑니다.', choose: '패치 선택',
    pictureHelp: '이미지. 화살표 키로 선택한 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다.', mapHelp: '화살표 키로 패치를 하나씩 읽습니다.', others: '이미지 안에 위치가 없는 토큰',
    meanToken: '모든 패치의 평균', patch: '{row}행 {column}열 패치', chosen: '선택: {token}', peek: '가리킴: {token}', rowName: '이 토큰의 어텐션',
    columnName: '이 토큰이 받는 어텐션', rolloutName: '모든 층을 거친 어텐션', readout: '{token}: {share}, 균등(1/N)의 {times}배',
    highest: '최댓값: {token}, {share}, 균등(1/N)의 {times}배', even: '균등(1/N) {even}', opacity: '맵 불투명도', steps: '색 눈금의 척도', linear: '선형', log: '로그',
    every: '모든 층과 헤드', everyHelp: '층과 헤드마다 하나씩인 작은 맵. 화살표 키로 옮기고 Enter로 선택합니다.', compare: '맵의 색 눈금', shared: '모두 같은 눈금, 0–{end}', each: '맵마다 다른 눈금',
    layer: '층', layerName: '{layer} / {count}', head: '헤드', mean: '평균', headName: '헤드 {head}', controls: '층, 헤드, 보기', view: '보기', row: '행: 주는 어텐션',
    column: '열: 받는 어텐션', rollout: '롤아웃', rowHelp: '선택한 토큰이 모든 토큰에 주는 가중치입니다. 합은 100%입니다.',
    columnHelp: '각 토큰이 선택한 토큰에 주는 가중치입니다. 서로 다른 행의 값이므로 합이 100%가 아닐 수 있습니다.',
    rolloutHelp: '마지막 층까지 각 패치가 선택한 토큰에 기여한 정도입니다. 각 층의 절반은 잔차 연결로 보고 층별 평균 가중치를 모두 곱합니다(Abnar & Zuidema 2020). 작은 맵은 층별 그대로입니다.',
    rolloutOnly: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 여기서 계산하기에 너무 오래 걸립니다.',
    rolloutFew: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 빠진 층이 있어 계산할 수 없습니다.', computing: '계산 중… {percent}%', missing: '빠짐',
    notKept: '페이지 크기를 줄이려고 {layer}층은 뺐습니다.', how: '어떻게 계산되나요?', howWhere: '{target}, {layer}층, 헤드 {head}.',
    howMean: '모든 헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수를 보여 줍니다. 다른 헤드는 맵 아래에서 선택하세요.', howRollout: '롤아웃은 모든 층을 잇습니다. 아래는 그중 한 층의 수입니다.',
    howMeanToken: '모든 패치의 평균에는 자기 쿼리가 없습니다. 패치를 선택하면 수가 보입니다.', say1: '쿼리 곱하기 키. 한 토큰의 쿼리 q와 다른 토큰의 키 k는 각각 {width}차원 벡터입니다. 잘 맞을수록 내적 q·k가 큽니다.',
    say2: '점수. q·k에 {scale}을(를) 곱해, 차원이 커도 점수가 지나치게 커지지 않게 합니다.',
    say3: '소프트맥스. e의 점수 제곱을, 토큰 {tokens}개 모두에 대한 그 합으로 나눕니다. 이 합의 로그를 lse(여기서는 {lse})라 하므로 가중치는 exp(점수 − lse)입니다. 가중치는 0과 1 사이이고 모두 더하면 1입니다.',
    say4: '가중치 곱하기 값. 각 토큰은 가중치에 비례해 값 v를 기여합니다.', say5: '가중합. 토큰 {tokens}개를 모두 더한 것이 선택한 토큰에 대한 이 헤드의 출력입니다.',
    noValues: '값. 값 v는 기록하지 않았습니다. watch(model, values=True)로 기록할 수 있습니다.', from: '쿼리', to: '키', score: '× {scale} = 점수', weight: '= 가중치',
    times: '가중치 × v (처음 {count}개)', sum: '토큰 {tokens}개의 합',
    vectors: '{target}의 q와 {source}의 k: {width}개 방향 가운데 {kept}개, 중요한 것부터. 두 막대가 같은 쪽이면 곱이 양수입니다. 곱을 모두 더하고 q·(모든 키의 평균) = {rest}을(를) 더하면 q·k = {dot}입니다.',
    byLayer: '헤드별 어텐션 거리와 엔트로피', distanceTitle: '평균 어텐션 거리', distanceHigh: '↑ 패치 수', distanceLow: '국소',
    distanceHelp: '한 패치와 그 어텐션 대상 사이의 평균 거리: 아래는 단거리, 위는 장거리.', distanceEven: '균등한 어텐션', chartKey: '헤드의 평균. 점 하나가 헤드 하나이며, 클릭하면 선택됩니다',
    entropyTitle: '엔트로피', entropyHigh: '↑ nat', entropyLow: '한 토큰', entropyHelp: '토큰의 어텐션이 평균적으로 퍼진 정도: 0부터 ln {tokens} = {most}까지.',
    entropyEven: 'ln {tokens}: 균등', dotName: '{layer}층, 헤드 {head}: {value}', exact: '이 수들은 얼마나 정확한가요?',
    exactPacked: '이 페이지는 모든 가중치를 모델의 쿼리와 키로 계산합니다. 쿼리와 키는 수 하나에 32비트 대신 {bits}비트로 저장됩니다. 함께 회전하고(q·k는 그대로), 키의 평균을 빼고(가중치는 그대로), 반올림했습니다. 정확한 가중치와 비교하면 1/N보다 큰 가중치의 상대 오차는 {typical}(중앙값)이고, 가장 큰 절대 오차는 {largest}입니다.',
    exactAll: '{count}개 층이 모두 포함되어 있습니다.', exactFew: '{count}개 층 가운데 {kept}개({names})가 있습니다. 나머지는 페이지 크기를 줄이려고 뺐습니다.',
    exactValues: '각 값 v의 수 {width}개 가운데 {values}개가 있습니다.',
    noDecompression: '이 브라우저는 페이지의 자료를 풀 수 없습니다(DecompressionStream 없음). Chrome·Edge 110, Firefox 113, Safari 16.4 이상을 쓰세요.',
    selfMode: '패치 → 패치 (셀프 어텐션)', mode: '어텐션', 'fact queries': '쿼리:', elsewhere: '이미지 밖 토큰', meanHeads: '헤드의 평균', noAmong: '이 층에서는 모호하여 표시하지 않습니다.',
    itself: '자기 자신', restTokens: '패치와 다른 토큰', inHigh: '↑ 비율', inLow: '없음', wideTitle: '엔트로피', wideHigh: '↑ nat', wideLow: '한 패치',
    wideHelp: '{name}의 어텐션이 패치들에 퍼진 정도: 0부터 {most}까지.', wideEven: '모든 패치에 균등', is: '비전 모델의 어텐션을 보여 줍니다. 패치를 클릭하면 그 패치의 어텐션이 나타납니다.',
    'fact classes': '클래스:', crossEvery: '모든 층과 헤드', crossLayer: '층', failed: '페이지에 문제가 생겼습니다: {error}',
  },
};

/**
 * A text in one language with its {names} filled in. `own`: texts of a scene, which come first. Keys without a text
 * ("fact gpu") are used as they are.
 */
export function fill(language, key, facts = {}, own = null) {
  const text = own?.[language][key] ?? TEXTS[language][key] ?? key.replace(/^fact /, '');
  const filled = text.replace(/\{(\w+)\}/g, (all, name) => facts[name] ?? all);
  return language === 'ko' ? withParticles(filled) : filled;
}

/** A function that turns the names, notes and facts that Python wrote on the page into a language. */
export function translator(page) {
  const { title, notes, model, predictions, text, targets, korean } = page;
  const written = [[page, { title, notes, model, predictions, text }]];
  if (targets) written.push([targets, { names: targets.names, labels: targets.labels, relations: targets.relations }]);
  return (language) => written.forEach(([place, texts]) => Object.assign(place, translated(texts, language === 'ko' ? korean : {})));
}

/** A value with its strings in Korean, where there is a translation. */
function translated(value, korean) {
  if (typeof value === 'string') return Object.hasOwn(korean, value) ? korean[value] : value;
  if (Array.isArray(value)) return value.map((one) => translated(one, korean));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, translated(one, korean)]));
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

/** A share of 1 as a percentage with two or three significant digits. */
export function percent(x) {
  if (x > 0 && x < 1e-8) return '< 0.000001%';
  const decimals = x > 0 ? Math.min(8, Math.max(0, (x >= 0.1 ? 2 : 1) - Math.floor(Math.log10(100 * x)))) : 0;
  return `${(100 * x).toFixed(decimals).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')}%`;
}
