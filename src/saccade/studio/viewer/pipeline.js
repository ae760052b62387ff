// A picture that a pipeline of another library painted: its weights alone, without predictions by step.
import { PaintingScene } from './painting.js';

export class PipelineScene extends PaintingScene {
  static texts = {
    en: {
      ...PaintingScene.texts.en,
      is: 'Text to image: where each word of the prompt acts on the picture, at every evaluation of the network.',
      crossWhat1: 'The network paints {rows} × {columns} patches; layers with fewer, larger ones are shown on this grid. In every layer each patch attends to the tokens of the prompt, by cross-attention or together with the patches. The weight of a word is that of all its tokens; “(other)” is all that is no word: begin, end, padding, and with joint attention the patches. All together sum to 100% for each patch.',
      crossWhat2: '① Select a word, or point at a patch and read which words it attends to. The picture is the finished one; choose the evaluation with the slider below. ② shows how much each patch attends to the selected word: dark is a low weight, bright a high one. ③ has one small map for each layer and head. Click one to enlarge it.',
      sceneHelp: 'The picture. Arrow keys move the selected patch, Home goes to the first, End to the last; the words it attends to are listed below.',
      crossMode: 'Patches attend to words', step: 'Evaluation', frame: 'Evaluation {step}', throughTitle: 'The selected word through the evaluations',
      throughWhere: 'The weight of each patch on “{name}” at each evaluation (layer {layer}, {head}), all on one scale from 0 to {end}. Click one to select it.',
      wideHelp: 'How broadly the map of “{name}” is spread over the patches at this evaluation: from 0 to {most}.',
      painted: 'Painted for the prompt “{prompt}”, from noise in {count} evaluations.',
      exactMaps: 'The maps are stored as logs of weights, as multiples of 0.002: a weight is off by at most 0.2% of itself, and those below one in a billion are shown as that.',
    },
    ko: {
      ...PaintingScene.texts.ko,
      is: '텍스트 → 이미지: 네트워크를 계산할 때마다 프롬프트의 단어가 이미지의 어디에 작용하는지 보여 줍니다.',
      crossWhat1: '네트워크는 {rows} × {columns}개의 패치를 생성하며, 더 크고 적은 패치의 층도 이 격자에 나타냅니다. 층마다 각 패치는 크로스 어텐션으로, 또는 패치들과 함께 프롬프트의 토큰에 어텐션을 줍니다. 단어의 가중치는 그 토큰 모두의 합이고, “(other)”는 단어가 아닌 모든 것(시작, 끝, 패딩, 결합 어텐션에서는 패치)입니다. 한 패치에서 모두 더하면 100%입니다.',
      crossWhat2: '① 단어를 선택하거나, 패치를 가리켜 그 패치가 어텐션을 주는 단어를 읽으세요. 이미지는 완성된 것이며, 아래 슬라이더로 계산 순서를 고릅니다. ② 각 패치가 선택한 단어에 주는 어텐션이 나타납니다. 어두우면 가중치가 낮고, 밝으면 높습니다. ③ 층과 헤드마다 작은 어텐션 맵이 하나씩 있습니다. 클릭하면 크게 보입니다.',
      sceneHelp: '이미지. 화살표 키로 패치를 옮기고, Home은 처음, End는 마지막으로 갑니다. 그 패치가 어텐션을 주는 단어는 아래에 나옵니다.',
      crossMode: '패치 → 단어', step: '계산', frame: '계산 {step}', throughTitle: '계산 순서에 따른 선택한 단어',
      throughWhere: '계산할 때마다 각 패치가 “{name}”에 주는 가중치({layer}층, {head})이며 모두 0부터 {end}까지 같은 색상 범위입니다. 클릭해 선택하세요.',
      wideHelp: '이 계산에서 “{name}”의 맵이 패치들에 퍼진 정도: 0부터 {most}까지.',
      painted: '프롬프트 “{prompt}”(으)로 노이즈에서 {count}번 계산해 생성했습니다.',
      exactMaps: '맵은 가중치의 로그를 0.002의 배수로 저장합니다. 가중치의 오차는 그 값의 0.2% 이하이며, 10억분의 1보다 작은 값은 그 값으로 나타냅니다.',
    },
  };
}
