/** A server goes from one host to another over the wire: each is told what is its own, when it is so. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type HostId, newId, newOrderedId, type ServerId } from '../../contract/ids.ts';
import { serverActions } from '../../control/compute/server/index.ts';
import { silentLog as log, type ServerCloud, serverCloud } from '../../control/compute/server/testing.ts';
import { HostStreams, registerHost } from '../../control/host/index.ts';
import { testSealer } from '../../control/identity/testing.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { type TestDatabase, testDatabase } from '../../control/kit/database/testing.ts';
import { resources } from '../../control/resources.ts';
import { hostedLayers } from '../../control/storage/layer/index.ts';
import { type TestAuthority, testAuthority } from '../../test/support/certificates.ts';
import { FakeHost } from '../../test/support/fake-host.ts';
import { until } from '../../test/support/until.ts';
import { createApi } from '../server.ts';
import { hostStream } from './stream.ts';

const cloudId = newId();
let db: TestDatabase;
let authority: TestAuthority;
let cloud: ServerCloud;
const opened: FakeHost[] = [];
before(async () => {
  db = await testDatabase();
  authority = await testAuthority();
  cloud = await serverCloud(db.database);
  await sql`insert into cloud (id, region) values (${cloudId}, 'here')`.execute(db.database.query);
  // As control does at its start.
  await settleIncarnation(db.database);
  await sql`insert into port (id, project_id, network_id, mac, device_owner, device_id)
    select ${newId()}, ${cloud.projectId}, ${cloud.networkId}::uuid, '02:00:00:00:00:99', 'network:distributed', 'ovnmeta-' || ${cloud.networkId}`.execute(
    db.database.query,
  );
});
after(() => db[Symbol.asyncDispose]());
afterEach(() => {
  for (const host of opened.splice(0)) host.close();
});

async function start() {
  const feed = new ChangeFeed({ database: db.database, url: db.url, log });
  await feed.start();
  const hosts = new HostStreams({
    sealer: testSealer,
    ...{ database: db.database, feed, resources, log, cloudId, servers: cloud.side, networks: cloud.ports },
    layers: hostedLayers({ database: db.database, sealer: testSealer, log }),
    meters: { recordReadings: async () => {} },
  });
  hosts.start();
  const tls = await authority.issue('control');
  const app = await createApi({ tls, dialects: [], upgrades: [hostStream({ hosts, log })], log });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    port: (app.server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      await hosts.stop();
      await app.close();
      await feed.stop();
    },
  };
}

async function dial(port: number) {
  const id = newOrderedId<HostId>();
  await registerHost(db.database, { id, name: `host ${id}` });
  const host = await FakeHost.dial(port, await authority.issue(id));
  opened.push(host);
  host.hello({ name: `host ${id}`, migrations: ['cold', 'live'] });
  await host.next('snapshot');
  return { id, host };
}

/** The next document of the server that it is told, with the networks that come along. */
async function told({ host }: { host: FakeHost }, fits: (server: DesiredServer) => boolean = () => true) {
  const update = await host.next('update', ({ servers }) => servers.some(fits));
  return { ...update, server: update.servers.find(fits)! };
}

const word = (server: DesiredServer, over: Partial<ObservedServer>): ObservedServer => ({
  ...{ id: server.id, epoch: server.epoch, generation: server.generation, rebootCount: server.reboot.count },
  ...{ state: 'running', step: null, error: null, startedAt: null },
  ...over,
});

test('the target is told of a server before it is its own, and the source that it is absent once it is not', async () => {
  await using control = await start();
  const source = await dial(control.port);
  const wish = cloud.wish({ flavor: await cloud.addFlavor(), automatic: 'auto' });
  const id: ServerId = (await cloud.service.create(cloud.member, wish)).ids[0]!;
  await cloud.controller.reconcile(id);
  const own = (await told(source)).server;
  source.host.report([word(own, {})]);
  const at = async () => (await cloud.service.get(cloud.admin, id)).observed_state;
  await until('the server to run', async () => (await at()) === 'running');
  const target = await dial(control.port);
  await cloud.service.act(cloud.admin, id, serverActions.liveMigrate, { host: null, copyDisks: true });
  const coming = await told(target);
  assert.deepEqual([coming.server.id, coming.server.incoming?.mode, coming.networks.length], [id, 'live', 1]);
  const going = (await told(source, ({ outgoing }) => outgoing !== undefined)).server;
  assert.equal(going.epoch, own.epoch);
  const incoming = { id: coming.server.incoming!.id, error: null };
  const place = { address: '::1', disksPort: 1, disks: ['root'], memoryPort: 2 };
  target.host.report([
    word(coming.server, { state: 'building', incoming: { ...incoming, state: 'ready', target: place } }),
  ]);
  const sending = (await told(source, ({ outgoing }) => outgoing?.target !== null)).server;
  assert.deepEqual(sending.outgoing?.target, place);
  const disks = { total: 10, copied: 10 };
  source.host.report([
    word(sending, { state: 'paused', outgoing: { id: incoming.id, state: 'handed_over', disks, error: null } }),
  ]);
  target.host.report([word(coming.server, { incoming: { ...incoming, state: 'taken_over' } })]);
  const given = (await told(target, (server) => server.incoming === undefined)).server;
  assert.deepEqual([given.epoch, given.presence], [coming.server.epoch, 'present']);
  const gone = (await told(source, ({ presence }) => presence === 'absent')).server;
  assert.deepEqual([gone.id, gone.epoch], [id, own.epoch]);
  source.host.report([word(gone, { state: 'absent' })]);
  await until('the source to be told no more', async () => {
    const { rows } = await sql`select from server_absence where server_id = ${id}`.execute(db.database.query);
    return rows.length === 0;
  });
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, target.id);
});

test('a target that comes back while a server is on its way has it in its snapshot, and nothing of it once it is called off', async () => {
  await using control = await start();
  const source = await dial(control.port);
  const zone = newId();
  await sql`update host set availability_zone = ${zone} where id = ${source.id}`.execute(db.database.query);
  const wish = cloud.wish({ flavor: await cloud.addFlavor(), automatic: 'auto', availabilityZone: zone });
  const id: ServerId = (await cloud.service.create(cloud.member, wish)).ids[0]!;
  await cloud.controller.reconcile(id);
  source.host.report([word((await told(source)).server, {})]);
  await until('the server to run', async () => (await cloud.service.get(cloud.admin, id)).observed_state === 'running');
  const target = await dial(control.port);
  await sql`update host set availability_zone = ${zone} where id = ${target.id}`.execute(db.database.query);
  await cloud.service.act(cloud.admin, id, serverActions.migrate, { host: null });
  const { server } = await told(target);
  target.host.close();
  const again = await FakeHost.dial(control.port, await authority.issue(target.id));
  opened.push(again);
  again.hello({ migrations: ['cold', 'live'] });
  const snapshot = await again.next('snapshot');
  assert.deepEqual(snapshot.servers, [server]);
  assert.equal(snapshot.networks.length, 1);
  again.report([
    word(server, { state: 'stopped', incoming: { id: server.incoming!.id, state: 'given_up', error: null } }),
  ]);
  const gone = await told({ host: again }, ({ presence }) => presence === 'absent');
  assert.deepEqual([gone.server.epoch, gone.removedNetworks.length], [server.epoch, 1]);
  again.report([word(gone.server, { state: 'absent' })]);
  assert.deepEqual((await again.next('forget')).servers, [id]);
});
