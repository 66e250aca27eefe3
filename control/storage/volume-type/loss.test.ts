import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lossesOf } from './loss.ts';

const cache = { 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' };

test('a type says what its volumes may lose: in memory, in a cache that writes back, and nothing in one that writes through', () => {
  assert.deepEqual(lossesOf({}), []);
  assert.deepEqual(lossesOf({ 'bothy:tier': 'disk', durable: '<is> True' }), []);
  assert.deepEqual(lossesOf({ 'bothy:tier': '<or> disk <or> ram' }), ['memory']);
  assert.deepEqual(lossesOf({ durable: '<is> False' }), ['memory']);
  assert.deepEqual(lossesOf(cache), ['cache']);
  assert.deepEqual(lossesOf({ 'bothy:cache_tier': 'ram', 'bothy:cache_gib': '1' }), ['cache_in_memory']);
  assert.deepEqual(lossesOf({ ...cache, 'bothy:cache_policy': 'write-through' }), ['copies']);
  assert.deepEqual(lossesOf({ ...cache, 'bothy:tier': 'ram' }), ['memory', 'cache']);
  assert.deepEqual(lossesOf({ 'bothy:cache_pool': 'fast' }), [], 'not all is said yet');
});
