/** That of each packet exactly one counter counts, and that what it counts is what all labels that name the packet want. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCidr, formatIp, parseCidr } from '../../kit/address.ts';
import { boxOf, type Counter, countersOf, counts, isWithin, type MeteredPrefixes, prefixesOf } from './prefixes.ts';

const egress = (source: string, destination = '0.0.0.0/0'): MeteredPrefixes => ({
  ...{ direction: 'egress', source, destination },
});
const box = (source: string, destination?: string) => boxOf(egress(source, destination));
const none = { remote_ip_prefix: null, source_ip_prefix: null, destination_ip_prefix: null };

/** The one that OVN takes. */
function taken(counters: readonly Counter[], packet: MeteredPrefixes): Counter | undefined {
  const naming = counters.filter((counter) => isWithin(boxOf(packet), boxOf(counter)));
  const best = Math.max(...naming.map(({ rank }) => rank));
  const first = naming.filter(({ rank }) => rank === best);
  assert.ok(first.length <= 1, `${JSON.stringify(packet)} is in ${JSON.stringify(first)}`);
  return first[0];
}

test('a remote prefix is of the side behind the router, and an end that is not named is any', () => {
  assert.deepEqual(prefixesOf({ ...none, direction: 'ingress', remote_ip_prefix: '10.0.0.7/24' }), {
    ...{ direction: 'ingress', source: '0.0.0.0/0', destination: '10.0.0.0/24' },
  });
  assert.deepEqual(
    prefixesOf({ ...none, direction: 'egress', remote_ip_prefix: '10.0.0.0/24' }),
    egress('10.0.0.0/24'),
  );
  assert.deepEqual(prefixesOf({ ...none, direction: 'egress', destination_ip_prefix: '2001:db8::/32' }), {
    ...{ direction: 'egress', source: '::/0', destination: '2001:db8::/32' },
  });
});

test('what two rules share has a counter of its own, above both', () => {
  const counters = countersOf([egress('10.0.0.0/24'), egress('10.0.0.0/8', '192.0.2.0/24'), egress('10.0.0.0/24')]);
  assert.deepEqual(
    counters.map(({ source, destination, rank }) => [source, destination, rank]),
    [
      ['10.0.0.0/24', '0.0.0.0/0', 24],
      ['10.0.0.0/24', '192.0.2.0/24', 48],
      ['10.0.0.0/8', '192.0.2.0/24', 32],
    ],
  );
});

test('directions and IP versions have nothing in common', () => {
  const all = { source: '0.0.0.0/0', destination: '0.0.0.0/0' };
  const six = { source: '::/0', destination: '::/0' };
  const counters = countersOf([
    { direction: 'ingress', ...all },
    { direction: 'egress', ...all },
    { direction: 'egress', ...six },
  ]);
  assert.equal(counters.length, 3);
});

test('a label counts what a rule names and none excludes', () => {
  const rule = (prefixes: MeteredPrefixes, excluded = false) => ({ ...boxOf(prefixes), excluded });
  const rules = [rule(egress('10.0.0.0/8')), rule(egress('10.0.0.0/24', '192.0.2.0/24'), true)];
  assert.equal(counts(rules, box('10.0.0.0/8')), true);
  assert.equal(counts(rules, box('10.0.0.0/24', '192.0.2.0/24')), false);
  assert.equal(counts(rules, box('10.0.0.0/24', '192.0.2.9/32')), false);
  assert.equal(counts(rules, box('10.9.0.0/24', '192.0.2.0/24')), true);
  assert.equal(counts(rules, box('11.0.0.0/24')), false);
  assert.equal(counts([], box('10.0.0.0/24')), false);
});

test('whatever rules there are, the counter that takes a packet is within every rule that names it, and within no other', () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  // Few bits, so that prefixes often meet.
  const address = () => BigInt(random(16)) << 28n;
  const prefix = () => formatCidr(parseCidr(`${formatIp(4, address())}/${random(5)}`)!);
  for (let round = 0; round < 60; round++) {
    const rules = Array.from({ length: 1 + random(8) }, () => egress(prefix(), prefix()));
    const counters = countersOf(rules);
    for (let n = 0; n < 40; n++) {
      const packet = egress(`${formatIp(4, address())}/32`, `${formatIp(4, address())}/32`);
      const naming = rules.filter((rule) => isWithin(boxOf(packet), boxOf(rule)));
      const counter = taken(counters, packet);
      assert.equal(counter !== undefined, naming.length > 0);
      if (counter)
        assert.deepEqual(
          rules.filter((rule) => isWithin(boxOf(counter), boxOf(rule))),
          naming,
        );
    }
  }
});
