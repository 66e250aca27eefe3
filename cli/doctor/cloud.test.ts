import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkClocks, checkReconciliation } from './cloud.ts';

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

const reconciled = {
  desired: { known: true },
  network: { started: true, problem: null },
  ...{ servers: 2, guests: 2, lastSweep: null, observed: [] },
} as unknown as Parameters<typeof checkReconciliation>[0];

test('a guest that stands still because its disk is full is named, though it has not failed', () => {
  const error = { code: 'guest_paused', message: 'the guest waits for its disk: there is no room for volume v1' };
  const observed = [
    { id: 's1', state: 'running', error },
    { id: 's2', state: 'running', error: null },
  ] as unknown as typeof reconciled.observed;
  const { status, detail, cure } = checkReconciliation({ ...reconciled, observed });
  assert.equal(status, 'warning');
  assert.match(detail, /1 tried again: s1: the guest waits for its disk: there is no room for volume v1/);
  assert.match(cure, /goes on by itself/);
  assert.equal(checkReconciliation(reconciled).status, 'ok');
});

test('a network that cannot be started says why', () => {
  const network = { ...reconciled.network, started: false, problem: 'the kernel has none' };
  const { status, detail } = checkReconciliation({ ...reconciled, network });
  assert.deepEqual([status, /tries again: the kernel has none/.test(detail)], ['problem', true]);
});
