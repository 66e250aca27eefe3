import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProjectionStatus } from '../../control/kit/projection/index.ts';
import { projectionPart, replicaParts, survivalParts } from './control-health.ts';

const inStep: ProjectionStatus = {
  role: 'leader',
  lastPass: null,
  lagMs: null,
  connected: true,
  connectionError: null,
  databaseError: null,
  failures: [],
  pending: 0,
  drift: 0,
  kept: 0,
  lastFullPass: null,
};

test('a start does not wait for networks that only bothy recover can decide about', () => {
  const kept = projectionPart({ ...inStep, kept: 12 });
  assert.deepEqual([kept.ok, kept.forPeople], [false, true]);
  assert.match(kept.cure ?? '', /bothy recover/);
});

test('a start waits for a projection that is not connected, fails, or cannot read, whatever it keeps besides', () => {
  for (const trouble of [
    { connected: false },
    { databaseError: 'no answer' },
    { failures: [{ unit: 'networks', error: 'refused' }] },
  ]) {
    const part = projectionPart({ ...inStep, kept: 12, ...trouble } as ProjectionStatus);
    assert.deepEqual([part.ok, part.forPeople], [false, undefined]);
  }
  assert.equal(projectionPart(inStep).ok, true);
});

test('which OVN it is is told, and what follows from what it lacks', () => {
  const lacks = [
    { feature: 'dhcpv6_fqdn', without: 'servers could not be told their own name by DHCPv6' },
    { feature: 'acl_sampling', without: 'nothing could tell what is dropped' },
  ] as const;
  const old = projectionPart(inStep, { version: '23.03.1-20.27.0-70.6', lacks });
  assert.match(
    old.detail,
    /; OVN 23\.03\.1, with which servers could not be told .* DHCPv6, and nothing could tell what is dropped$/,
  );
  assert.equal(old.ok, true, 'it is nothing to be mended');
  assert.match(projectionPart(inStep, { version: '24.09.1', lacks: [] }).detail, /; OVN 24\.09\.1$/);
  assert.match(projectionPart(inStep, { version: null, lacks: [] }).detail, /; an OVN that has not said its version$/);
});

test('servers that shall be restarted elsewhere and would not be are a finding for people, the worst loss first, and no start waits for it', () => {
  assert.deepEqual(survivalParts([]), []);
  const parts = survivalParts([
    { loss: { kind: 'host', name: 'a' }, servers: 1, change: null },
    { loss: { kind: 'rack', name: '7' }, servers: 5, change: '3 more vCPUs on c' },
  ]);
  assert.deepEqual(
    parts.map(({ ok, detail, cure, forPeople }) => [ok, detail, cure, forPeople]),
    [
      [
        false,
        '5 servers that shall be restarted elsewhere would stay down with rack 7',
        '3 more vCPUs on c; see GET /native/v1/survival',
        true,
      ],
      [
        false,
        '1 servers that shall be restarted elsewhere would stay down with host a',
        'their disks are there alone; see GET /native/v1/survival',
        true,
      ],
    ],
  );
});

test('late replicas are a finding for people, with the reason and where to look, and no start waits for them', () => {
  assert.deepEqual(replicaParts({ replicas: 7, late: 0, out_of_sync: 0, why: null }), []);
  const parts = replicaParts({ replicas: 7, late: 2, out_of_sync: 0, why: 'The host of the replica is away.' });
  assert.deepEqual(parts, [
    {
      ...{ name: 'replicas', ok: false, forPeople: true },
      detail: '2 of 7 replicas of volumes are older than they shall be: The host of the replica is away.',
      cure: 'GET /native/v1/volume-replicas?late=true says which and why',
    },
  ]);
  assert.match(replicaParts({ replicas: 7, late: 1, out_of_sync: 0, why: null })[0]!.detail, /rounds take too long$/);
  assert.match(
    replicaParts({ replicas: 7, late: 0, out_of_sync: 2, why: null })[0]!.detail,
    /^2 volumes .* second copy/,
  );
});
