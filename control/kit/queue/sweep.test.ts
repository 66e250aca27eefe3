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
  const sweep = new Sweep(look, { everyMs: 1000 });
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
