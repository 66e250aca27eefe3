/**
 * Reading untrusted JSON by a schema of type.ts: answers the value rebuilt from known fields only, or throws a
 * {@link Mismatch} that names the place. Both processes of a contract read with it, so both mean the same by a schema.
 * It interprets: a schema compiler would cost a host process more memory than all the rest of its stream. Pure.
 */
import { isIP } from 'node:net';
import type { Static, TSchema } from 'typebox';
import type { Format } from './type.ts';

export class Mismatch extends Error {
  override readonly name = 'Mismatch';
  /** A JSON pointer; empty for the whole. */
  readonly place: string;

  constructor(place: string, expected: string) {
    super(`${place === '' ? 'the whole' : place}: expected ${expected}`);
    this.place = place;
  }
}

interface Keywords {
  type?: 'string' | 'integer' | 'boolean' | 'null' | 'array' | 'object';
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Keywords[];
  maxLength?: number;
  pattern?: string;
  format?: Format;
  minimum?: number;
  maximum?: number;
  items?: Keywords;
  maxItems?: number;
  distinct?: string;
  misfits?: 'left out';
  properties?: Record<string, Keywords>;
  required?: readonly string[];
  maxProperties?: number;
  propertyNames?: Keywords;
  additionalProperties?: Keywords;
}

/** @throws Mismatch naming the first place that is wrong */
export function read<T extends TSchema>(schema: T, value: unknown, place = ''): Static<T> {
  return readAs(schema as Keywords, value, place) as Static<T>;
}

function readAs(schema: Keywords, value: unknown, place: string): unknown {
  if (schema.anyOf) return readAny(schema.anyOf, value, place);
  if ('const' in schema) return value === schema.const ? value : fail(place, JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.includes(value) ? value : fail(place, `one of ${schema.enum.join(', ')}`);
  switch (schema.type) {
    case 'string':
      return readText(schema, value, place);
    case 'integer':
      return Number.isSafeInteger(value) && (value as number) >= schema.minimum! && (value as number) <= schema.maximum!
        ? value
        : fail(place, `a whole number from ${schema.minimum} to ${schema.maximum}`);
    case 'boolean':
      return typeof value === 'boolean' ? value : fail(place, 'a boolean');
    case 'null':
      return value === null ? null : fail(place, 'null');
    case 'array':
      return readList(schema, value, place);
    case 'object':
      return schema.properties ? readObject(schema, value, place) : readDictionary(schema, value, place);
    case undefined:
      return value;
  }
}

const fail = (place: string, expected: string): never => {
  throw new Mismatch(place, expected);
};

function fits(schema: Keywords, value: unknown): boolean {
  try {
    readAs(schema, value, '');
    return true;
  } catch {
    return false;
  }
}

/** The first alternative that is not null says what is wrong. Null comes first: most of what may be null is, and a refusal is dear. */
function readAny(alternatives: readonly Keywords[], value: unknown, place: string): unknown {
  if (value === null && alternatives.some(({ type }) => type === 'null')) return null;
  let first: unknown;
  for (const alternative of alternatives) {
    try {
      return readAs(alternative, value, place);
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

function readText(schema: Keywords, value: unknown, place: string): string {
  if (typeof value !== 'string') return fail(place, 'text');
  if (schema.maxLength !== undefined && isLonger(value, schema.maxLength)) {
    return fail(place, `at most ${schema.maxLength} characters`);
  }
  if (schema.pattern !== undefined && !patternOf(schema.pattern).test(value)) {
    return fail(place, `text like ${schema.pattern.slice(0, 60)}`);
  }
  if (schema.format !== undefined && !formats[schema.format](value))
    return fail(place, `text of form ${schema.format}`);
  return value;
}

/** More code points than this? */
export function isLonger(value: string, maxLength: number): boolean {
  if (value.length <= maxLength) return false;
  if (value.length > 2 * maxLength) return true;
  let points = 0;
  for (const _ of value) points++;
  return points > maxLength;
}

const patterns = new Map<string, RegExp>();
function patternOf(source: string): RegExp {
  let pattern = patterns.get(source);
  if (!pattern) {
    pattern = new RegExp(source, 'u');
    patterns.set(source, pattern);
  }
  return pattern;
}

export const formats: Readonly<Record<Format, (value: string) => boolean>> = {
  ip: (value) => isIP(value) !== 0 && !value.includes('%'),
  cidr: (value) => {
    const match = /^([^/%]+)\/(\d{1,3})$/.exec(value);
    const version = isIP(match?.[1] ?? '');
    return version !== 0 && Number(match![2]) <= (version === 4 ? 32 : 128);
  },
  // As it stands before a path: nothing that a URL parser would drop or take for something else.
  'https-origin': (value) => /^https:\/\/[^\s/?#@\\]+$/.test(value) && URL.canParse(value),
  // Spaces go first: beside a repetition that takes them too they would be tried in every division of the two.
  base64: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value.replace(/\s+/g, '')),
  // JavaScript takes the 30th of February for the 2nd of March, and 24 o'clock for the next day's 0.
  time: (value) => {
    const second = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,9})?Z$/.exec(value)?.[1];
    const ms = second === undefined ? Number.NaN : Date.parse(`${second}Z`);
    return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(second!);
  },
};

function readList(schema: Keywords, value: unknown, place: string): unknown[] {
  if (!Array.isArray(value) || value.length > schema.maxItems!)
    return fail(place, `a list of at most ${schema.maxItems}`);
  const all = value.flatMap((each, index) => {
    if (schema.misfits !== 'left out') return [readAs(schema.items!, each, `${place}/${index}`)];
    return fits(schema.items!, each) ? [readAs(schema.items!, each, place)] : [];
  });
  const { distinct } = schema;
  if (distinct !== undefined) {
    const seen = new Set(all.map((each) => (each as Record<string, unknown>)[distinct]));
    if (seen.size !== all.length) fail(place, `each ${distinct} once`);
  }
  return all;
}

function readObject(schema: Keywords, value: unknown, place: string): Record<string, unknown> {
  const given = asObject(value, place);
  const rebuilt: Record<string, unknown> = {};
  const properties = schema.properties!;
  for (const key in properties) {
    const each = Object.hasOwn(given, key) ? given[key] : undefined;
    if (each !== undefined) rebuilt[key] = readAs(properties[key]!, each, `${place}/${key}`);
    else if (schema.required!.includes(key)) fail(`${place}/${key}`, 'a value');
  }
  return rebuilt;
}

function readDictionary(schema: Keywords, value: unknown, place: string): Record<string, unknown> {
  const entries = Object.entries(asObject(value, place));
  if (entries.length > schema.maxProperties!) fail(place, `at most ${schema.maxProperties} entries`);
  return Object.fromEntries(
    entries.map(([key, each], index) => [
      readAs(schema.propertyNames!, key, `${place}/${index} (the key)`) as string,
      readAs(schema.additionalProperties!, each, `${place}/${index}`),
    ]),
  );
}

function asObject(value: unknown, place: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail(place, 'an object');
  return value as Record<string, unknown>;
}
