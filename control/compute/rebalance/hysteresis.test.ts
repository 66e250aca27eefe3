import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after, atRest } from './hysteresis.ts';

const limits = { upper: 0.2, lower: 0.1, holdMs: 100 };
/** What comes of a host that is so far above at these times: 1 where it is relieved. */
function levelling(seen: [now: number, above: number][]): number[] {
  let state = atRest;
  return seen.map(([now, above]) => {
    state = after(state, { above }, { now, ...limits });
    return Number(state.levelling);
  });
}

test('a host must be too full for a while, and is relieved until it is well below', () => {
  const seen = levelling([
    ...([
      [0, 0.3],
      [99, 0.3],
      [100, 0.3],
      [110, 0.15],
      [120, 0.11],
      [130, 0.1],
    ] as [number, number][]),
    ...([
      [140, 0.15],
      [150, 0.19],
    ] as [number, number][]),
  ]);
  assert.deepEqual(seen, [0, 0, 1, 1, 1, 0, 0, 0]);
});

test('one that is too full for moments, again and again, is left alone', () => {
  const seen = Array.from({ length: 20 }, (_, n): [number, number] => [n * 60, n % 2 ? 0.1 : 0.5]);
  assert.ok(levelling(seen).every((each) => each === 0));
});
