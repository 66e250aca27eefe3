import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Verdict, verdictsOf } from './stestr.ts';
import { page, runAgain } from './table.ts';

const verdict = (id: string, outcome: Verdict['outcome'], reason = ''): Verdict => ({
  ...{ id, outcome, seconds: 1, reason },
});

test('every id that was asked for has one verdict: its own, that of its class, or that it was never reported', () => {
  const ids = [
    'a.api.image.Own.test_1',
    'a.api.image.Skipped.test_1',
    'a.api.image.Lost.test_1',
    'a.api.image.Own.test_2',
    'a.api.image.Own.test_3(in)',
    'a.api.image.Own.test_3(out)',
    'a.api.image.Skipped.test_2(in)',
  ];
  const found = verdictsOf(ids, [
    verdict('a.api.image.Own.test_1[id-1,smoke]', 'pass'),
    verdict('setUpClass (a.api.image.Own)', 'pass'),
    verdict('setUpClass (a.api.image.Skipped)', 'skip', 'no volumes'),
    verdict('a.api.image.Other.test_1', 'pass'),
    verdict('a.api.image.Own.test_3[id-2](in)', 'pass'),
    verdict('a.api.image.Own.test_3[id-2](out)', 'fail', 'odd'),
  ]);
  assert.deepEqual(
    found.map(({ id, outcome, reason }) => [id, outcome, reason]),
    [
      [ids[0], 'pass', ''],
      [ids[1], 'skip', 'no volumes'],
      [ids[2], 'fail', 'never reported'],
      [ids[3], 'fail', 'never reported'],
      [ids[4], 'pass', ''],
      [ids[5], 'fail', 'odd'],
      [ids[6], 'skip', 'no volumes'],
    ],
  );
});

test('the page counts by area and tells of each that does not pass why, or that nobody has looked', () => {
  const verdicts = [
    verdict('a.api.image.X.test_1', 'pass'),
    verdict('a.api.image.X.test_volume', 'fail', 'no such service'),
    verdict('a.api.compute.Y.test_1', 'skip', 'an <odd> one'),
  ];
  const text = page([{ title: 'T', date: 'd', commit: 'c', verdicts }], [{ pattern: /volume/, text: 'needs volumes' }]);
  assert.match(text, /\| image \| 2 \| 1 \| 1 \| 0 \|/);
  assert.match(text, /needs volumes \(1\):\n\n- `a\.api\.image\.X\.test_volume`/);
  const more = page([], [], [{ which: 'functional.x.v1', ids: 3, text: 'is gone' }]);
  assert.match(more, /what is not asked, and why\n\n- `functional\.x\.v1` \(3\): is gone/);
  assert.match(text, /not looked into: an \\<odd\\> one \(1\):\n\n- `a\.api\.compute\.Y\.test_1` \(skipped\)/);
});

test('what some ids found when they were run again is on the page, with when that was', () => {
  const whole = { title: 'T', date: 'd', commit: 'c', verdicts: [verdict('a.api.x.X.1', 'skip', 'not there')] };
  const known = { ...whole, verdicts: [...whole.verdicts, verdict('a.api.x.X.2', 'fail', 'broken')] };
  const again = [verdict('a.api.x.X.1', 'pass'), verdict('a.api.x.X.3', 'pass')];
  const text = page([runAgain(known, { ...whole, date: 'e', commit: 'f', verdicts: again })], []);
  assert.match(text, /^\| T, d, `c`; 2 of them e, `f` \| \*\*all\*\* \| 3 \| 2 \| 1 \| 0 \|$/m);
});
