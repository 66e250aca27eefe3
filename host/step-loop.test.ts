import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { HostFault } from './host-error.ts';
import { type LoopOwner, ProcessDied, StepLoop, Superseded } from './step-loop.ts';

type Wish = { presence: 'present' | 'absent'; generation: number };

/** A loop over one wish, whose passes are what a test says; what is told is kept. */
function looping(pass: (wish: Wish, loop: StepLoop<Wish>) => Promise<void>, options: Partial<LoopOwner<Wish>> = {}) {
  let wish: Wish = { presence: 'present', generation: 1 };
  const told: string[] = [];
  const loop: StepLoop<Wish> = new StepLoop<Wish>(
    {
      begin: () => ({ desired: wish }),
      pass: (desired) => pass(desired, loop),
      givesUp: ({ permanent }) => permanent,
      failed: (_, end) => void told.push(end),
      died: () => void told.push('died'),
      ...options,
    },
    {
      ...{ what: 'thing', named: { thingId: '1' }, log: pino({ level: 'silent' }) },
      limits: { retryFirstMs: 1000, retryMaxMs: 60_000 },
    },
  );
  const want = (another: Wish) => {
    wish = another;
    loop.anew();
    loop.wake();
  };
  return { loop, told, want };
}

test('a step that may go on at once is followed by another look, and what rests is looked at no more until it is woken', async () => {
  let passes = 0;
  const { loop } = looping(async () => {
    passes++;
    if (passes < 3) loop.next(undefined);
    else loop.rest();
  });
  loop.wake();
  await loop.ended();
  assert.equal(passes, 3);
  assert.ok(loop.idle);
  loop.wake();
  await loop.ended();
  assert.equal(passes, 4);
});

test('a step that fails is tried again after a while, and not before, whoever wakes it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let passes = 0;
  const { loop, told } = looping(async () => {
    if (++passes === 1) throw new Error('no room');
    loop.rest();
  });
  loop.wake();
  await loop.ended();
  assert.deepEqual([told, loop.error?.message], [['tried again'], 'no room']);
  loop.wake();
  await loop.ended();
  assert.equal(passes, 1);
  loop.close();
});

test('what is given up is left alone until it shall be another thing, or be gone', async () => {
  let passes = 0;
  const { loop, told, want } = looping(async ({ generation }) => {
    passes++;
    if (generation === 1) throw new HostFault('conflict', 'it can not be', { permanent: true });
    loop.rest();
  });
  loop.wake();
  await loop.ended();
  loop.wake();
  await loop.ended();
  assert.deepEqual([passes, told, loop.gaveUp], [1, ['given up'], true]);
  want({ presence: 'present', generation: 2 });
  await loop.ended();
  assert.deepEqual([passes, loop.gaveUp, loop.error], [2, false, undefined]);
});

test('work that nobody wants any more is no failure', async () => {
  let passes = 0;
  const { loop, told } = looping(async () => {
    if (++passes === 1) throw new Superseded();
    loop.rest();
  });
  loop.wake();
  await loop.ended();
  assert.deepEqual([passes, told], [2, []]);
});

test('who is woken in the middle of a pass looks again, and after a death does nothing more', async () => {
  let passes = 0;
  const { loop, told } = looping(async () => {
    if (++passes === 1) return loop.wake();
    throw new ProcessDied('after a step');
  });
  loop.wake();
  await loop.ended();
  assert.deepEqual([passes, told], [2, ['died']]);
  loop.close();
  loop.wake();
  assert.ok(loop.idle);
});
