import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageSplitter } from './framing.ts';
import { MessageReader } from './reading.ts';
import { parseSchema } from './schema.ts';
import { parseTarget } from './target.ts';
import { applyDifference, difference, fromWire, sameValue, toWire, type Value } from './value.ts';

test('messages are found at any cut of the byte stream, in any script', () => {
  const messages = [{ a: '小屋 🏔 "x"; drop \\ { }' }, { b: { c: [{}, '}{', '\\"'] } }, {}];
  const bytes = Buffer.from(messages.map((message) => JSON.stringify(message)).join('\n '));
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new MessageSplitter();
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      for (const message of splitter.push(bytes.subarray(at, at + size))) found.push(JSON.parse(message.toString()));
    }
    assert.deepEqual(found, messages, `pieces of ${size} bytes`);
  }
});

test('a peer that sends no objects, or endless ones, is refused', () => {
  assert.throws(() => new MessageSplitter().push(Buffer.from('HTTP/1.1 400')), { kind: 'protocol' });
  for (const bytes of ['HTTP/1.1 400', '"x"', '}', '{}}']) {
    assert.throws(() => new MessageReader().push(Buffer.from(bytes)), { kind: 'protocol' });
  }
  assert.throws(() => new MessageReader({ maxBytes: 10 }).push(Buffer.from(`{"a":"${'x'.repeat(20)}`)), {
    kind: 'protocol',
  });
  assert.throws(() => new MessageSplitter({ maxBytes: 10 }).push(Buffer.from(`{"a":"${'x'.repeat(20)}`)), {
    kind: 'protocol',
  });
});

test('messages are parsed as they arrive, at any cut of the byte stream', () => {
  const row = { initial: { name: '小屋 🏔 "x"; drop \\ { }', set: ['set', []], at: { deep: { deeper: {} } } } };
  const messages = [
    {
      id: 1,
      result: { T: { [uuid]: row, 'odd \\ "key"': { delete: null } }, U: {}, __proto__: { x: { y: {} } } },
      error: null,
    },
    { id: 2, result: [{ rows: [{ a: { b: { c: 1 } } }] }, {}], error: null },
    {
      id: 3,
      result: {
        T: { x: { y: 1 }, z: 3, v: { w: {} } },
        V: { z: 3, v: { w: {} } },
        W: { v: {}, w: [{ x: {} }, { y: 1 }] },
      },
    },
    { id: 4, result: { T: { t: JSON.parse('{"__proto__": {"a": {}}, "b": {"__proto__": 1}}') } } },
    {},
  ];
  const bytes = Buffer.from(messages.map((message) => JSON.stringify(message)).join('\n '));
  for (let size = 1; size <= bytes.length; size++) {
    const reader = new MessageReader();
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...reader.push(bytes.subarray(at, at + size)));
    assert.equal(JSON.stringify(found), JSON.stringify(messages), `pieces of ${size} bytes`);
  }
});

test('targets are read in the notation of the OVS tools', () => {
  assert.deepEqual(parseTarget('unix:/run/nb.sock'), { scheme: 'unix', path: '/run/nb.sock' });
  assert.deepEqual(parseTarget('tcp:[::1]:6641'), { scheme: 'tcp', host: '::1', port: 6641 });
  assert.deepEqual(parseTarget('ssl:nb.example:6641'), { scheme: 'ssl', host: 'nb.example', port: 6641 });
  for (const bad of ['', 'tcp:x', 'tcp:h:0', 'tcp:h:70000', 'http:h:1']) assert.throws(() => parseTarget(bad));
});

const schema = parseSchema({
  name: 'T',
  version: '1',
  tables: {
    T: {
      columns: {
        one: { type: 'string' },
        optional: { type: { key: 'integer', min: 0 } },
        set: { type: { key: 'string', min: 0, max: 'unlimited' } },
        map: { type: { key: 'string', value: 'string', min: 0, max: 'unlimited' } },
        reference: { type: { key: { type: 'uuid', refTable: 'T' }, min: 0, max: 'unlimited' } },
      },
    },
  },
});
const column = (name: string) => schema.tables.get('T')!.columns.get(name)!;
const uuid = '01234567-89ab-4cde-8f01-23456789abcd';

test('values go to the wire and come back', () => {
  const values: [string, Value][] = [
    ['one', ''],
    ['optional', null],
    ['optional', 0],
    ['set', []],
    ['set', ['a']],
    ['set', ['a', 'b']],
    ['map', {}],
    ['map', { a: '1', __proto__x: '2' }],
    ['reference', [uuid]],
  ];
  for (const [name, value] of values) {
    assert.deepEqual(fromWire(column(name), JSON.parse(JSON.stringify(toWire(column(name), value)))), value);
  }
  assert.deepEqual(toWire(column('reference'), [uuid, 'row1']), [
    'set',
    [
      ['uuid', uuid],
      ['named-uuid', 'row1'],
    ],
  ]);
});

test('a set of one element may come bare', () => {
  assert.deepEqual(fromWire(column('set'), 'a'), ['a']);
  assert.equal(fromWire(column('optional'), 5), 5);
  assert.throws(() => fromWire(column('map'), 'a'), { kind: 'protocol' });
});

test('what the wire refuses is mended: NUL and lone surrogates', () => {
  assert.equal(toWire(column('one'), 'a\0b\ud800'), 'a\ufffdb\ufffd');
});

test('a difference applied to the old value gives the new one', () => {
  const cases: [string, Value, Value][] = [
    ['set', ['a', 'b'], ['b', 'c']],
    ['set', [], ['x']],
    ['map', { a: '1', b: '2', c: '3' }, { a: '1', b: '9', d: '4' }],
    ['map', { constructor: 'x' }, {}],
    ['optional', 1, null],
    ['optional', null, 1],
    ['one', 'a', 'b'],
  ];
  for (const [name, before, after] of cases) {
    const change = difference(column(name), before, after);
    assert.ok(sameValue(applyDifference(column(name), before, change), after), `${name} ${JSON.stringify(change)}`);
  }
});
