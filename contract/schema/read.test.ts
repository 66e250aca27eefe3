import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Format } from 'typebox/format';
import { controlMessages, hostMessages } from '../host/messages.ts';
import { desiredNetwork } from '../host/network.ts';
import { agree } from '../host/protocol.ts';
import { desiredServer, observedServer } from '../host/server.ts';
import { formats, isLonger, Mismatch, read } from './read.ts';
import { dictionary, integer, list, nullable, object, optional, text, time } from './type.ts';

for (const [name, check] of Object.entries(formats)) Format.Set(name, check);

const accepts = (schema: TSchema, value: unknown): boolean => {
  try {
    read(schema, value);
    return true;
  } catch (error) {
    assert.ok(error instanceof Mismatch);
    return false;
  }
};

// biome-ignore lint/suspicious/noExplicitAny: a schema of any kind
type Any = any;

/** Texts that fit one of the patterns and formats that are in use. */
const samples = [
  'a',
  '01900000-0000-7000-8000-000000000051',
  'fa:16:3e:00:00:01',
  'a'.repeat(32),
  'a'.repeat(64),
  'a'.repeat(128),
  '10.0.0.1',
  '10.0.0.0/8',
  'https://x',
  '/srv',
  'pc-q35-7.2',
  'swap',
  '2025-01-01T00:00:00Z',
];
const fitting = (schema: Any): string =>
  samples.find((sample) => Compile(schema).Check(sample)) ?? assert.fail(JSON.stringify(schema));

/** A value that fits. */
function valid(schema: Any): unknown {
  if (schema.anyOf) return valid(schema.anyOf[0]);
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case 'string':
      return fitting(schema);
    case 'integer':
      return schema.maximum;
    case 'boolean':
      return true;
    case 'array':
      return [valid(schema.items)];
    case 'object':
      return schema.properties
        ? Object.fromEntries(Object.entries(schema.properties).map(([key, each]) => [key, valid(each)]))
        : { key: valid(schema.additionalProperties) };
    default:
      return { anything: 1 };
  }
}

const odd = [null, true, 0, -1, 1.5, 2 ** 60, '', 'x', '小屋 🏔', [], {}, [[]], 'a'.repeat(300), '🏔'.repeat(300)];

/** Values that differ from a fitting one in one place. */
function* variants(schema: Any): Generator<unknown> {
  // Of elements that do not fit a validator of JSON Schema alone does not know that they are left out.
  if (schema.misfits) return;
  yield* odd;
  if (schema.anyOf) for (const each of schema.anyOf) yield* variants(each);
  if (schema.maxLength && !schema.pattern && !schema.format) {
    for (const letter of ['a', '🏔', 'a\u0301']) {
      const points = [...letter].length;
      yield letter.repeat(Math.floor(schema.maxLength / points));
      yield letter.repeat(Math.floor(schema.maxLength / points) + 1);
    }
  }
  if (schema.type === 'integer') yield* [schema.minimum - 1, schema.minimum, schema.maximum, schema.maximum + 1];
  if (schema.type === 'array') {
    for (const each of variants(schema.items)) yield [each];
    // Nor that elements must differ.
    if (schema.maxItems < 2000 && !schema.distinct) {
      for (const length of [schema.maxItems, schema.maxItems + 1]) yield Array(length).fill(valid(schema.items));
    }
  }
  if (schema.properties) {
    const whole = valid(schema) as object;
    yield { ...whole, news: 1 };
    for (const [key, each] of Object.entries(schema.properties)) {
      yield Object.fromEntries(Object.entries(whole).filter(([other]) => other !== key));
      for (const variant of variants(each)) yield { ...whole, [key]: variant };
    }
  } else if (schema.additionalProperties) {
    for (const each of variants(schema.additionalProperties)) yield { key: each };
    for (const each of variants(schema.propertyNames)) if (typeof each === 'string') yield { [each]: '' };
  }
}

test('what this reader accepts is what TypeBox accepts by the same schema', () => {
  const schemas = { desiredServer, observedServer, desiredNetwork, ...controlMessages, report: hostMessages.report };
  for (const [name, schema] of Object.entries({ ...schemas, hostHello: hostMessages.hello })) {
    const compiled = Compile(schema as TSchema);
    assert.ok(accepts(schema, valid(schema)), name);
    let tried = 0;
    for (const value of variants(schema)) {
      tried++;
      const [error] = compiled.Errors(value);
      assert.equal(accepts(schema, value), compiled.Check(value), `${name}: ${JSON.stringify(error)}`.slice(0, 500));
    }
    assert.ok(tried > 20, name);
  }
});

test('only known fields come out, and none of an object’s prototype count', () => {
  const schema = object({ a: integer(0, 9), toString: optional(text(5)) });
  assert.deepEqual(read(schema, JSON.parse('{"a":1,"b":2,"__proto__":{"c":3}}')), { a: 1 });
  assert.throws(() => read(object({ constructor: text(9) }), {}), Mismatch);
  const words = read(
    dictionary({ maxProperties: 2, maxKeyLength: 20, maxValueLength: 5 }),
    JSON.parse('{"__proto__":"x"}'),
  );
  assert.deepEqual(Object.keys(words), ['__proto__']);
});

test('a refusal names the place and what was expected there', () => {
  const schema = object({ ports: list(object({ id: text(3) }), 2, { distinct: 'id' }), step: nullable(text(2)) });
  const place = (value: unknown) => {
    try {
      read(schema, value);
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  };
  assert.equal(place({ ports: [{ id: 'a' }, { id: 7 }], step: null }), '/ports/1/id: expected text');
  assert.equal(place({ ports: [{ id: 'a' }, { id: 'a' }], step: null }), '/ports: expected each id once');
  assert.equal(place({ ports: [], step: 'abc' }), '/step: expected at most 2 characters');
  assert.equal(place(null), 'the whole: expected an object');
});

test('lengths are in code points, whatever a screen shows', () => {
  assert.equal(isLonger('🏔'.repeat(5), 5), false);
  assert.equal(isLonger('🏔'.repeat(6), 5), true);
  assert.equal(isLonger('e\u0301\u0301\u0301', 3), true);
  assert.equal(isLonger('\ud800'.repeat(5), 5), false);
});

test('two peers speak the highest version that both know', () => {
  const own = { lowest: 2, highest: 4 };
  const cases: [number, number | undefined, number | undefined][] = [
    [4, undefined, 4],
    [3, undefined, 3],
    [1, undefined, undefined],
    [9, 3, 4],
    [9, 5, undefined],
    [9, undefined, undefined],
    [2, 1, 2],
  ];
  for (const [protocol, lowestProtocol, agreed] of cases) {
    const peer = { protocol, ...(lowestProtocol === undefined ? {} : { lowestProtocol }) };
    assert.equal(agree(own, peer), agreed, JSON.stringify(peer));
  }
});

test('a time is a moment that there is', () => {
  for (const right of ['2026-11-30T18:43:15Z', '2024-02-29T00:00:00.123456789Z'])
    assert.ok(accepts(time, right), right);
  for (const wrong of [
    'lately',
    '2026-11-30',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:00+01:00',
  ])
    assert.ok(!accepts(time, wrong), wrong);
});
