import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newOrderedId } from '../../contract/ids.ts';
import { inTurns } from './certify.ts';

test('certificates are signed two at a time, and a crowd is refused', async () => {
  let [signing, most, signed] = [0, 0, 0];
  const certify = inTurns(async () => {
    most = Math.max(most, ++signing);
    await new Promise((resolve) => setImmediate(resolve));
    signing--;
    signed++;
    return { certificate: '', ca: '' };
  });
  const wish = { hostId: newOrderedId(), addresses: [], csr: '' } as never;
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => certify(wish)));
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
  assert.deepEqual([most, signed, new Set(refused)], [2, 100 - refused.length, new Set(['unavailable'])]);
  assert.ok(refused.length > 50);
  await certify(wish);
});
