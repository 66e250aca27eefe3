import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSampled, remembered, reuseOf } from './reuse.ts';

/** Generations of so many clusters each, filled by a load whose curve is known; what is sampled of them. */
function sampled(generations: readonly (readonly number[])[], every: number): ReadonlySet<number>[] {
  return generations.map((clusters) => new Set(clusters.filter((cluster) => isSampled(cluster, every))));
}

function sumOf(generations: readonly ReadonlySet<number>[], every: number) {
  const sums = { again: Array.from({ length: remembered }, () => 0), fresh: 0 };
  for (const [at, clusters] of generations.entries()) {
    const { again, fresh } = reuseOf(clusters, generations.slice(Math.max(0, at - remembered), at).toReversed(), every);
    again.forEach((clusters, k) => {
      sums.again[k]! += clusters;
    });
    sums.fresh += fresh;
  }
  return sums;
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at);

test('a load that goes round finds again what was as many generations before as it needs for a round', () => {
  const [generation, round] = [4096, 3];
  const generations = range(0, 12).map((at) => range((at % round) * generation, generation));
  for (const every of [1, 2]) {
    const { again, fresh } = sumOf(sampled(generations, every), every);
    const all = 12 * generation;
    const share = (clusters: number) => clusters / all;
    // Sampled, every share is right within 1/√ of what was looked at.
    const near = (clusters: number, wanted: number) =>
      assert.ok(
        Math.abs(share(clusters) - wanted) <= (every === 1 ? 0 : Math.sqrt(every / generation)),
        `${share(clusters)}`,
      );
    near(fresh, round / 12);
    near(again[round - 1]!, (12 - round) / 12);
    assert.equal(
      again.every((clusters, k) => k === round - 1 || clusters === 0),
      true,
    );
  }
});

test('what is hot comes again at once, and what is read once never does', () => {
  const [generation, hot] = [8192, 2048];
  const generations = range(0, 9).map((at) => [
    ...range(0, hot),
    ...range(100_000 + at * generation, generation - hot),
  ]);
  const { again, fresh } = sumOf(sampled(generations, 4), 4);
  const all = 9 * generation;
  assert.ok(Math.abs(again[0]! / all - (8 * hot) / all) < 0.03, `${again[0]! / all}`);
  assert.equal(again[1], 0);
  assert.ok(Math.abs(fresh / all - (all - 8 * hot) / all) < 0.03);
});

test('neighbours are sampled alike, and the same ones each time', () => {
  const taken = range(0, 100_000).filter((cluster) => isSampled(cluster, 16));
  assert.ok(Math.abs(taken.length - 100_000 / 16) < 400, `${taken.length}`);
  const dense = range(5000, 1000).filter((cluster) => isSampled(cluster, 16));
  assert.ok(dense.length > 30 && dense.length < 100, `${dense.length}`);
});
