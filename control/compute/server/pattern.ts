/**
 * Regular expressions of callers, for PostgreSQL to match. It matches without going back, but for back-references, and what it takes
 * to get ready grows with the cube of the automaton: a line of 20 characters can keep it busy for ten seconds, and ten of them are all
 * the connections that a control process has. So what makes automatons grow is bounded here. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';

const maxLength = 255;
/** Characters, with those in a counted repetition as often as they repeat. */
const maxWeight = 500;
/** Of an end of the text, since repetitions of it cost most. */
const anchorWeight = 40;

/** Back-references, and all that asks what stands around a place: `(?=`, `(?<!`, `\y`, `\m`; and words in front that change the syntax. */
const refused = /\\[1-9yYmMAZ]|\(\?(?!:)|^\*\*\*/;

/** @throws CloudError `invalid` */
export function safePattern(pattern: string): string {
  if (pattern.length > maxLength || refused.test(pattern) || isHeavy(pattern)) {
    throw new CloudError('invalid', 'pattern_refused', { pattern: pattern.slice(0, 50) });
  }
  return pattern;
}

/** What is no regular expression is PostgreSQL's to refuse. */
function isHeavy(pattern: string): boolean {
  /** Of each open group, and of the whole: its weight so far. */
  const open = [0];
  let last = 0;
  const add = (weight: number) => {
    last = weight;
    open.push(open.pop()! + weight);
  };
  for (const [token] of pattern.matchAll(/\\.|\[\^?\]?[^\]]*\]|\{\d+(?:,\d*)?\}|./gsu)) {
    if (token === '(') open.push(0);
    else if (token === ')' && open.length > 1) add(open.pop()!);
    else if (token === '^' || token === '$') add(anchorWeight);
    else if (/^\{\d/.test(token)) {
      const [low, high] = token.slice(1, -1).split(',');
      add(last * (Math.max(Number(low), Number(high || 0), 1) - (last > 0 ? 1 : 0)));
    } else if (!/^[*+?|)]$/.test(token)) add(1);
  }
  return open.reduce((sum, weight) => sum + weight, 0) > maxWeight;
}
