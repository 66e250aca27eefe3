/**
 * What of a value is looked at to say what is wrong with it. A validator tells all that it finds, in its slow way: of a megabyte of
 * empty objects it would speak for seconds, and nobody else's request be answered meanwhile. Pure.
 */

/** More than any schema allows a list or a text, so that one too long is still too long. */
const maxItems = 1001;
const maxText = 2 ** 17;
/** Values altogether. */
const maxValues = 5000;

/** The same value where it is of a usual size; of a huge one its beginning. */
export function excerpt(value: unknown): unknown {
  let left = maxValues;
  const cut = (one: unknown): unknown => {
    left--;
    if (typeof one === 'string') return one.slice(0, maxText);
    if (Array.isArray(one)) return some(one.slice(0, maxItems)).map(cut);
    if (typeof one !== 'object' || one === null) return one;
    const result: [string, unknown][] = [];
    for (const key in one) {
      if (result.length === maxItems || left <= 0) break;
      result.push([key, cut((one as Record<string, unknown>)[key])]);
    }
    // A member named __proto__ is one like the others.
    return Object.fromEntries(result);
  };
  const some = <T>(list: T[]): T[] => list.slice(0, Math.max(left, 0));
  return cut(value);
}
