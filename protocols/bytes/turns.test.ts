import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

let now = 0;
/** Work that has the processor for that long. */
const busy = (ms: number) => {
  now += ms;
};

test('what little there is to do is done at once', () => {
  const done: number[] = [];
  const turns = new Turns(() => now);
  turns.take(() => done.push(1));
  turns.take(() => done.push(2));
  assert.deepEqual(done, [1, 2]);
});

test('between two bits of heavy work everything else gets its turn, and each stream as often as the others', async () => {
  const turns = new Turns(() => now);
  const done: string[] = [];
  const streams = ['a', 'b', 'c'].map((name) => {
    let left = 4;
    const step = () => {
      busy(2);
      done.push(name);
      if (--left > 0) turns.take(step);
    };
    return step;
  });
  const ended = new Promise<void>((resolve) => {
    const look = () => {
      if (done.filter((name) => name !== '.').length === 12) return resolve();
      done.push('.');
      setImmediate(look);
    };
    for (const step of streams) turns.take(step);
    look();
  });
  await ended;
  const text = done.join('');
  assert.doesNotMatch(text, /[abc]{3}/, 'at most the end of one turn and the begin of the next');
  const count = (name: string, at: number) => done.slice(0, at).filter((each) => each === name).length;
  for (let at = 1; at <= done.lastIndexOf('a'); at++) {
    assert.ok(Math.abs(count('a', at) - count('c', at)) <= 2, `served alike: ${text}`);
  }
});
