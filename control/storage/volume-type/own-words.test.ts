import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../../contract/errors.ts';
import { requireOwnWords } from './own-words.ts';

const refused = (specs: Record<string, string>): boolean => {
  try {
    requireOwnWords(specs);
    return false;
  } catch (error) {
    if (isCloudError(error) && error.code === 'invalid') return true;
    throw error;
  }
};

test('a key or a tier that is misspelt is refused with the type, not found by its volumes', () => {
  for (const [key, value] of [
    ['bothy:tier', 'gold'],
    ['bothy:tier', ''],
    ['bothy:tier', 'flash disk'],
    ['bothy:tier', '<or>'],
    ['bothy:tiers', 'flash'],
    ['bothy:cache', 'yes'],
    ['bothy:cache_size', '1'],
  ] as const)
    assert.ok(refused({ [key]: value }), `${key}=${value}`);
});

test('tiers, operators on them, an administrator’s own words and everybody else’s keys pass', () => {
  for (const [key, value] of [
    ['bothy:tier', 'ram'],
    ['bothy:tier', '<or> ram <or> flash'],
    ['bothy:tier', 's!= ram'],
    ['bothy:cache_gib', '1'],
    ['bothy:durability', 'Nothing is lost.'],
    ['volume_backend_name', 'local'],
    ['vendor:tier', 'gold'],
  ] as const)
    assert.ok(!refused({ [key]: value }), `${key}=${value}`);
});

test('what an older type says stays until it is changed', () => {
  requireOwnWords({ 'bothy:tier': 'gold', description: 'x' }, { 'bothy:tier': 'gold' });
  assert.throws(() => requireOwnWords({ 'bothy:tier': 'silver' }, { 'bothy:tier': 'gold' }), isCloudError);
});
