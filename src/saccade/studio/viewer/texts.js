// The texts of the page, in English and Korean; those of a scene are in the scene. {names} are filled in by `fill`.
// A Korean particle after a name has both forms, 을(를), and is chosen by the word before it.
import { withParticles } from './korean.js';

export const TEXTS = {
  en: {
    language: 'Language', theme: 'Theme', auto: 'Auto', light: 'Light', dark: 'Dark', 'fact parameters': 'parameters:', 'fact picture': 'image:',
    'fact patch': 'patch:', 'fact precision': 'precision:', 'fact detail': 'detail:', tokens: '{tokens} tokens, {rows} × {columns} of them patches',
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
    score: '× {scale} = score', exponential: 'exp(score − lse)', weight: '= weight', times: 'weight × v (first {count})', sum: 'sum over all {tokens} tokens',
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
    similarity: 'Similarity', similarityName: 'Where features are similar', pca: 'PCA', pcaName: 'Features as colours', evidence: 'Class map', evidenceName: 'Evidence for “{name}”',
    similarityHelp: 'Cosine between the features of the selected token and those of every other, after the selected layer: 1 is the same direction, 0 unrelated. The scale runs from the lowest to the highest cosine in this image. The small maps remain those of attention.',
    pcaHelp: 'The first three principal components of the patch features after the selected layer, by variance, as red, green and blue, each from its lowest to its highest value: like colours mean like features. The sign of a component is fixed by its largest weight, which is positive. The small maps remain those of attention.',
    evidenceHelp: 'Gradient-weighted relevance (Chefer et al. 2021) for one class, through all layers: how much each patch contributes to its score, as a share of all tokens. It does not depend on the selected patch. The small maps remain those of attention.',
    mostSimilar: 'Most similar: {token}, cosine {cosine}', cosineOf: '{token}: cosine {cosine}', featuresOf: '(Features of layer {layer}: those of the selected one were left out to keep this page small.)', featuresNear: '(Features of layer {layer}: where those of the selected one lie is not known.)', noFeatures: 'A token without a position in the image has no features here: select a place.',
    pcaShares: 'Components 1, 2 and 3 (red, green, blue) hold {one}, {two} and {three} of the variance.', pcaSharesBoth: 'Components 1, 2 and 3 (red, green, blue), of both images together, hold {one}, {two} and {three} of the variance.',
    pcaOf: '{token}: components {one}, {two}, {three}', howExtra: 'The view above is not of attention; these are the numbers of attention in this layer.',
    classOf: 'Class', 'evidence token': 'Relevance for the token from which the classes are read.', 'evidence mean': 'Relevance for the mean of the patches, from which the classes are read.', 'evidence both': 'Relevance for the first token and the mean of the patches, half each: the classes are read from both.',
    deletion: 'Deletion', insertion: 'Insertion', deletionScore: 'The most relevant pixels are removed first. Area under the probability of the class: {area}; of {count} random maps: {random}. Lower is better.',
    insertionScore: 'The most relevant pixels are given back first to a blurred image. Area: {area}; of {count} random maps: {random}. Higher is better.',
    beatsRandom: 'Better than random maps.', beatenByRandom: 'Worse than random maps: do not trust this map.', likeRandom: 'No clear difference from random maps.', curveHelp: 'Probability of the class by share of the pixels; dashed: random maps.', ofPixels: 'pixels',
    scoresMean: 'Dashed: maps of random numbers on the same grid. On one image this is a check, not a measurement: it says whether the model depends on the pixels that the map shows.', noScores: 'Not scored beside random maps: it would take long for this class.',
    whatExtra: 'For attention between patches, the bar below the maps also has other views: where features are like those of the selected patch, features as colours (PCA), and the evidence for a class, as far as the model has them.',
    save: 'Save', savePng: 'Image (PNG)', saveCsv: 'Numbers (CSV)', saveLink: 'Link to this view', savedAs: 'Saved as {name}', nothingToSave: 'There is no map to save.', linkCopied: 'Copied. It opens this page as it is now.', linkShown: 'It opens this page as it is now.',
    isPair: 'Two images as one vision model sees them: click a patch of either to find it in the other; below, what the patches of the first attend to.',
    pairTitle: 'One patch in two images', pairWhat: 'Point at a patch in either image, or click it: the other image shows how similar the features of each of its patches are, and the best match is outlined.',
    pairQuery: '{name}: the patch', pairAnswer: '{name}: where it is found', pairHelp: 'An image. Arrow keys move the patch that is looked for in the other image.',
    pairFound: 'Best match of the {query}: the {found} of {name}, cosine {cosine}.', pairMutual: 'Its own best match is that same patch (mutual).', pairNotMutual: 'Its own best match is another one, the {back}.',
    pairScale: 'Scale: from {low} (dark) to {cosine} (bright); features after layer {layer}.',
    exactFeatures: 'Cosines are computed from the features of {layers}, {normed}, turned onto common axes and rounded to steps of 1/{steps}: the error is {typical} (root mean square) and at most {largest} in the tokens that were checked. Principal components were computed before rounding.',
    featuresNormed: 'after each block and the encoder’s final norm', featuresRaw: 'after each block, not normalised', featuresAll: 'all layers', featuresFew: '{kept} of {count} layers',
  },
  ko: {
    language: '언어', theme: '화면', auto: '자동', light: '밝게', dark: '어둡게', 'fact parameters': '파라미터:', 'fact picture': '이미지:', 'fact patch': '패치:',
    'fact precision': '정밀도:', 'fact detail': '전처리:', tokens: '토큰 {tokens}개, 그중 패치 {rows} × {columns}개', sees: '예측', noPredictions: '이 모델은 예측하지 않고, 이미지를 다른 용도의 특징으로 변환합니다.',
    what: '무엇을 보여 주나요?',
    what1: '모델은 이미지를 {rows} × {columns}개의 패치로 나눕니다. 층마다 각 패치는 모든 패치에 어텐션을 주며, 어떤 패치에는 더 많이 줍니다. 각 패치에 주는 양이 가중치이며, 한 패치의 가중치 합은 100%입니다.',
    what2: '① 패치를 가리키거나, 클릭해서 선택하세요. ② 그 패치의 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 헤드마다 어텐션이 다르므로 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
    whatCls: '“{name}” 토큰은 이미지 안에 위치가 없는 추가 토큰입니다. 예측이 이 토큰에서 계산되므로 여기서 시작하면 좋습니다.',
    whatClsBare: '“{name}” 토큰은 이미지 안에 위치가 없는 추가 토큰입니다. 이미지 전체를 나타내므로 여기서 시작하면 좋습니다.', whatMeanBare: '“롤아웃”은 모든 패치의 평균을 모든 층에 걸쳐 거슬러 따라갑니다.',
    whatMean: '이 모델은 모든 패치의 평균으로 예측합니다. “롤아웃”은 그 평균을 모든 층에 걸쳐 거슬러 따라갑니다.', choose: '패치 선택',
    pictureHelp: '이미지. 화살표 키로 선택한 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다.', mapHelp: '화살표 키로 패치를 하나씩 읽습니다.', others: '이미지 안에 위치가 없는 토큰',
    meanToken: '모든 패치의 평균', patch: '{row}행 {column}열 패치', chosen: '선택: {token}', peek: '가리킴: {token}', rowName: '이 토큰의 어텐션',
    columnName: '이 토큰이 받는 어텐션', rolloutName: '모든 층을 거친 어텐션', readout: '{token}: {share}, 균등 분포(1/N)의 {times}배',
    highest: '최댓값: {token}, {share}, 균등 분포(1/N)의 {times}배', even: '균등 분포(1/N) {even}', opacity: '맵 불투명도', steps: '색상 척도', linear: '선형', log: '로그',
    every: '모든 층과 헤드', everyHelp: '층과 헤드마다 하나씩인 작은 어텐션 맵. 화살표 키로 옮기고 Enter로 선택합니다.', compare: '맵의 색상 범위', shared: '공통 범위, 0–{end}', each: '맵마다 개별 범위',
    layer: '층', layerName: '{layer} / {count}', head: '헤드', mean: '평균', headName: '헤드 {head}', controls: '층, 헤드, 보기', view: '보기', row: '행: 주는 어텐션',
    column: '열: 받는 어텐션', rollout: '롤아웃', rowHelp: '선택한 토큰이 모든 토큰에 주는 가중치입니다. 합은 100%입니다.',
    columnHelp: '각 토큰이 선택한 토큰에 주는 가중치입니다. 서로 다른 행의 값이므로 합이 100%가 아닐 수 있습니다.',
    rolloutHelp: '마지막 층까지 각 패치가 선택한 토큰에 기여한 정도입니다. 각 층의 절반은 잔차 연결로 보고 층별 평균 가중치를 모두 곱합니다(Abnar & Zuidema 2020). 작은 어텐션 맵은 층별 그대로입니다.',
    rolloutOnly: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 여기서 계산하기에 너무 오래 걸립니다.',
    rolloutFew: '이 페이지에는 토큰 하나, “{token}”의 롤아웃만 있습니다. 다른 토큰은 빠진 층이 있어 계산할 수 없습니다.', computing: '계산 중… {percent}%', missing: '빠짐',
    notKept: '페이지 크기를 줄이려고 {layer}층은 뺐습니다.', how: '어떻게 계산되나요?', howWhere: '{target}, {layer}층, 헤드 {head}.',
    howMean: '모든 헤드의 평균에는 자기 쿼리가 없어 헤드 {head}의 수치를 보여 줍니다. 다른 헤드는 맵 아래에서 선택하세요.', howRollout: '롤아웃은 모든 층을 잇습니다. 아래는 그중 한 층의 수치입니다.',
    howMeanToken: '모든 패치의 평균에는 자기 쿼리가 없습니다. 패치를 선택하면 수치가 보입니다.', say1: '쿼리 곱하기 키. 한 토큰의 쿼리 q와 다른 토큰의 키 k는 각각 {width}차원 벡터입니다. 잘 맞을수록 내적 q·k가 큽니다.',
    say2: '점수. q·k에 {scale}을(를) 곱해, 차원이 커도 점수가 지나치게 커지지 않게 합니다.',
    say3: '소프트맥스. exp(점수)를 토큰 {tokens}개 모두의 exp(점수) 합으로 나눕니다. 이 합의 로그를 lse(여기서는 {lse})라 하므로 가중치는 exp(점수 − lse)입니다. 가중치는 0과 1 사이이고 모두 더하면 1입니다.',
    say4: '가중치 곱하기 값. 각 토큰은 가중치에 비례해 값 v를 기여합니다.', say5: '가중합. 토큰 {tokens}개를 모두 더한 것이 선택한 토큰에 대한 이 헤드의 출력입니다.',
    noValues: '값. 값 v는 기록하지 않았습니다. watch(model, values=True)로 기록할 수 있습니다.', from: '쿼리', to: '키', score: '× {scale} = 점수', exponential: 'exp(점수 − lse)', weight: '= 가중치',
    times: '가중치 × v (처음 {count}개)', sum: '토큰 {tokens}개의 합',
    vectors: '{target}의 q와 {source}의 k: {width}개 방향 가운데 {kept}개, 중요한 것부터. 두 막대가 같은 쪽이면 곱이 양수입니다. 곱을 모두 더하고 q·(모든 키의 평균) = {rest}을(를) 더하면 q·k = {dot}입니다.',
    byLayer: '헤드별 어텐션 거리와 엔트로피', distanceTitle: '평균 어텐션 거리', distanceHigh: '↑ 패치 수', distanceLow: '국소',
    distanceHelp: '한 패치와 그 어텐션 대상 사이의 평균 거리: 아래는 단거리, 위는 장거리.', distanceEven: '균등 분포', chartKey: '헤드의 평균. 점 하나가 헤드 하나이며, 클릭하면 선택됩니다',
    entropyTitle: '엔트로피', entropyHigh: '↑ nat', entropyLow: '한 토큰', entropyHelp: '토큰의 어텐션이 평균적으로 퍼진 정도: 0부터 ln {tokens} = {most}까지.',
    entropyEven: 'ln {tokens}: 균등 분포', dotName: '{layer}층, 헤드 {head}: {value}', exact: '이 수치는 얼마나 정확한가요?',
    exactPacked: '이 페이지는 모든 가중치를 모델의 쿼리와 키로 계산합니다. 쿼리와 키는 원소당 32비트 대신 {bits}비트로 저장됩니다. 함께 회전하고(q·k는 그대로), 키의 평균을 빼고(가중치는 그대로), 반올림했습니다. 정확한 가중치와 비교하면 1/N보다 큰 가중치의 상대 오차는 {typical}(중앙값)이고, 가장 큰 절대 오차는 {largest}입니다.',
    exactAll: '{count}개 층이 모두 포함되어 있습니다.', exactFew: '{count}개 층 가운데 {kept}개({names})가 있습니다. 나머지는 페이지 크기를 줄이려고 뺐습니다.',
    exactValues: '값 벡터 v의 성분 {width}개 중 {values}개가 포함되어 있습니다.',
    noDecompression: '이 브라우저는 페이지의 데이터 압축을 풀 수 없습니다(DecompressionStream 없음). Chrome·Edge 110, Firefox 113, Safari 16.4 이상을 쓰세요.',
    selfMode: '패치 → 패치 (셀프 어텐션)', mode: '어텐션', 'fact queries': '쿼리:', elsewhere: '이미지 밖 토큰', meanHeads: '헤드의 평균', noAmong: '이 층에서는 모호하여 표시하지 않습니다.',
    itself: '자기 자신', restTokens: '패치와 다른 토큰', inHigh: '↑ 비율', inLow: '없음', wideTitle: '엔트로피', wideHigh: '↑ nat', wideLow: '한 패치',
    wideHelp: '{name}의 어텐션이 패치들에 퍼진 정도: 0부터 {most}까지.', wideEven: '균등 분포', is: '비전 모델의 어텐션을 보여 줍니다. 패치를 클릭하면 그 패치의 어텐션이 나타납니다.',
    'fact classes': '클래스:', crossEvery: '모든 층과 헤드', crossLayer: '층', failed: '페이지에 문제가 생겼습니다: {error}',
    similarity: '유사도', similarityName: '특징이 비슷한 위치', pca: 'PCA', pcaName: '색으로 나타낸 특징', evidence: '클래스 맵', evidenceName: '“{name}”의 근거',
    similarityHelp: '선택한 층을 지난 뒤, 선택한 토큰의 특징과 다른 모든 토큰의 특징 사이의 코사인입니다. 1이면 같은 방향, 0이면 무관합니다. 색상 범위는 이 이미지에서 가장 낮은 코사인부터 가장 높은 코사인까지입니다. 작은 어텐션 맵은 어텐션 그대로입니다.',
    pcaHelp: '선택한 층을 지난 패치 특징의 주성분을 분산이 큰 순서로 셋, 빨강·초록·파랑으로 나타냅니다. 각각 가장 낮은 값부터 가장 높은 값까지이며, 색이 비슷하면 특징도 비슷합니다. 주성분의 부호는 가장 큰 가중치가 양수가 되도록 정합니다. 작은 어텐션 맵은 어텐션 그대로입니다.',
    evidenceHelp: '한 클래스에 대해 모든 층을 거친 그래디언트 가중 관련도입니다(Chefer et al. 2021). 각 패치가 클래스 점수에 기여한 정도를 전체 토큰에 대한 비율로 나타내며, 선택한 패치와는 무관합니다. 작은 어텐션 맵은 어텐션 그대로입니다.',
    mostSimilar: '가장 비슷한 위치: {token}, 코사인 {cosine}', cosineOf: '{token}: 코사인 {cosine}', featuresOf: '({layer}층의 특징입니다. 선택한 층의 특징은 페이지 크기를 줄이려고 뺐습니다.)', featuresNear: '({layer}층의 특징입니다. 선택한 층의 특징이 이미지의 어디에 있는지는 알 수 없습니다.)', noFeatures: '이미지 안에 위치가 없는 토큰의 특징은 여기에 없습니다. 위치를 선택하세요.',
    pcaShares: '주성분 1, 2, 3(빨강, 초록, 파랑)이 분산의 {one}, {two}, {three}을(를) 설명합니다.', pcaSharesBoth: '두 이미지를 함께 분석한 주성분 1, 2, 3(빨강, 초록, 파랑)이 분산의 {one}, {two}, {three}을(를) 설명합니다.',
    pcaOf: '{token}: 주성분 {one}, {two}, {three}', howExtra: '위의 보기는 어텐션이 아닙니다. 아래는 이 층의 어텐션 수치입니다.',
    classOf: '클래스', 'evidence token': '클래스를 읽어 내는 토큰에 대한 관련도입니다.', 'evidence mean': '클래스를 읽어 내는 패치 평균에 대한 관련도입니다.', 'evidence both': '클래스를 첫 토큰과 패치 평균 모두에서 읽으므로, 둘에 대한 관련도를 반씩 합한 것입니다.',
    deletion: '삭제', insertion: '삽입', deletionScore: '관련도가 높은 픽셀부터 지웁니다. 클래스 확률 곡선 아래 면적은 {area}, 무작위 맵 {count}개는 {random}입니다. 낮을수록 좋습니다.',
    insertionScore: '흐린 이미지에 관련도가 높은 픽셀부터 되돌립니다. 면적은 {area}, 무작위 맵 {count}개는 {random}입니다. 높을수록 좋습니다.',
    beatsRandom: '무작위 맵보다 낫습니다.', beatenByRandom: '무작위 맵보다 못합니다. 이 맵을 믿지 마세요.', likeRandom: '무작위 맵과 뚜렷한 차이가 없습니다.', curveHelp: '픽셀 비율에 따른 클래스 확률. 점선은 무작위 맵.', ofPixels: '픽셀',
    scoresMean: '점선은 같은 격자의 무작위 맵입니다. 이미지 한 장에서는 측정이 아니라 점검입니다. 모델이 맵에 나타난 픽셀에 의존하는지를 보여 줍니다.', noScores: '이 클래스는 시간이 오래 걸려 무작위 맵과 비교하지 않았습니다.',
    whatExtra: '패치 사이의 어텐션을 볼 때는 맵 아래의 막대에서 다른 보기로도 바꿀 수 있습니다: 선택한 패치와 특징이 비슷한 위치, 색으로 나타낸 특징(PCA), 클래스의 근거(모델에 있는 경우).',
    save: '저장', savePng: '이미지 (PNG)', saveCsv: '수치 (CSV)', saveLink: '이 보기의 링크', savedAs: '{name}(으)로 저장했습니다', nothingToSave: '저장할 맵이 없습니다.', linkCopied: '복사했습니다. 이 페이지를 지금 모습 그대로 엽니다.', linkShown: '이 페이지를 지금 모습 그대로 엽니다.',
    isPair: '한 비전 모델이 본 두 이미지입니다. 한쪽 패치를 클릭하면 다른 쪽에서 찾아 주고, 아래에는 첫 이미지의 패치들이 주는 어텐션이 나타납니다.',
    pairTitle: '두 이미지에서 같은 패치 찾기', pairWhat: '어느 이미지에서든 패치를 가리키거나 클릭하세요. 다른 이미지에 각 패치의 특징이 얼마나 비슷한지 나타나고, 가장 잘 맞는 패치에 테두리가 그려집니다.',
    pairQuery: '{name}: 선택한 패치', pairAnswer: '{name}: 찾은 위치', pairHelp: '이미지. 화살표 키로 다른 이미지에서 찾을 패치를 옮깁니다.',
    pairFound: '{query}에 가장 잘 맞는 곳: {name}의 {found}, 코사인 {cosine}.', pairMutual: '그 패치에 가장 잘 맞는 곳도 바로 이 패치입니다(상호 일치).', pairNotMutual: '그 패치에 가장 잘 맞는 곳은 다른 곳, {back}입니다.',
    pairScale: '색상 범위: {low}(어두움)부터 {cosine}(밝음)까지. {layer}층을 지난 특징입니다.',
    exactFeatures: '코사인은 {layers}의 특징({normed})으로 계산합니다. 공통 축으로 회전하고 1/{steps} 간격으로 반올림했으며, 오차는 제곱평균제곱근 {typical}, 확인한 토큰에서 최대 {largest}입니다. 주성분은 반올림 전에 계산했습니다.',
    featuresNormed: '각 블록과 인코더의 마지막 정규화를 지난 값', featuresRaw: '각 블록을 지난 값, 정규화하지 않음', featuresAll: '모든 층', featuresFew: '{count}개 층 가운데 {kept}개',
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
  const { title, notes, model, predictions, text, targets, classes, seen, korean } = page;
  const written = [[page, { title, notes, model, predictions, text }]];
  if (classes) written.push([classes, { maps: classes.maps }]);
  if (seen) written.push([seen, { texts: seen.texts }]);
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

/** The language in which a page opens: that in which it was written, or else Korean in a Korean browser. */
export function firstLanguage() {
  return [document.documentElement.lang, navigator.language].some((language) => language?.startsWith('ko')) ? 'ko' : 'en';
}

/** A share of 1 as a percentage with two or three significant digits. */
export function percent(x) {
  if (x > 0 && x < 1e-8) return '< 0.000001%';
  const decimals = x > 0 ? Math.min(8, Math.max(0, (x >= 0.1 ? 2 : 1) - Math.floor(Math.log10(100 * x)))) : 0;
  return `${(100 * x).toFixed(decimals).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')}%`;
}
