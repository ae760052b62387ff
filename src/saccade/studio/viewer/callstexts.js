// The texts of the page of a trace, in English and Korean.

export const CALL_TEXTS = {
  en: {
    title: '{count} attention calls', one: '1 attention call', columns: 'name, kind, heads, targets × sources', about: 'Select a call, then a target token: the bars are what it attends to, over all sources.',
    callLanguage: 'Language', target: 'Target token', targetName: '{token} of {count}', some: '{kept} of {count} targets are included.', meanOnly: 'Only the mean of the heads is included.', batch: 'The first picture of {count}.',
    none: 'The rows of this call are not included.', source: 'source {token}', part: '{part} {token}', bar: '{source}: {share}, {times} × uniform (1/N)', best: 'Highest: {list}. The line is uniform (1/N).', barsHelp: 'Weights over the sources. Arrow keys read one source after another.',
    missed: 'Not recorded: {name}: {why}', more: 'And {count} more calls, without their rows: trace[i] has them.', run: 'run {run}',
  },
  ko: {
    title: '어텐션 호출 {count}개', one: '어텐션 호출 1개', columns: '이름, 종류, 헤드, 타깃 × 소스', about: '호출을 고르고 타깃 토큰을 고르세요. 막대는 그 토큰이 모든 소스에 주는 가중치입니다.',
    callLanguage: '언어', target: '타깃 토큰', targetName: '{count}개 중 {token}번', some: '타깃 {count}개 가운데 {kept}개가 있습니다.', meanOnly: '헤드의 평균만 있습니다.', batch: '이미지 {count}장 가운데 첫 번째입니다.',
    none: '이 호출의 행은 들어 있지 않습니다.', source: '소스 {token}번', part: '{part} {token}번', bar: '{source}: {share}, 균등 분포(1/N)의 {times}배', best: '최댓값: {list}. 선은 균등 분포(1/N)입니다.', barsHelp: '소스별 가중치. 화살표 키로 소스를 하나씩 읽습니다.',
    missed: '기록하지 못함: {name}: {why}', more: '행이 없는 호출이 {count}개 더 있습니다: trace[i]로 볼 수 있습니다.', run: '실행 {run}',
  },
};
