import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelReport } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { checkTunnelPaths } from './tunnels.ts';

const well: TunnelReport = { peers: 3, tried: 3, oldestMs: 9100, broken: [], faults: 0 };
const broken = (at: number, fault: 'silent' | 'narrow') => ({
  ...{ hostId: `h${at}` as HostId, address: `10.9.0.${at}`, fault },
});

test('of a host without tunnels, or without others, there is nothing to say', () => {
  for (const none of [undefined, null, { ...well, peers: 0 }]) assert.deepEqual(checkTunnelPaths(none, 1500), []);
});

test('tunnels that carry whole frames are told with how old that is', () => {
  const [found] = checkTunnelPaths(well, 1520);
  assert.equal(found!.status, 'ok');
  assert.equal(found!.detail, '3 of 3 tried with whole frames (1520 bytes), the oldest try 9 s ago');
  assert.equal(checkTunnelPaths({ ...well, tried: 0, oldestMs: null }, 1500)[0]!.status, 'warning');
});

test('each fault is a problem with its cure, and the ends are named', () => {
  const findings = checkTunnelPaths({ ...well, faults: 2, broken: [broken(2, 'silent'), broken(3, 'narrow')] }, 1500);
  assert.deepEqual(
    findings.map(({ status }) => status),
    ['problem', 'problem'],
  );
  assert.match(findings[0]!.detail, /nothing comes back from 10\.9\.0\.2 \(host h2\)/);
  assert.match(findings[0]!.cure, /UDP 6081/);
  assert.match(findings[1]!.detail, /short frames come back from 10\.9\.0\.3/);
  assert.match(findings[1]!.cure, /packets of 1500 bytes/);
  const many = { ...well, faults: 5, broken: [1, 2, 3, 4, 5].map((at) => broken(at, 'silent')) };
  assert.match(checkTunnelPaths(many, 1500)[0]!.detail, /and 2 more/);
});
