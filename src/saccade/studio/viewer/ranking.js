// Several texts ranked for one image, and what their scores are worth.
import { h } from './dom.js';
import { bar } from './patches.js';
import { figure, percent } from './texts.js';

export const RANKING_TEXTS = {
  en: {
    scoreShared: 'Score: the share of each text among these; they sum to 100%.',
    scoreOwn: 'Score: the probability that the text describes this image, each on its own.',
    yardstick: 'For comparison, {count} unrelated texts (“{example}”, …) have {what} of {low} to {high} with this image.',
    yardstickShared: 'similarities', yardstickOwn: 'scores', similarityIs: '{score} (similarity {similarity})',
  },
  ko: {
    scoreShared: '점수: 이 텍스트들 가운데 차지하는 비율. 합은 100%입니다.', scoreOwn: '점수: 텍스트가 이 이미지를 설명할 확률. 텍스트마다 따로입니다.',
    yardstick: '비교: 관계없는 텍스트 {count}개(“{example}” 등)와 이 이미지의 {what}은(는) {low}–{high}입니다.',
    yardstickShared: '유사도', yardstickOwn: '점수', similarityIs: '{score} (유사도 {similarity})',
  },
};

/** A line a text, best first, and what a score means. choose(i), if any, selects the i-th text. */
export function ranking({ texts, unrelated, shared }, say, { choose, count = 0, chosen = -1 } = {}) {
  const kind = shared ? 'Shared' : 'Own';
  const lines = texts.map(({ text, score, similarity }, i) => {
    const amount = shared ? say('similarityIs', { score: percent(score), similarity: figure(similarity, 3) }) : percent(score);
    const line = bar(text, amount, score, i < count ? () => choose(i) : null);
    if (i < count) line.setAttribute('aria-pressed', String(i === chosen));
    return line;
  });
  const others = unrelated.map((one) => one.similarity ?? one.score).sort((a, b) => a - b);
  const written = (x) => (shared ? figure(x, 3) : percent(x));
  const facts = { count: others.length, example: unrelated[0].text, what: say(`yardstick${kind}`), low: written(others[0]), high: written(others.at(-1)) };
  return [...lines, h('p', { className: 'quiet' }, `${say(`score${kind}`)} ${say('yardstick', facts)}`)];
}
