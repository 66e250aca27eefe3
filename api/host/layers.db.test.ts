/** Layers and pools over the wire: a host is told what shall be, and what it says is recorded. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import type { DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import { type HostId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { type HostedLayers, HostStreams, registerHost } from '../../control/host/index.ts';
import { testSealer } from '../../control/identity/testing.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { cloudActor, type Tx } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { type TestDatabase, testDatabase, testProject } from '../../control/kit/database/testing.ts';
import { resources } from '../../control/resources.ts';
import { findLayer, freezeLayer, hostedLayers, insertLayer, releaseLayers } from '../../control/storage/layer/index.ts';
import { choosePool } from '../../control/storage/pool/index.ts';
import { testVolume } from '../../control/storage/testing.ts';
import { type TestAuthority, testAuthority } from '../../test/support/certificates.ts';
import { FakeHost } from '../../test/support/fake-host.ts';
import { until } from '../../test/support/until.ts';
import { createApi } from '../server.ts';
import { hostStream } from './stream.ts';

const log = pino({ level: 'silent' });
const cloudId = newId();
let db: TestDatabase;
let authority: TestAuthority;
let projectId: string;
const opened: FakeHost[] = [];

before(async () => {
  db = await testDatabase();
  authority = await testAuthority();
  projectId = await testProject(db.database);
  await sql`insert into cloud (id, region) values (${cloudId}, 'here')`.execute(db.database.query);
  // As control does at its start.
  await settleIncarnation(db.database);
});
after(() => db[Symbol.asyncDispose]());
afterEach(() => {
  for (const host of opened.splice(0)) host.close();
});

/** What is asked of layers, by name. */
function counted(layers: HostedLayers, asked: string[]): HostedLayers {
  const count = <K extends keyof HostedLayers>(name: K): HostedLayers[K] =>
    ((...given: unknown[]) => {
      asked.push(name);
      return (layers[name] as (...all: unknown[]) => unknown)(...given);
    }) as HostedLayers[K];
  return {
    ...{
      desiredLayers: count('desiredLayers'),
      layerStamps: count('layerStamps'),
      recordReports: count('recordReports'),
    },
    ...{
      declaredPools: count('declaredPools'),
      recordPools: count('recordPools'),
      recordLevels: count('recordLevels'),
      handOutKeys: count('handOutKeys'),
    },
  };
}

async function start({ resyncMs = 60_000 } = {}) {
  const asked: string[] = [];
  const feed = new ChangeFeed({ database: db.database, url: db.url, log });
  await feed.start();
  const hosts = new HostStreams({
    sealer: testSealer,
    ...{ database: db.database, feed, resources, log, cloudId, timing: { resyncMs } },
    servers: { desiredServers: async () => [], serverStamps: async () => new Map(), recordReports: async () => [] },
    layers: counted(hostedLayers({ database: db.database, sealer: testSealer, log }), asked),
    networks: { networksOfHosts: async () => new Map() },
    meters: { recordReadings: async () => {} },
  });
  hosts.start();
  const tls = await authority.issue('control');
  const app = await createApi({ tls, dialects: [], upgrades: [hostStream({ hosts, log })], log });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    port: (app.server.address() as { port: number }).port,
    asked,
    async [Symbol.asyncDispose]() {
      await hosts.stop();
      await app.close();
      await feed.stop();
    },
  };
}

async function register(): Promise<HostId> {
  const id = newOrderedId<HostId>();
  await registerHost(db.database, { id, name: `host ${id}` });
  return id;
}

const pools = [
  { name: 'local', tier: 'disk', kind: 'directory', totalBytes: 2 ** 40, freeBytes: 2 ** 39, problem: null } as const,
];

async function dial(port: number, hostId: HostId, more: Parameters<FakeHost['hello']>[2] = {}) {
  const host = await FakeHost.dial(port, await authority.issue(hostId));
  opened.push(host);
  host.hello({ pools }, null, more);
  return { host, snapshot: await host.next('snapshot') };
}

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);

async function makeVolume(
  hostId: HostId,
): Promise<{ id: VolumeId; top: LayerId; pool: { id: string; host_id: string } }> {
  const id = newId<VolumeId>();
  const { pool, top } = await inTx(async (tx) => {
    const found = await choosePool(tx, { sizeBytes: 2 ** 30, extraSpecs: {}, hostId });
    assert.ok(found.pool, found.message);
    return {
      pool: found.pool,
      top: await insertLayer(tx, { volumeId: id, pool: found.pool, sizeBytes: 2 ** 30, base: null }),
    };
  });
  await testVolume(db.database, { projectId, layerId: top, id });
  return { id, top, pool };
}

const ready = ({ id, epoch, generation, sizeBytes, presence }: DesiredLayer): ObservedLayer => ({
  ...{ id, epoch, generation, sizeBytes, allocatedBytes: 196_616, step: null, error: null },
  state: presence === 'absent' ? 'absent' : 'ready',
});
const idsOf = (layers: readonly DesiredLayer[] | undefined) => layers?.map(({ id }) => id);

test('a volume’s layer is told to its host, and is ready with its word; its snapshot and its end likewise', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await dial(control.port, hostId);
  const { id, top, pool } = await makeVolume(hostId);
  const [made] = (await host.next('update', ({ layers }) => layers !== undefined)).layers!;
  assert.deepEqual([made!.id, made!.volumeId, made!.pool, made!.readOnly], [top, id, 'local', false]);
  host.reportLayers([ready(made!)]);
  const state = async (layer: string) => (await findLayer(db.database.query, layer))?.observed_state;
  await until('the layer to be ready', async () => (await state(top)) === 'ready');

  const next = await inTx(async (tx) => {
    await freezeLayer(tx, top);
    const above = await insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base: { parentId: top } });
    await sql`update volume set layer_id = ${above} where id = ${id}`.execute(tx);
    return above;
  });
  const both = new Map<string, DesiredLayer>();
  while (both.size < 2) for (const layer of (await host.next('update')).layers ?? []) both.set(layer.id, layer);
  assert.deepEqual([both.get(top)?.readOnly, both.get(next)?.parentId], [true, top]);

  await inTx(async (tx) => {
    await sql`update volume set desired_presence = 'absent' where id = ${id}`.execute(tx);
    await releaseLayers(tx, [next]);
  });
  const gone = new Set<string>();
  while (gone.size < 2) {
    for (const layer of (await host.next('update')).layers ?? []) {
      assert.equal(layer.presence, 'absent');
      host.reportLayers([ready(layer)]);
      gone.add(layer.id);
    }
  }
  const forgotten = new Set<string>();
  while (forgotten.size < 2) for (const each of (await host.next('forget')).layers ?? []) forgotten.add(each);
  assert.deepEqual([...forgotten].sort(), [top, next].sort());
  assert.deepEqual([await state(top), await state(next)], [undefined, undefined]);
});

test('a host that comes back is told by name which layers it holds, in full those that it does not, and of no other’s', async () => {
  await using control = await start();
  const [hostId, other] = [await register(), await register()];
  await dial(control.port, other);
  await dial(control.port, hostId);
  const [same, changed] = [await makeVolume(hostId), await makeVolume(hostId)];
  await makeVolume(other);
  const { snapshot } = await dial(control.port, hostId);
  assert.deepEqual(idsOf(snapshot.layers)?.sort(), [same.top, changed.top].sort());
  assert.equal(snapshot.unchangedLayers, undefined);
  await inTx((tx) => freezeLayer(tx, changed.top));
  const remembers = { incarnation: snapshot.incarnation!, position: snapshot.position! };
  const holdsLayers = Object.fromEntries(snapshot.layers!.map((layer) => [layer.id, layer.stamp!]));
  const { snapshot: again } = await dial(control.port, hostId, { remembers, holdsLayers });
  assert.deepEqual([idsOf(again.layers), again.unchangedLayers], [[changed.top], [same.top]]);
  const strange = { incarnation: newId(), position: snapshot.position! };
  const { snapshot: third } = await dial(control.port, hostId, { remembers: strange, holdsLayers });
  assert.deepEqual([third.layers?.length, third.unchangedLayers], [2, []], 'stamps of another history prove nothing');
});

test('a change that no signal tells of is found by the timer; what has not changed is not sent again', async () => {
  await using control = await start({ resyncMs: 100 });
  const hostId = await register();
  await dial(control.port, hostId);
  const { top } = await makeVolume(hostId);
  const { host } = await dial(control.port, hostId);
  await sql`alter table volume_layer disable trigger volume_layer_change`.execute(db.database.query);
  await sql`update volume_layer set generation = 2, read_only = true where id = ${top}`.execute(db.database.query);
  await sql`alter table volume_layer enable trigger volume_layer_change`.execute(db.database.query);
  const { layers } = await host.next('update', (update) => update.layers !== undefined);
  assert.deepEqual(
    layers?.map(({ id, readOnly }) => [id, readOnly]),
    [[top, true]],
  );
  host.reportLayers(layers!.map(ready));
  await until('it to be recorded', async () => (await findLayer(db.database.query, top))?.observed_generation === 2);
  assert.deepEqual(
    host.messages.filter(({ type }) => type === 'update'),
    [],
    'an observation is in no document',
  );
});

test('one observation that cannot be read harms no other, and free space is kept up to date', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await dial(control.port, hostId);
  const { top } = await makeVolume(hostId);
  const [made] = (await host.next('update', ({ layers }) => layers !== undefined)).layers!;
  const wrong = { id: newId(), state: 'purple' } as unknown as ObservedLayer;
  const step = 'nul \0 and half a pair \ud800';
  host.reportLayers([wrong, { ...ready(made!), step }], {
    pools: [{ name: 'local', totalBytes: 2 ** 40, freeBytes: 7, problem: 'nearly full \0' }],
  });
  await until(
    'the layer to be ready',
    async () => (await findLayer(db.database.query, top))?.observed_state === 'ready',
  );
  assert.equal((await findLayer(db.database.query, top))?.observed_step, 'nul  and half a pair \ufffd');
  const level = () =>
    sql`select free_bytes, problem from storage_pool where host_id = ${hostId}`.execute(db.database.query);
  await until('its pool to be as said', async () => {
    const { rows } = await level();
    return JSON.stringify(rows) === JSON.stringify([{ free_bytes: 7, problem: 'nearly full ' }]);
  });
});

test('hosts that come back with all that they hold cost four questions each, and write nothing of layers', async () => {
  await using control = await start();
  const hosts = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const id = await register();
      await dial(control.port, id);
      for (let n = 0; n < 3; n++) await makeVolume(id);
      const { host, snapshot } = await dial(control.port, id);
      host.reportLayers(snapshot.layers!.map(ready));
      await until('its layers to be ready', async () => {
        const { rows } = await sql`select from volume_layer where host_id = ${id} and observed_state = 'ready'`.execute(
          db.database.query,
        );
        return rows.length === 3;
      });
      return { id, snapshot };
    }),
  );
  const written = async () => {
    const { rows } = await sql`select (select string_agg(xmin::text, ',' order by id) from volume_layer) as layers,
      (select string_agg(xmin::text, ',' order by id) from storage_pool) as pools`.execute(db.database.query);
    return rows;
  };
  const before = await written();
  control.asked.length = 0;
  for (const { id, snapshot } of hosts) {
    const remembers = { incarnation: snapshot.incarnation!, position: snapshot.position! };
    const holdsLayers = Object.fromEntries(snapshot.layers!.map((layer) => [layer.id, layer.stamp!]));
    const { host, snapshot: again } = await dial(control.port, id, { remembers, holdsLayers });
    assert.deepEqual([again.layers, again.unchangedLayers?.length], [[], 3]);
    host.reportLayers(snapshot.layers!.map(ready), { complete: true });
  }
  const expected = hosts.flatMap(() => ['declaredPools', 'layerStamps', 'recordPools', 'recordReports']);
  await until('all to be asked', () => control.asked.length >= expected.length);
  assert.deepEqual(control.asked.toSorted(), expected.sort());
  await until('reports to be compared', async () => {
    const { rows } = await sql`select from pg_stat_activity where datname = current_database() and state = 'active'
      and pid <> pg_backend_pid()`.execute(db.database.query);
    return rows.length === 0;
  });
  assert.deepEqual(await written(), before);
});
