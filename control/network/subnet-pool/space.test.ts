/** Sets of addresses, held against sets of single addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCidr, parseCidr, rangeOf } from '../../kit/address.ts';
import { compact, cut, haveCommon, isWithin, minus } from './space.ts';

const addresses = (cidrs: readonly string[]): Set<bigint> =>
  new Set(
    cidrs.flatMap((text) => {
      const { first, last } = rangeOf(parseCidr(text)!);
      return Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i));
    }),
  );

/** Always the same numbers: a test that fails fails again. */
function* numbers(): Generator<number, never> {
  for (let x = 12345; ; ) {
    x = (x * 1103515245 + 12345) % 2 ** 31;
    yield x >>> 8;
  }
}

test('sets of prefixes are the sets of their addresses, whatever is in them', () => {
  const random = numbers();
  const some = (count: number) =>
    Array.from({ length: count }, () => {
      const prefixLength = 25 + (random.next().value % 8);
      return formatCidr(parseCidr(`10.0.${random.next().value % 2}.${random.next().value % 256}/${prefixLength}`)!);
    });
  for (let round = 0; round < 200; round++) {
    const [a, b] = [some(round % 6), some((round % 4) + 1)];
    const [inA, inB] = [addresses(a), addresses(b)];
    assert.deepEqual(
      [...addresses(compact(4, a))],
      [...inA].toSorted((x, y) => (x < y ? -1 : 1)),
    );
    const left = minus(4, a, b);
    assert.deepEqual(addresses(left), inA.difference(inB));
    assert.equal(new Set(left).size, left.length);
    assert.equal(isWithin(a, b), inA.isSubsetOf(inB));
    assert.equal(haveCommon(a, b), !inA.isDisjointFrom(inB));
  }
});

test('neighbours become one prefix, also where they are the whole of an address family', () => {
  assert.deepEqual(compact(4, ['10.1.0.0/16', '10.0.0.0/16', '10.0.5.0/24']), ['10.0.0.0/15']);
  assert.deepEqual(compact(6, ['::/1', '8000::/1']), ['::/0']);
  assert.deepEqual(minus(6, ['2001:db8::/63'], ['2001:db8::/64']), ['2001:db8:0:1::/64']);
});

test('a prefix is cut from the smallest free one that has room for it', () => {
  const free = ['10.0.0.0/8', '10.200.0.0/24', '10.201.0.0/25'];
  assert.equal(cut(4, free, 25), '10.201.0.0/25');
  assert.equal(cut(4, free, 24), '10.200.0.0/24');
  assert.equal(cut(4, free, 23), '10.0.0.0/23');
  assert.equal(cut(4, free, 7), undefined);
});
