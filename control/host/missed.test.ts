import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from '../kit/change-log/changes.ts';
import { Missed } from './missed.ts';

const changes = (count: number) => Array.from({ length: count }, (_, n) => ({ resource_id: String(n) }) as Change);

test('a stream misses what comes from the beginning of its reading to its end, and nothing else', () => {
  const missed = new Missed<string>();
  const [before, during, after] = [changes(1), changes(2), changes(3)];
  missed.saw(before);
  missed.begin('a');
  missed.saw(during);
  assert.deepEqual(missed.end('a'), during);
  missed.saw(after);
  assert.deepEqual([missed.end('a'), missed.end('never begun')], [[], []]);
});

test('of very many changes none is kept: all is compared', () => {
  const missed = new Missed<string>();
  missed.begin('a');
  for (let n = 0; n < 100; n++) missed.saw(changes(100));
  assert.equal(missed.end('a'), 'many');
});
