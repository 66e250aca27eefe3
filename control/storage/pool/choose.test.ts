import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PoolTraits, unmetSpecs } from './capabilities.ts';
import { choose, chooseTogether, type PoolState } from './choose.ts';

const gib = 2 ** 30;
const pool = (id: string, over: Partial<PoolState> = {}): PoolState => ({
  ...{
    id,
    name: 'local',
    tier: 'disk',
    kind: 'directory',
    exports: false,
    availability_zone: 'nova',
    host_id: `host of ${id}`,
    host_name: `host of ${id}`,
  },
  ...{ host_enabled: true, connected: true, seen_lately: true, disabled: false, problem: null, holds_image: false },
  ...{
    total_bytes: 100 * gib,
    free_bytes: 100 * gib,
    promised_bytes: 0,
    over_subscription: 20,
    reserved_percentage: 0,
    iops: null,
    iops_over_subscription: 1,
    promised_iops: 0,
  },
  ...over,
});
const wish = { sizeBytes: 10 * gib, extraSpecs: {} };

test('volumes spread: the pool with the largest free share of what it may promise takes the next one', () => {
  const pools = [pool('a', { promised_bytes: 900 * gib }), pool('b', { promised_bytes: 100 * gib })];
  assert.equal(choose(wish, pools).pool?.id, 'b');
  const large = [pool('a', { total_bytes: 1000 * gib, free_bytes: 1000 * gib, promised_bytes: 900 * gib }), pools[1]!];
  assert.equal(choose(wish, large).pool?.id, 'a');
});

test('a pool whose host holds the image goes first, as long as it leads by less than two such volumes', () => {
  const holder = pool('a', { holds_image: true, promised_bytes: 15 * gib });
  const imageId = 'an image';
  assert.equal(choose({ ...wish, imageId }, [holder, pool('b')]).pool?.id, 'a');
  const full = { ...holder, promised_bytes: 25 * gib };
  assert.equal(choose({ ...wish, imageId }, [full, pool('b')]).pool?.id, 'b');
});

for (const [refusal, over, asked] of [
  ['other_pool', {}, { poolId: 'another' }],
  ['other_host', {}, { hostId: 'another' }],
  ['host_to_avoid', {}, { notOnHosts: ['host of a'] }],
  ['other_zone', {}, { availabilityZone: 'another' }],
  ['type_unmet', {}, { extraSpecs: { volume_backend_name: 'another' } }],
  ['no_encryption', { kind: 'rbd' }, { encrypted: true }],
  ['no_cache', { kind: 'rbd' }, { cache: { pool: null, tier: null, bytes: 0 } }],
  ['cluster_apart', { kind: 'rbd' }, { from: { poolId: 'another', kind: 'directory', inUse: true } }],
  ['cluster_apart', {}, { from: { poolId: 'another', kind: 'rbd', inUse: false } }],
  ['disabled', { disabled: true }, {}],
  ['host_disabled', { host_enabled: false }, {}],
  ['disconnected', { connected: false, seen_lately: false }, {}],
  ['problem', { problem: 'read-only' }, {}],
  ['too_much_promised', { promised_bytes: 1995 * gib }, {}],
  ['too_little_space', { free_bytes: 0 }, {}],
  ['too_few_iops', { iops: 1000, iops_over_subscription: 1.5, promised_iops: 1400 }, { iops: 101 }],
  ['too_little_space', { free_bytes: 5 * gib, reserved_percentage: 5 }, {}],
] as const) {
  test(`a pool says why it takes no volume, and what would help: ${refusal}`, () => {
    const found = choose({ ...wish, ...asked }, [pool('a', over)]);
    assert.equal(found.pool, null);
    assert.deepEqual(found.refusals, { [refusal]: 1 });
    assert.match(found.message, /^every pool /);
    assert.notEqual(found.fix, '');
  });
}

test('a pool says whose host the volume had to be on', () => {
  for (const [hostOf, words] of [
    ['server', /where its server goes/],
    ['source', /layers that it builds on/],
  ] as const) {
    assert.match(choose({ ...wish, hostId: 'host of a', hostOf }, [pool('a')]).message, words);
  }
  assert.equal(choose({ ...wish, hostOf: 'hint' }, [pool('a')]).message, 'placed');
});

test('volumes that are made together see what those before them took', () => {
  const one = [pool('a', { promised_bytes: 1979 * gib })];
  assert.deepEqual(
    chooseTogether([wish, wish], one)?.map(({ promised_bytes }) => promised_bytes),
    [1999 * gib],
  );
  assert.equal(chooseTogether([wish, wish, wish], one), undefined);
});

test('without any pool that is said', () => {
  assert.deepEqual(choose(wish, []).message, 'there is no pool yet');
});

test('the tenant hears of the pools that were in question, and the nearest way out', () => {
  const pools = [pool('a', { tier: 'flash', problem: 'gone' }), pool('b', { tier: 'ram', promised_bytes: 1999 * gib })];
  const found = choose({ ...wish, extraSpecs: { 'bothy:tier': '<or> ram <or> disk' } }, pools);
  assert.equal(found.message, 'every pool has promised too much already');
  assert.equal(found.fix, 'ask for a smaller volume or delete one');
});

test('a host that is being restarted is no reason to refuse, but one that is here goes first', () => {
  const away = pool('a', { connected: false });
  assert.equal(choose(wish, [away, pool('b', { promised_bytes: 1000 * gib })]).pool?.id, 'b');
  assert.equal(choose(wish, [away]).pool?.id, 'a');
});

test('a host that is closed still takes what must be where its source is', () => {
  const closed = pool('a', { host_enabled: false });
  assert.equal(choose({ ...wish, hostId: closed.host_id }, [closed]).pool?.id, 'a');
});

test('extra specs are read as Cinder reads them', () => {
  const traits: PoolTraits = {
    ...{ name: 'fast', tier: 'flash', availability_zone: 'here', kind: 'directory', exports: false },
  };
  const met = (specs: Record<string, string>) => unmetSpecs(specs, traits);
  assert.deepEqual(met({ volume_backend_name: 'fast', 'capabilities:vendor_name': 'Bothy' }), []);
  assert.deepEqual(met({ thin_provisioning_support: '<is> True', replication_enabled: '<is> false' }), []);
  const by = (over: Partial<PoolTraits>, protocol: string) =>
    unmetSpecs({ storage_protocol: protocol }, { ...traits, ...over });
  assert.deepEqual([by({ exports: true }, 'iSCSI'), by({ kind: 'rbd', exports: true }, 'ceph')], [[], []]);
  assert.deepEqual(by({}, 'iSCSI'), ['storage_protocol'], 'its host has no portal');
  assert.deepEqual(met({ volume_backend_name: '<or> slow <or> fast', storage_protocol: '<in> fi <in> le' }), []);
  assert.deepEqual(met({ volume_backend_name: 's== fast', multiattach: '<is> True', 'other:scope': 'x' }), []);
  assert.deepEqual(met({ 'bothy:tier': 'flash', 'RESKEY:availability_zones': 'there, here' }), []);
  assert.deepEqual(met({ 'bothy:tier': 'disk', 'RESKEY:availability_zones': 'there' }).length, 2);
  const replicated = (over: Partial<PoolTraits>) =>
    unmetSpecs({ replication_enabled: '<is> True' }, { ...traits, ...over });
  assert.deepEqual(replicated({}), []);
  for (const over of [{ kind: 'rbd' }, { tier: 'ram' }] as const)
    assert.deepEqual(replicated(over), ['replication_enabled']);
  assert.deepEqual(met({ 'what nobody has': 'x' }), ['what nobody has']);
  assert.deepEqual(met({ __proto__: 'x', constructor: 'x', toString: 's== x' }), ['constructor', 'toString']);
});

test('a volume with a cache goes where another pool of its host has room for that, the emptier of two', () => {
  const at = (host_id: string, over: Partial<PoolState> = {}) => ({ host_id, ...over });
  const fast = { name: 'fast', tier: 'flash' } as const;
  const cache = { pool: null, tier: 'flash', bytes: gib } as const;
  const pools = [
    pool('a', at('one')),
    pool('b', at('two', { promised_bytes: 900 * gib })),
    pool('c', at('two', { ...fast, promised_bytes: 500 * gib })),
    pool('d', at('two', fast)),
  ];
  const found = choose({ ...wish, extraSpecs: { 'bothy:tier': 'disk' }, cache }, pools);
  assert.deepEqual([found.pool?.id, found.cachePool?.id], ['b', 'd']);
  const none = choose({ ...wish, cache: { ...cache, bytes: 200 * gib } }, pools);
  assert.deepEqual([none.pool, none.cachePool], [null, null]);
  assert.match(none.message, /cache/);
});
