import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forecastMs, progressOf } from './memory.ts';

test('a memory that is written to faster than it is sent has no forecast', () => {
  assert.equal(forecastMs({ remaining: 1000, dirtied: 0, throughput: 1000 }), 1000);
  assert.equal(forecastMs({ remaining: 1000, dirtied: 500, throughput: 1000 }), 2000);
  assert.equal(forecastMs({ remaining: 1000, dirtied: 1000, throughput: 1000 }), null);
});

test('what QEMU says of a memory is told in bytes', () => {
  const ram = { total: 8192, remaining: 4096, transferred: 5000, mbps: 8, 'dirty-pages-rate': 10, 'page-size': 4096 };
  assert.deepEqual(progressOf({ status: 'active', ram, 'cpu-throttle-percentage': 20 }), {
    memory: { total: 8192, remaining: 4096, sent: 5000, dirtied: 40_960, throughput: 1_000_000, throttle: 20 },
    forecastMs: 5,
  });
  assert.deepEqual(progressOf({ status: 'setup' }), {});
});
