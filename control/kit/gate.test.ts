import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from './gate.ts';

test('so many are inside at a time, in the order in which they came, and whoever fails makes room', async () => {
  const gate = new Gate(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const all = ends.map(({ promise }, n) =>
    gate.run(() => {
      begun.push(n);
      return promise;
    }),
  );
  const results = Promise.allSettled(all);
  assert.deepEqual(begun, [0, 1]);
  ends[1]!.reject(new Error('failed'));
  await Promise.allSettled([all[1]]);
  assert.deepEqual(begun, [0, 1, 2]);
  for (const { resolve } of ends) resolve();
  assert.deepEqual(
    (await results).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
});
