import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sweep } from './sweep.ts';

test('a sweep looks again when its look has ended, and never after it was stopped', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let looks = 0;
  let end = () => {};
  const look = () => {
    looks++;
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const sweep = new Sweep(look, { everyMs: 1000, log: { warn: () => {} }, what: 'the look' });
  sweep.start();
  t.mock.timers.tick(5000);
  assert.equal(looks, 1, 'the first one has not ended');
  end();
  await settled();
  t.mock.timers.tick(1200);
  assert.equal(looks, 2);
  // Stopped while it looks: the end of that look begins no other.
  sweep.stop();
  end();
  await settled();
  t.mock.timers.tick(5000);
  assert.equal(looks, 2);
});

test('a look that throws is logged, and the next one comes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const said: string[] = [];
  let looks = 0;
  const look = async () => {
    looks++;
    throw new Error('no database');
  };
  const log = { warn: (...given: unknown[]) => void said.push(String(given[1])) };
  const sweep = new Sweep(look, { everyMs: 1000, log, what: 'the look' });
  sweep.start();
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(1200);
  await new Promise((resolve) => setImmediate(resolve));
  sweep.stop();
  assert.equal(looks, 2);
  assert.deepEqual(said, Array(2).fill('the look failed, will be tried again'));
});
