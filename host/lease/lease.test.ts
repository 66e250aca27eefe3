import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silent } from '../logger.ts';
import { bootTimeMs } from './clock.ts';
import { Lease, type LeaseState } from './lease.ts';

function lease(t: TestContext) {
  const clock = { ms: 1000 };
  const states: LeaseState[] = [];
  const ends: number[] = [];
  const made = new Lease({
    ...{ guard: { extended: (ms) => ends.push(ms) }, log: silent },
    onChange: (state) => states.push(state),
    now: () => clock.ms,
  });
  t.after(() => made.close());
  return { clock, states, ends, lease: made };
}

test('a lease lasts from when the host asked, however late the answer comes', (t) => {
  const { clock, lease: own } = lease(t);
  const asked = own.ask();
  clock.ms += 900;
  own.lent(asked, 1000);
  assert.equal(own.state, 'held');
  assert.equal(own.status.endsInMs, 100);
  clock.ms += 100;
  assert.equal(own.state, 'ended');
});

test('an answer that comes when its lease would be over lends nothing', (t) => {
  const { clock, states, lease: own } = lease(t);
  const asked = own.ask();
  clock.ms += 5000;
  own.lent(asked, 1000);
  assert.equal(own.state, 'none');
  assert.deepEqual(states, []);
});

test('what nobody asked lends nothing, and an older answer shortens nothing', (t) => {
  const { clock, lease: own } = lease(t);
  own.lent(17, 1000);
  assert.equal(own.state, 'none');
  t.mock.timers.enable({ apis: ['Date'], now: 500 });
  const first = own.ask();
  clock.ms += 300;
  t.mock.timers.setTime(800);
  const second = own.ask();
  own.lent(second, 1000);
  own.lent(first, 1000);
  assert.equal(own.status.endsInMs, 1000);
});

test('a clock that was set back says a time twice: the first time counts', (t) => {
  const { clock, lease: own } = lease(t);
  t.mock.timers.enable({ apis: ['Date'], now: 500 });
  own.ask();
  clock.ms += 400;
  own.lent(own.ask(), 1000);
  assert.equal(own.status.endsInMs, 600);
});

test('a machine that slept finds its lease ended before any timer says so', (t) => {
  const { clock, states, lease: own } = lease(t);
  t.mock.timers.enable({ apis: ['Date'], now: 500 });
  own.lent(own.ask(), 1000);
  clock.ms += 3_600_000;
  t.mock.timers.setTime(3_600_500);
  assert.equal(own.state, 'ended');
  assert.deepEqual(states, ['held', 'ended']);
  own.lent(own.ask(), 1000);
  assert.deepEqual(states, ['held', 'ended', 'held']);
});

test('a lease whose end the watchdog could not be told ends when the watchdog thinks it does', (t) => {
  const clock = { ms: 1000 };
  let full = false;
  const extended = () => {
    if (full) throw new Error('ENOSPC');
  };
  const own = new Lease({ guard: { extended }, log: silent, onChange() {}, now: () => clock.ms });
  t.after(() => own.close());
  own.renewed(1000);
  clock.ms += 500;
  full = true;
  assert.throws(() => own.renewed(1000), /ENOSPC/);
  clock.ms += 500;
  assert.equal(own.state, 'ended');
  full = false;
  own.renewed(1000);
  assert.equal(own.state, 'held');
});

test('the clock goes on', () => {
  const before = bootTimeMs();
  assert.ok(before > 0);
  assert.ok(bootTimeMs() >= before);
});
