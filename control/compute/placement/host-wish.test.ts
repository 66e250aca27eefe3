import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownCondition, unmet } from './host-wish.ts';

/** Nova's own examples (nova/tests/unit/scheduler/filters/test_extra_specs_ops.py), and lists between commas. */
const cases: readonly [value: string, condition: string, holds: boolean][] = [
  ['1', '1', true],
  ['', '1', false],
  ['3', '1', false],
  ['123', '= 123', true],
  ['124', '= 123', true],
  ['34', '= 234', false],
  ['123', '!= 123', false],
  ['124', '!= 123', true],
  ['7', '>= 8', false],
  ['8', '<= 8', true],
  ['b', 's== b', true],
  ['b', 's!= a', true],
  ['a', 's< b', true],
  ['b', 's>= b', true],
  ['12311321', '<in> 11', true],
  ['12310321', '<in> 11', false],
  ['aes mmx aux', '<all-in> aes <all-in> mmx', true],
  ['aes mmx', '<all-in> aes <all-in> txt', false],
  ['12', '<or> 11 <or> 12', true],
  ['13', '<or> 11 <or> 12', false],
  ['a, b,c', 'b', true],
  ['a,b', '<or> c <or> b', true],
];

for (const [value, condition, holds] of cases)
  test(`an aggregate with '${value}' is ${holds ? '' : 'not '}what '${condition}' asks for`, () => {
    const { elsewhere } = unmet({ aggregates: [{ other: '1' }, { key: value }] }, { aggregate: { key: condition } });
    assert.deepEqual(elsewhere, holds ? [] : ['key']);
  });

test('a key that no aggregate has is not met, and one that an object has by itself neither', () => {
  assert.deepEqual(unmet({}, { aggregate: { key: 'x' } }).elsewhere, ['key']);
  assert.deepEqual(unmet({ aggregates: [{}] }, { aggregate: { constructor: 's!= x' } }).elsewhere, ['constructor']);
});

test('a condition without what it compares with, or with a number that is none, is none', () => {
  assert.deepEqual(['', '  ', '>=', '== x', '<in>', 's=='].map(knownCondition), [
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
  assert.deepEqual(['x', '>= 5', '<in> x', 's== 1', '<or> a <or> b'].map(knownCondition), [
    true,
    true,
    true,
    true,
    true,
  ]);
});
