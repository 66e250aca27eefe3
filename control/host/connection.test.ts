import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Account, Pace } from './connection.ts';

test('a flood of messages that say nothing is one, too', () => {
  const pace = new Pace(() => {}, new Account(() => 0));
  let read = 0;
  while (!pace.resting && read < 1e6) pace.run(() => void read++);
  assert.ok(read > 100_000 && read < 500_000, `${read} were read`);
});

test('who takes more of the process than its share is read no more until it has some again', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let now = 0;
  let changes = 0;
  const pace = new Pace(() => void changes++, new Account(() => now));
  const take = (ms: number) =>
    pace.run(() => {
      now += ms;
    });
  const pass = (ms: number) => {
    now += ms;
    mock.timers.tick(ms);
  };
  for (let messages = 0; messages < 49; messages++) take(100);
  assert.deepEqual([pace.resting, changes], [false, 0], 'a host that comes with all that it has is read');
  take(200);
  assert.deepEqual([pace.resting, changes], [true, 1]);
  pass(999);
  assert.equal(pace.resting, true);
  pass(30);
  assert.deepEqual([pace.resting, changes], [false, 2]);
  take(60_000);
  pass(5000);
  assert.equal(pace.resting, false, 'never for so long that it would be given up');
  take(1);
  assert.equal(pace.resting, true, 'what it owes it owes');
});

test('what a process that was stopped lost in the middle of a message its host does not owe', () => {
  let now = 0;
  const pace = new Pace(() => {}, new Account(() => now));
  pace.run(() => {
    now += 3_600_000;
  });
  assert.equal(pace.resting, false);
});

test('streams of one host that owes are read one at a time', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let now = 0;
  const account = new Account(() => now);
  for (let messages = 0; messages < 6; messages++) {
    account.spend(() => {
      now += 1000;
    });
  }
  const paces = Array.from({ length: 5 }, () => new Pace(() => {}, account));
  const read = () => paces.filter(({ resting }) => !resting);
  for (let seconds = 0; seconds < 20; seconds++) {
    now += 1000;
    mock.timers.tick(1000);
    assert.ok(read().length <= 1, `${read().length} are read`);
    for (const pace of read()) {
      pace.run(() => {
        now += 900;
      });
    }
  }
  now += 200_000;
  mock.timers.tick(200_000);
  assert.equal(read().length, 5);
});
