import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../../contract/errors.ts';
import { cacheWords, requireCacheWords, sameCache } from './cache-words.ts';

const gib = (value: string) => ({ 'bothy:cache_gib': value });

test('a type says where its cache is and how large', () => {
  assert.equal(cacheWords({ 'bothy:tier': 'disk' }), null);
  assert.deepEqual(cacheWords({ 'bothy:cache_tier': 'ram', ...gib('0.125'), 'bothy:cache_policy': 'write-back' }), {
    ...{ pool: null, tier: 'ram', bytes: 2 ** 27, policy: 'write-back' },
  });
  const through = cacheWords({ 'bothy:cache_pool': 'fast', ...gib('2'), 'bothy:cache_policy': 'write-through' });
  assert.deepEqual([through?.bytes, through?.policy], [2 ** 31, 'write-through']);
});

const refusedKey = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (isCloudError(error) && error.code === 'invalid') return String((error.fields as { key?: string }).key);
    throw error;
  }
  return 'none';
};

test('what no cache can be is refused by name, also before the type is whole', () => {
  for (const [key, value] of [
    ['bothy:cache_gib', '0'],
    ['bothy:cache_gib', 'much'],
    ['bothy:cache_tier', 'disk'],
    ['bothy:cache_policy', 'write-around'],
    ['bothy:cache_pool', '../etc'],
    ['bothy:cache_size', '1'],
  ] as const) {
    assert.equal(
      refusedKey(() => requireCacheWords({ [key]: value })),
      key,
    );
  }
  assert.equal(
    refusedKey(() => requireCacheWords({ ...gib('1') })),
    'none',
  );
  assert.equal(
    refusedKey(() => cacheWords({ ...gib('1') })),
    'bothy:cache_pool',
  );
  assert.equal(
    refusedKey(() => cacheWords({ 'bothy:cache_pool': 'fast' })),
    'bothy:cache_gib',
  );
});

test('two types have the same cache, or not', () => {
  assert.ok(sameCache({}, { 'bothy:tier': 'disk' }));
  assert.ok(!sameCache({}, { 'bothy:cache_pool': 'fast', ...gib('1') }));
  assert.ok(sameCache({ 'bothy:cache_pool': 'fast', ...gib('1') }, { 'bothy:cache_pool': 'fast', ...gib('1.0') }));
});
