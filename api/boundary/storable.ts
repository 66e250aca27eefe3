/**
 * The one check of text: PostgreSQL can store neither NUL nor half of a surrogate pair, and JSON and percent signs can
 * write both. And of depth: nothing that we take is deeper, code behind this may recurse, and 1 MiB of JSON has room for
 * 500,000 levels.
 */
export const maxDepth = 64;

/** Why the value (parameters, or JSON) can't go further; undefined where it can. */
export function unstorable(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') {
    if (value.includes('\0')) return 'a text has the character NUL';
    return value.isWellFormed() ? undefined : 'a text has half of a surrogate pair';
  }
  if (value === null || typeof value !== 'object' || !isPlain(value)) return undefined;
  if (depth === maxDepth) return `it is nested deeper than ${maxDepth} levels`;
  if (Array.isArray(value)) {
    for (const item of value) {
      const why = unstorable(item, depth + 1);
      if (why !== undefined) return why;
    }
    return undefined;
  }
  for (const key of Object.keys(value)) {
    const why = unstorable(key) ?? unstorable((value as Record<string, unknown>)[key], depth + 1);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Of JSON or a query string; a body may also be a stream or a buffer. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}
