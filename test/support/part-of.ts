/**
 * Long lists of like cases (die after each of fifty statements, ask each route in a hundred ways) are tried in part by `npm run check`
 * and whole by `npm run fuzz` and `./bothy test`; the longest of them whole by `npm run fuzz` alone.
 */

export const fuzzing = process.env.BOTHY_FUZZ !== undefined;

/** Fuzzing in full, or all lists whole. */
export const whole = fuzzing || process.env.BOTHY_LISTS === 'whole';

/**
 * At most `count` of the list, spread over it. Which ones is chosen by the commit that `tools/check.ts` names: the same for everybody who
 * tries it, and from commit to commit others.
 * @param all whether the list is whole here
 */
export function partOf<T>(list: readonly T[], count: number, all = whole): T[] {
  if (all || list.length <= count) return [...list];
  const shift = (Number.parseInt((process.env.BOTHY_COMMIT ?? '').slice(0, 6), 16) || 0) / 2 ** 24;
  return Array.from({ length: count }, (_, n) => list[Math.floor(((n + shift) * list.length) / count)]!);
}
