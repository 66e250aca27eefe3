/** What proves that a guest does not run on a host that is silent, and what only looks like it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bound, evidenceOf, type SilentHost } from './evacuation-evidence.ts';

const now = new Date('2026-01-01T00:00:10Z');
const off: SilentHost = {
  ...{ id: 'one', name: 'one', connected: false, forced_down: false, forced_down_by: null, now },
  last_seen_at: new Date('2026-01-01T00:00:00Z'),
  lease_ends_at: new Date('2026-01-01T00:01:00Z'),
  begins_lent: true,
  power_off: {
    ...{ id: 'off', asked_at: null, off_at: now.toISOString(), system: null, label: null, said: null },
  },
};
const policy = { restart: 'elsewhere', priority: 0, disk: 'from_image', on_lease_end: 'keep', generation: 4 } as const;
const running: Bound = {
  ...{ evacuation_policy: policy, observed_generation: 4, observed_state: 'running', observed_on_lease_end: null },
};

const proven: [string, Partial<SilentHost>, Partial<Bound>, string | undefined][] = [
  ['a host without power has heard that its guest begins only under a lease', {}, {}, 'power_off'],
  ['it has not heard that', {}, { observed_generation: 3 }, undefined],
  ['it is of an older release, which begins guests by what it remembers', { begins_lent: false }, {}, undefined],
  ['nobody has said it of the server', {}, { evacuation_policy: null }, undefined],
  ['its guest may begin without a lease', {}, { evacuation_policy: { ...policy, restart: 'never' } }, undefined],
  ['it was told so with the server', {}, { observed_state: 'none', given_generation: 5 }, 'power_off'],
  ['it may have been told nothing of it', {}, { observed_state: 'none', given_generation: null }, undefined],
  ['the guest ends with the lease', {}, { evacuation_policy: { ...policy, on_lease_end: 'stop' } }, 'power_off'],
  ['it is heard', { connected: true }, {}, undefined],
  [
    'it has not heard that, but an administrator says that it is down',
    { lease_ends_at: null, forced_down: true, forced_down_by: { at: now.toISOString() } },
    { observed_generation: 3 },
    'administrator',
  ],
];
for (const [name, host, server, kind] of proven)
  test(`that the BMC says Off is ${kind === 'power_off' ? '' : 'no '}evidence where ${name}`, () =>
    assert.equal(evidenceOf({ ...off, ...host }, { ...running, ...server })?.kind, kind));
