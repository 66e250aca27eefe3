import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverWarmed, warmedBy } from './warming.ts';

/** A look a second: the share of hits, in percent, of a thousand reads; null: nobody reads. */
const after = (hits: readonly (number | null)[]) =>
  hits.reduce<typeof neverWarmed>(
    (warming, share, at) =>
      warmedBy(warming, {
        ...{ sinceMs: at * 1000, atMs: (at + 1) * 1000, reads: share === null ? 0 : 1000 },
        misses: share === null ? 0 : 1000 - 10 * share,
      }),
    neverWarmed,
  );

test('a hot spot is warm when four of five reads are found, and its seconds count from its start', () => {
  assert.deepEqual(after([10, 40, 60, 82, 99]), { coldSinceMs: null, count: 1, lastMs: 4000 });
  assert.deepEqual(after([99, 99, 5, 30, 85]), { coldSinceMs: null, count: 1, lastMs: 3000 });
});

test('a little less is no new hot spot, and who reads nothing warms nothing', () => {
  assert.deepEqual(after([99, 70, 60, 99]), neverWarmed);
  assert.deepEqual(after([10, null, null, 90]), { coldSinceMs: null, count: 1, lastMs: 4000 });
  assert.equal(after([10, null]).coldSinceMs, 0);
});
