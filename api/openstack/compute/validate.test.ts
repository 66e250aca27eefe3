import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TSchema } from 'typebox';
import { newId } from '../../../contract/ids.ts';
import { faultsOf, fits } from '../../boundary/check.ts';
import { holdSchemaToTime } from '../../boundary/testing/hostile.ts';
import { create } from './server-contracts.ts';
import { created } from './server-create.ts';
import * as v from './validate.ts';

test('no basic type takes longer to judge a text than the text is long', () => {
  const schemas = Object.entries(v).filter(([, one]) => typeof one === 'object' && '~kind' in one);
  for (const [name, schema] of schemas) holdSchemaToTime(schema as TSchema, name);
});

test('what may be one of several says which, and of alternatives each says its own', () => {
  const said = (more: object): string => {
    const server = { name: 'x', imageRef: newId(), flavorRef: '1', networks: 'none', ...more };
    const value = { server };
    const errors = faultsOf(created.at(96), value);
    return v.sentences.refuse('body', { errors, value, contract: create }).message;
  };
  const of = (field: string, value: string, cause: string) =>
    `Invalid input for field/attribute ${field}. Value: ${value}. ${cause}`;
  assert.equal(
    said({ 'OS-DCF:diskConfig': 'FOO' }),
    of('OS-DCF:diskConfig', '"FOO"', "must be one of 'AUTO', 'MANUAL'"),
  );
  assert.equal(said({ networks: 'some' }), of('networks', '"some"', "must be one of 'auto', 'none', or must be array"));
  assert.equal(said({ flavorRef: true }), of('flavorRef', 'true', 'must be string, or must be integer'));
});

test('a body of a megabyte is refused at once, whatever it is full of', () => {
  const schema = created.at(96);
  const server = { name: 'x', imageRef: newId(), flavorRef: '1', networks: 'none' };
  const many = (key: (index: number) => string, value: unknown) =>
    Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [key(index), value]));
  const key = (index: number) => `key${index}`;
  const filled = (item: unknown) => new Array(300_000).fill(item);
  for (const more of [
    ...[{ networks: filled({}) }, { networks: filled(0) }, { security_groups: filled(0), networks: 7 }],
    ...[{ tags: filled('') }, { metadata: many(key, 0) }, { metadata: many(key, ''), networks: 0 }, many(key, '')],
    ...[{ name: ' '.repeat(1e6) }, { hostname: `${'a'.repeat(1e6)}!` }, { user_data: `${' '.repeat(65_000)}!` }],
  ]) {
    const before = process.cpuUsage();
    const value = { server: { ...server, ...more } };
    assert.ok(!fits(schema, value), JSON.stringify(more).slice(0, 60));
    const { message } = v.sentences.refuse('body', { errors: faultsOf(schema, value), value, contract: create });
    assert.ok(message.length < 8000);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 1_000_000, `${user / 1000} ms for ${JSON.stringify(more).slice(0, 60)}`);
  }
});
