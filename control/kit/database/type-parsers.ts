/**
 * What PostgreSQL writes, as JavaScript has it. Every row has two times, and lists have arrays: the general parsers of pg try each text
 * against regular expressions and build arrays digit by digit, which was a fifth of the work of a long list. Plain texts are read
 * at once here; whatever is odd (another zone, infinity, a quoted element) goes the general way.
 */
import pg from 'pg';

const { builtins, getTypeParser, setTypeParser } = pg.types;
/** Not among pg's names: arrays of uuid and of text. */
const [uuidArray, textArray] = [2951, 1009];

const two = (text: string, at: number): number => text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 528;

/** '2026-11-28 12:00:00.123456+00', the fraction as long as it needs to be. Microseconds are cut, as Date has none. */
export function plainTime(text: string): Date | undefined {
  const end = text.length - 3;
  if (end < 19 || text.charCodeAt(4) !== 45 || text.charCodeAt(10) !== 32 || !text.endsWith('+00')) return undefined;
  let ms = 0;
  for (let at = 20, worth = 100; at < end && worth >= 1; at++, worth /= 10) ms += (text.charCodeAt(at) - 48) * worth;
  const year = two(text, 0) * 100 + two(text, 2);
  // Date.UTC takes the years before 100 for those of the last century.
  if (year < 100) return undefined;
  return new Date(Date.UTC(year, two(text, 5) - 1, two(text, 8), two(text, 11), two(text, 14), two(text, 17), ms));
}

/** '{a,b}' where no element is quoted, null or an array. */
export function plainArray(text: string): string[] | undefined {
  if (text === '{}') return [];
  if (text.includes('"') || text.includes('{', 1) || text.includes('NULL') || !text.startsWith('{')) return undefined;
  return text.slice(1, -1).split(',');
}

export function useTypeParsers(): void {
  setTypeParser(builtins.INT8, Number);
  const anyTime = getTypeParser(builtins.TIMESTAMPTZ);
  setTypeParser(builtins.TIMESTAMPTZ, (text) => plainTime(text) ?? anyTime(text));
  for (const type of [uuidArray, textArray]) {
    const anyArray = getTypeParser(type as never);
    setTypeParser(type as never, (text: string) => plainArray(text) ?? anyArray(text));
  }
}
