/** Values that fit a schema, and for each of its places values that may not. Pure. */
import type { TSchema } from 'typebox';
import { fits } from '../check.ts';

interface Schema {
  type?: string;
  examples?: unknown[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  patternProperties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  minItems?: number;
  minLength?: number;
  minimum?: number;
}

const id = '0198c0de-0000-7000-8000-000000000001';
/** Tried in turn where a schema gives no example of itself. */
const texts = ['name', id, '10.0.0.5', 'fd00::5', '7', 'true', '2026-01-31T00:00:00Z', 'YQ==', 'GET', '/path', ''];

/** @param options.full with every property that may be left out */
export function sample(schema: TSchema, options: { full: boolean } = { full: false }): unknown {
  const one = schema as Schema;
  if (one.examples && one.examples.length > 0) return one.examples[0];
  if ('const' in one) return one.const;
  if (one.enum) return one.enum[0];
  if (one.anyOf) return sample(one.anyOf[0] as TSchema, options);
  switch (one.type) {
    case 'object':
      return sampleObject(one, options);
    case 'array':
      return one.items && (options.full || one.minItems) ? [sample(one.items as TSchema, options)] : [];
    case 'string':
      return texts.find((text) => fits(schema, text)) ?? 'x'.repeat(one.minLength ?? 1);
    case 'integer':
    case 'number':
      return [1, 4, 0, -1, 100].find((number) => fits(schema, number)) ?? one.minimum ?? 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return {};
  }
}

function sampleObject(schema: Schema, options: { full: boolean }): Record<string, unknown> {
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {}).filter(([name]) => options.full || required.has(name));
  const result = Object.fromEntries(members.map(([name, one]) => [name, sample(one as TSchema, options)]));
  const [others] = Object.values(schema.patternProperties ?? {});
  if (options.full && others) result.key = sample(others as TSchema, options);
  return result;
}

const deep = JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`) as unknown;

/** One of each kind of value that JSON can say. */
const anyValues: readonly unknown[] = [
  ...[2 ** 31, 2 ** 31 - 1, 2 ** 40, 2 ** 53, '2147483648', '0000-01-01T00:00:00Z', ' '.repeat(70_000), '\ufeff'],
  // What every object has though nobody gave it.
  ...['constructor', '__proto__', { constructor: {} }],
  ...[null, true, 7, -1, 0.5, 1e308, 1e20, '', 'text', '7', 'x\0y', '\ud83c', 'x'.repeat(70_000)],
  ...[[], ['x'], [null], [[]], {}, { x: 1 }, { __proto: {} }, { id: null }, { name: [] }, deep],
];

/** What a query string can say of one parameter. */
export const anyTexts: readonly (string | string[])[] = [
  ...['', 'text', '-1', '0', '7', '1.5', '99999999999999999999', 'true', id, 'x\0y', '🏔', "'", '%', 'in:"', 'gt:', ','],
  ...['2147483648', '999999999999999', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '\ufeff', '%00', '[', '(?'],
  ...['constructor', '__proto__', 'constructor=x'],
  ...['x'.repeat(3000), '\\', '2026-99-99', '10.0.0.0/8', ['a', 'b'], ['1', '1']],
];

/** The value, with each of its places in turn set to each of the values. */
export function* mutations(value: unknown, values: readonly unknown[] = anyValues): Generator<unknown> {
  yield* values;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    for (const changed of mutations(inner, values)) {
      if (Array.isArray(value)) yield value.with(Number(key), changed);
      else yield { ...value, [key]: changed };
    }
    if (!Array.isArray(value)) {
      const { [key]: _gone, ...rest } = value as Record<string, unknown>;
      yield rest;
    }
  }
}
