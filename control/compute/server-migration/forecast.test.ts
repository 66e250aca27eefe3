import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forecastOf } from './forecast.ts';

const mib = 2 ** 20;
const disks = { total: 1, copied: 1 };
const memory = {
  total: 256 * mib,
  remaining: 64 * mib,
  sent: 192 * mib,
  dirtied: 0,
  throughput: 32 * mib,
  throttle: 0,
};

test('what is not known yet has no forecast', () => {
  assert.equal(forecastOf(null), null);
  assert.equal(forecastOf({ disks }), null);
  assert.equal(forecastOf({ disks, memory }), null);
});

test('a memory that gets through says when it is there', () => {
  const forecast = forecastOf({ disks, memory, forecastMs: 2000 })!;
  assert.deepEqual([forecast.remaining_ms, forecast.fix], [2000, null]);
  assert.match(forecast.why, /writes to 0.0 MiB .* 32 MiB a second get through: the rest, 64 MiB, is there in 2 s/);
});

test('one that is written to faster says so, what is done about it and what it would cost to end it', () => {
  const forecast = forecastOf({ disks, memory: { ...memory, dirtied: 50 * mib, throttle: 20 }, forecastMs: null })!;
  assert.equal(forecast.remaining_ms, null);
  assert.match(forecast.why, /does not end; it is slowed down until that is enough \(by 20 %/);
  assert.match(forecast.fix!, /force_complete.* some 2 s/);
  const slowed = forecastOf({ disks, memory: { ...memory, dirtied: 50 * mib, throttle: 99 }, forecastMs: null })!;
  assert.match(slowed.why, /slowed down as far as can be/);
});
