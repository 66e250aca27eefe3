import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheUse } from '../../../contract/host/index.ts';
import { newId } from '../../../contract/ids.ts';
import { addUse, missCurve, missRatioAt, noUse } from './use.ts';

const use = (changes: Partial<CacheUse>): CacheUse => ({
  ...{ run: newId(), reads: 0, misses: 0, promotedBytes: 0, warmings: 0, lastWarmingMs: null },
  ...{ generations: 0, againBytes: [0, 0], freshBytes: 0, ...changes },
});

test('what a host has counted is added once, goes on with its next life, and never goes back', () => {
  const first = use({ reads: 10, misses: 4, promotedBytes: 100, againBytes: [5, 0] });
  let totals = addUse(noUse, null, first);
  totals = addUse(totals, first, first);
  assert.deepEqual([totals.reads, totals.again_bytes], [10, [5, 0]]);
  const later = { ...first, reads: 15, againBytes: [5, 3], lastWarmingMs: 4000, warmings: 1 };
  totals = addUse(totals, first, later);
  assert.deepEqual([totals.reads, totals.again_bytes, totals.last_warming_ms], [15, [5, 3], 4000]);
  totals = addUse(totals, later, { ...later, reads: 3 });
  assert.equal(totals.reads, 15);
  totals = addUse(totals, later, use({ reads: 2 }));
  assert.deepEqual([totals.reads, totals.last_warming_ms], [17, 4000]);
});

test('the miss ratio falls with what was used in the generations before, and is flat where nothing is known', () => {
  const totals = { ...noUse, reads: 1000, misses: 100, again_bytes: [50, 25], fresh_bytes: 25 };
  const curve = missCurve(totals, 512);
  assert.deepEqual(curve, [
    { cache_bytes: 512, miss_ratio: 0.1 },
    { cache_bytes: 1024, miss_ratio: 0.05 },
    { cache_bytes: 1536, miss_ratio: 0.025 },
  ]);
  assert.ok(Math.abs(missRatioAt(curve, 1280)! - 0.0375) < 1e-9);
  assert.equal(missRatioAt(curve, 4096), 0.025);
  assert.equal(missRatioAt(curve, 100), 0.1);
  assert.deepEqual(missCurve(noUse, 512), []);
  assert.equal(missRatioAt([], 512), null);
});
