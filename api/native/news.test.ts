import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change, Position } from '../../control/kit/change-log/changes.ts';
import { News } from './news.ts';

const at = (transactionId: number, sequence = 0, incarnation = 'a'): Position => ({
  ...{ incarnation, transactionId: BigInt(transactionId), sequence },
});
const change = (transactionId: number, sequence: number) => ({ position: at(transactionId, sequence) }) as Change;
const numbers = (taken: ReturnType<News['take']>) =>
  taken?.changes.map(({ position: { transactionId, sequence } }) => `${transactionId}.${sequence}`);

test('a watcher that has seen all before a page takes it, and of one that it has seen in part the rest', () => {
  const news = new News();
  news.put([change(5, 1), change(5, 2)], { after: at(5), end: at(7) });
  news.put([change(8, 3)], { after: at(7), end: at(9) });
  const first = news.take(at(5, 1));
  assert.deepEqual(numbers(first), ['5.2']);
  assert.ok(news.waiting, 'the second page is not forgotten by who has taken the first');
  assert.deepEqual(numbers(news.take(first!.end)), ['8.3']);
  assert.ok(!news.waiting);
  assert.equal(news.take(at(9)), undefined);
});

test('a watcher that has seen a page already does not get it again, and one that is behind it must read the log', () => {
  const news = new News();
  news.put([change(5, 1)], { after: at(5), end: at(7) });
  assert.equal(news.take(at(7)), undefined);
  news.put([change(8, 1)], { after: at(8), end: at(9) });
  assert.equal(news.take(at(7)), undefined);
  assert.equal(news.take(at(8)), undefined, 'what was skipped is not kept');
});

test('pages of another incarnation of the database are nobody’s, and what waits for one watcher is bounded', () => {
  const news = new News();
  news.put([change(5, 1)], { after: at(5), end: at(7) });
  assert.equal(news.take(at(5, 0, 'b')), undefined);
  const many = Array.from({ length: 501 }, (_, n) => change(8, n));
  news.put(many, { after: at(8), end: at(9) });
  assert.equal(news.take(at(8)), undefined);
});

test('a watcher that writes while too much comes to be held for it is told that the log has more', () => {
  const news = new News();
  news.put([change(5, 1)], { after: at(5), end: at(7) });
  news.put([change(8, 1)], { after: at(7), end: at(9) });
  const { end } = news.take(at(5))!;
  // Nothing of this concerns the watcher, so nothing but `waiting` sends it on; what does was dropped with it.
  const many = Array.from({ length: 501 }, (_, n) => change(10, n));
  news.put(many, { after: at(9), end: at(11) });
  assert.ok(news.waiting);
  assert.equal(news.take(end), undefined, 'the log is read');
  assert.ok(!news.waiting);
});
