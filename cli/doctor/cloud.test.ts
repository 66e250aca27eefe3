import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkClocks } from './cloud.ts';

const statuses = (...offsets: number[]) =>
  checkClocks(offsets.map((offsetMs, index) => ({ of: `host ${index}`, offsetMs }))).map(({ status }) => status);

test('a clock more than one second off is a warning, more than five a problem, to either side', () => {
  assert.deepEqual(statuses(0, 999, -1000), ['ok']);
  assert.deepEqual(statuses(3, 1001, -1001), ['ok', 'warning', 'warning']);
  assert.deepEqual(statuses(5001, -3_600_000, 5000), ['problem', 'problem', 'warning']);
  assert.deepEqual(statuses(), []);
});

test('a wrong clock is named with how far it is off, to which side, and the cure', () => {
  const [right, wrong] = checkClocks([
    { of: 'PostgreSQL', offsetMs: -2 },
    { of: 'host 小屋', offsetMs: -7260 },
  ]);
  assert.equal(right!.detail, "PostgreSQL: within 2 ms of this machine's");
  assert.equal(wrong!.check, 'clock of host 小屋');
  assert.equal(wrong!.detail, "7.3 s behind this machine's");
  assert.match(wrong!.cure, /chrony/);
});
