import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLimits } from '../../contract/host/index.ts';
import { networkBandwidths } from './network-bandwidth.ts';

test('what cards give is said for each network and direction', () => {
  assert.deepEqual(networkBandwidths(' physnet1:10000:20000, tunnels:5::'.slice(0, -1)), [
    { physicalNetwork: 'physnet1', egressKbps: 10_000, ingressKbps: 20_000 },
    { physicalNetwork: null, egressKbps: 5, ingressKbps: 0 },
  ]);
  assert.deepEqual(networkBandwidths(''), []);
});

test('a setting that says a network twice, or no number, is wrong', () => {
  for (const wrong of [
    'physnet1',
    'physnet1:1',
    'a:1:1,a:2:2',
    'a:x:1',
    'a:1:1,',
    ':1:1',
    'a:-1:1',
    'a:1:99999999999',
  ]) {
    assert.equal(networkBandwidths(wrong), null, wrong);
  }
});

test('more networks than a host may tell control of are refused where they are said, not by control', () => {
  const say = (count: number) => networkBandwidths(Array.from({ length: count }, (_, n) => `net${n}:1:1`).join(','));
  assert.equal(say(hostLimits.bandwidths)!.length, hostLimits.bandwidths);
  assert.equal(say(hostLimits.bandwidths + 1), null);
});
