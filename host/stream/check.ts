/**
 * Checks of untrusted JSON, built from small ones. Each answers the value rebuilt from known fields only, or throws a
 * Mismatch that names the place. By hand because a schema compiler would cost the host process more memory than the rest
 * of its stream. Pure.
 */

export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

export type Check<T> = (value: unknown, place: string) => T;
export type Checked<C> = C extends Check<infer T> ? T : never;

const fail = (place: string, expected: string): never => {
  throw new Mismatch(`${place === '' ? 'the message' : place}: expected ${expected}`);
};

export const text =
  (maxLength: number, pattern?: RegExp): Check<string> =>
  (value, place) =>
    typeof value === 'string' && value.length <= maxLength && (pattern?.test(value) ?? true)
      ? value
      : fail(place, pattern ? `text like ${pattern.source.slice(0, 60)}` : `text of at most ${maxLength} characters`);

export const integer =
  (minimum: number, maximum: number): Check<number> =>
  (value, place) =>
    Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      ? (value as number)
      : fail(place, `a whole number from ${minimum} to ${maximum}`);

export const boolean: Check<boolean> = (value, place) =>
  typeof value === 'boolean' ? value : fail(place, 'a boolean');

export const oneOf =
  <const T extends readonly unknown[]>(...values: T): Check<T[number]> =>
  (value, place) =>
    values.includes(value) ? value : fail(place, `one of ${values.join(', ')}`);

export const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value, place) =>
    value === null ? null : check(value, place);

export const list =
  <T>(check: Check<T>, maxLength: number): Check<T[]> =>
  (value, place) => {
    if (!Array.isArray(value) || value.length > maxLength) return fail(place, `a list of at most ${maxLength}`);
    return value.map((each, index) => check(each, `${place}/${index}`));
  };

/** A list whose elements have different ids. */
export const setOf =
  <T extends { id: string }>(check: Check<T>, maxLength: number): Check<T[]> =>
  (value, place) => {
    const all = list(check, maxLength)(value, place);
    if (new Set(all.map((each) => each.id)).size !== all.length) fail(place, 'each id once');
    return all;
  };

export const dictionary =
  (maxEntries: number, maxLength: number): Check<Record<string, string>> =>
  (value, place) => {
    const entries = Object.entries(asObject(value, place));
    if (entries.length > maxEntries) fail(place, `at most ${maxEntries} entries`);
    const check = text(maxLength);
    return Object.fromEntries(entries.map(([key, each]) => [check(key, place), check(each, `${place}/${key}`)]));
  };

type Fields = Record<string, Check<unknown>>;
type Shape<F extends Fields> = { [K in keyof F]: Checked<F[K]> };

export function object<F extends Fields>(fields: F): Check<Shape<F>>;
export function object<F extends Fields, O extends Fields>(fields: F, optional: O): Check<Shape<F> & Partial<Shape<O>>>;
export function object(fields: Fields, optional: Fields = {}): Check<unknown> {
  const required = Object.entries(fields);
  const others = Object.entries(optional);
  return (value, place) => {
    const given = asObject(value, place);
    const rebuilt: Record<string, unknown> = {};
    for (const [key, check] of required) rebuilt[key] = check(given[key], `${place}/${key}`);
    for (const [key, check] of others)
      if (given[key] !== undefined) rebuilt[key] = check(given[key], `${place}/${key}`);
    return rebuilt;
  };
}

function asObject(value: unknown, place: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail(place, 'an object');
  return value as Record<string, unknown>;
}
