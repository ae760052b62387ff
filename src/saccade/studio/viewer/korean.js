// Korean particles: which of two forms follows a word depends on whether the word ends in a consonant, as read aloud.

const PAIRS = { '을(를)': ['을', '를'], '이(가)': ['이', '가'], '은(는)': ['은', '는'], '과(와)': ['과', '와'], '(으)로': ['으로', '로'] };
const MARKED = new RegExp(`(.*?)(${Object.keys(PAIRS).map((pair) => pair.replace(/[()]/g, '\\$&')).join('|')})`, 'gs');
const CLOSING = /(?:\([^()]*\)|[\s"'”’」』)\]}>.,!?…])+$/u; // a remark in brackets is not read with the word

/** The final consonant of a word as read aloud: '' for none, 'l' for ㄹ, else 'c'. */
export function finalConsonant(text) {
  const word = text.replace(CLOSING, '') || text;
  const last = word.at(-1) ?? '';
  if (last >= '가' && last <= '힣') {
    const final = (last.charCodeAt(0) - 0xac00) % 28;
    return final === 8 ? 'l' : final ? 'c' : '';
  }
  if (/[0-9]/.test(last)) return { 0: 'c', 1: 'l', 3: 'c', 6: 'c', 7: 'l', 8: 'l' }[last] ?? ''; // 영 일 삼 육 칠 팔
  if (/[⁰¹²³⁴⁵⁶⁷⁸⁹]/u.test(last)) return 'c'; // …승
  return latin(/[A-Za-z]*$/.exec(word)[0]);
}

/** Of a Latin word: a letter alone or at the end of an abbreviation by its name, others by their usual pronunciation. */
function latin(word) {
  const spelled = /[A-Z]$/.test(word) && !/^(?=.*[AEIOU])[A-Z]{4,}$/.test(word); // ViT, but CLIP as a word
  if (spelled || word.length === 1) return { L: 'l', R: 'l', M: 'c', N: 'c' }[word.at(-1).toUpperCase()] ?? '';
  const read = word.toLowerCase();
  if (/(?:l|le)$/.test(read)) return 'l';
  return /(?:[mn]e?|ng|ck|b|(?:^|[^aeiou])[aeiou][kpt]|ook|oot)$/.test(read) ? 'c' : '';
}

/** A Korean text whose particles, written as 을(를), follow the words before them. */
export function withParticles(text) {
  return text.replace(MARKED, (_, before, pair) => {
    const final = finalConsonant(before);
    return before + PAIRS[pair][pair === '(으)로' ? Number(final !== 'c') : Number(!final)];
  });
}
