import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from '../../contract/secret.ts';
import { Sealer } from './sealing.ts';

const key = () => new Secret(randomBytes(32));

test('what is sealed opens again with the key that sealed it, also when a newer one seals, and tells nothing', () => {
  const [old, young] = [key(), key()];
  const sealed = new Sealer([old]).seal('小屋 secret', 'row');
  assert.equal(new Sealer([young, old]).open(sealed, 'row'), '小屋 secret');
  assert.ok(!sealed.includes('secret'));
  assert.ok(!sealed.equals(new Sealer([old]).seal('小屋 secret', 'row')), 'never twice the same');
});

test('what was altered, moved to another row or sealed with a key that is gone does not open', () => {
  const sealer = new Sealer([key()]);
  const sealed = sealer.seal('secret', 'row');
  assert.throws(() => sealer.open(sealed, 'another row'));
  const altered = Buffer.from(sealed);
  altered[altered.length - 1]! ^= 1;
  assert.throws(() => sealer.open(altered, 'row'));
  assert.throws(() => new Sealer([key()]).open(sealed, 'row'), { code: 'unavailable', reason: 'sealing_key_missing' });
  assert.throws(() => new Sealer([]).seal('secret', 'row'), { code: 'unavailable' });
});
