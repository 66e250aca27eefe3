import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch } from './batch.ts';

test('what comes while as many batches are at work as may be is answered together, so many at a time, in its order', async () => {
  const done: number[][] = [];
  const batch = new Batch<number, string>(
    async (items) => {
      done.push([...items]);
      return items.map((item) => `${item}!`);
    },
    { most: 3, atOnce: 2 },
    (item) => item,
  );
  const answers = await Promise.all([1, 2, 3, 4, 5].map((item) => batch.ask(item)));
  assert.deepEqual(answers, ['1!', '2!', '3!', '4!', '5!']);
  assert.deepEqual(done, [[1], [2], [3, 4, 5]]);
  assert.equal(await batch.ask(6), '6!');
});

test('who asks again and again has one place: others are answered meanwhile, and it is in its turn', async () => {
  const gate = Promise.withResolvers<void>();
  const done: string[] = [];
  const batch = new Batch<string, string>(
    async (items) => {
      if (items.some((item) => item.startsWith('a'))) await gate.promise;
      done.push(items.join());
      return items;
    },
    { most: 2, atOnce: 2 },
    (item) => item[0],
  );
  const often = ['a1', 'a2', 'a3'].map((item) => batch.ask(item));
  assert.deepEqual(await Promise.all([batch.ask('b1'), batch.ask('c1')]), ['b1', 'c1']);
  gate.resolve();
  await Promise.all(often);
  assert.deepEqual(done.slice(-3), ['a1', 'a2', 'a3']);
});

test('one that fails takes no other with it', async () => {
  const batch = new Batch<number, number>(
    async (items) => {
      if (items.includes(3)) throw new Error('not three');
      return items.map((item) => item * 2);
    },
    { most: 10, atOnce: 1 },
    (item) => item,
  );
  const answers = await Promise.allSettled([1, 2, 3, 4].map((item) => batch.ask(item)));
  assert.deepEqual(
    answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason.message)),
    [2, 4, 'not three', 8],
  );
});
