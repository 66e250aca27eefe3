import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { connect } from 'node:tls';
import { type RawBuilder, sql } from 'kysely';
import pino from 'pino';
import {
  type DesiredNetwork,
  type DesiredServer,
  type HostBandwidth,
  hostProtocol,
  type ObservedServer,
  type ProtocolRange,
} from '../../contract/host/index.ts';
import { type HostId, type ImageId, type NetworkId, newId, newOrderedId, type ServerId } from '../../contract/ids.ts';
import { HypervisorService } from '../../control/compute/hypervisor/index.ts';
import {
  closeCodes,
  type HostedNetworks,
  type HostedServers,
  HostStreams,
  type HostStreamsOptions,
  registerHost,
  type ServerFilter,
  type ServerStamp,
} from '../../control/host/index.ts';
import { testSealer } from '../../control/identity/testing.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { cloudActor, type Queryable } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { type TestDatabase, testDatabase, testProject } from '../../control/kit/database/testing.ts';
import { testAdmin } from '../../control/network/testing.ts';
import { resources } from '../../control/resources.ts';
import { hostedLayers } from '../../control/storage/layer/index.ts';
import { type TestAuthority, testAuthority } from '../../test/support/certificates.ts';
import { FakeHost, testFacts } from '../../test/support/fake-host.ts';
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
afterEach(async () => {
  for (const host of opened.splice(0)) host.close();
});

/** The tables' server rows as documents: the least of control/compute/server that the stream needs. */
class Servers implements HostedServers {
  readonly recorded: { hostId: HostId; observed: ObservedServer[]; complete: boolean }[] = [];
  forgettable: ServerId[] = [];
  reads = 0;
  /** At stamps. */
  looks = 0;
  failWith: Error | undefined;

  async desiredServers(queryable: Queryable, { hostId, serverIds }: ServerFilter): Promise<DesiredServer[]> {
    this.reads++;
    const where = sql`(${hostId ?? null}::uuid is null or host_id = ${hostId ?? null})
      and (${serverIds ?? null}::uuid[] is null or id = any(${serverIds ?? null}::uuid[]))`;
    const { rows } = await sql<
      Record<string, never>
    >`select s.*, coalesce((select json_agg(json_build_object('id', p.id,
        'networkId', p.network_id)) from port p where p.device_id = s.id::text), '[]') as ports
      from server s where ${where}`.execute(queryable);
    return rows.map(documentOf);
  }

  async serverStamps(queryable: Queryable, hostIds: readonly HostId[]): Promise<Map<HostId, ServerStamp[]>> {
    const all = hostIds.map(async (hostId) => {
      this.looks++;
      const documents = await this.desiredServers(queryable, { hostId });
      this.reads--;
      const stamps = documents.map(({ id, epoch, generation, ports, stamp }) => ({
        ...{ id, epoch, generation, stamp: stamp! },
        ports: ports.map((port) => port.id),
        networks: ports.map(({ networkId }) => networkId),
      }));
      return [hostId, stamps] as const;
    });
    return new Map(await Promise.all(all));
  }

  async recordReports(hostId: HostId, observed: readonly ObservedServer[], { complete }: { complete: boolean }) {
    if (this.failWith) throw this.failWith;
    this.recorded.push({ hostId, observed: [...observed], complete });
    const absent = observed.filter((server) => server.state === 'absent').map((server) => server.id);
    return this.forgettable.filter((id) => absent.includes(id));
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a row of `select *`
const documentOf = (row: any): DesiredServer =>
  ({
    id: row.id,
    epoch: row.epoch,
    generation: Number(row.generation),
    presence: row.desired_presence,
    power: row.desired_power,
    name: row.name,
    ports: row.ports,
    stamp: hash('sha1', JSON.stringify([row.epoch, row.generation, row.desired_power, row.name, row.ports])),
  }) as unknown as DesiredServer;

class Networks implements HostedNetworks {
  async networksOfHosts(queryable: Queryable, hostIds: readonly HostId[]): Promise<Map<HostId, DesiredNetwork[]>> {
    const all = hostIds.map(async (hostId) => {
      const { rows } = await sql<{ id: NetworkId; mtu: number }>`select distinct n.id, n.mtu from network n
        join port p on p.network_id = n.id join server s on p.device_id = s.id::text where s.host_id = ${hostId}`.execute(
        queryable,
      );
      return [hostId, rows as unknown as DesiredNetwork[]] as const;
    });
    return new Map(await Promise.all(all));
  }
}

interface StartOptions {
  controls?: HostStreamsOptions['controls'];
  pingMs?: number;
  silentMs?: number;
  resyncMs?: number;
  leaseMs?: number;
  protocol?: ProtocolRange;
}

async function start({ protocol, controls, ...timing }: StartOptions = {}) {
  const feed = new ChangeFeed({ database: db.database, url: db.url, log });
  await feed.start();
  const servers = new Servers();
  const hosts = new HostStreams({
    sealer: testSealer,
    database: db.database,
    feed,
    resources,
    servers,
    layers: hostedLayers({ database: db.database, sealer: testSealer, log }),
    networks: new Networks(),
    meters: { recordReadings: async () => {} },
    log,
    cloudId,
    timing,
    ...(protocol && { protocol }),
    ...(controls && { controls }),
  });
  hosts.start();
  const app = await createApi({
    tls: await authority.issue('control'),
    dialects: [],
    upgrades: [hostStream({ hosts, log })],
    log,
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const port = (app.server.address() as { port: number }).port;
  return {
    hosts,
    servers,
    port,
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

async function dial(port: number, hostId: string): Promise<FakeHost> {
  const host = await FakeHost.dial(port, await authority.issue(hostId));
  opened.push(host);
  return host;
}

/** A connected host that has its snapshot. */
async function connected(port: number, hostId: HostId) {
  const host = await dial(port, hostId);
  host.hello();
  return { host, snapshot: await host.next('snapshot') };
}

async function makeServer(hostId: HostId | null, name = '小屋 🏔 "x"; drop'): Promise<ServerId> {
  const id = newOrderedId<ServerId>();
  await db.database.transaction(cloudActor, (tx) =>
    sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id, host_id, epoch)
      values (${id}, ${projectId}, ${newId()}, ${name}, 'h', ${newId()}, '{}', 1, 64, 1, 'r-1', ${hostId}, 1)`.execute(
      tx,
    ),
  );
  return id;
}

const update = (id: ServerId, set: string) =>
  db.database.transaction(cloudActor, (tx) => sql`update server set ${sql.raw(set)} where id = ${id}`.execute(tx));

const observed = (id: ServerId, more: Partial<ObservedServer> = {}): ObservedServer => ({
  id,
  epoch: 1,
  generation: 1,
  state: 'running',
  rebootCount: 0,
  step: null,
  error: null,
  startedAt: null,
  ...more,
});

/** To the database and, over the host's stream, to control and back. */
async function roundTrip(host: FakeHost): Promise<number> {
  const started = performance.now();
  await sql`select 1`.execute(db.database.query);
  await new Promise((resolve) => host.socket.once('pong', resolve).ping());
  return performance.now() - started;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const hostRow = (id: HostId) =>
  db.database.query.selectFrom('host').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

test("control speaks first; after the host's hello comes a complete snapshot, and its facts are on record", async () => {
  await using control = await start();
  const hostId = await register();
  const id = await makeServer(hostId);
  await makeServer(await register());
  const host = await dial(control.port, hostId);
  const hello = await host.next('hello');
  assert.deepEqual([hello.cloudId, hello.hostId, hello.protocol], [cloudId, hostId, hostProtocol.highest]);
  host.hello({ cpus: 7, name: 'nul \0 and half a pair \ud800' }, cloudId);
  const snapshot = await host.next('snapshot');
  assert.deepEqual(
    snapshot.servers.map((server) => [server.id, server.name]),
    [[id, '小屋 🏔 "x"; drop']],
  );
  const row = await hostRow(hostId);
  assert.equal(row.connected, true);
  assert.deepEqual(row.facts, { ...testFacts, cpus: 7, name: 'nul  and half a pair \ufffd' });
  assert.equal(row.vcpus, 7 * 16);
  assert.deepEqual(control.hosts.connectedHosts, [hostId]);
});

test('what a host says that its cards give is on record, and of a network that it names no more nothing is given', async () => {
  await using control = await start();
  const hostId = await register();
  const said = async (bandwidths: HostBandwidth[]) => {
    const host = await dial(control.port, hostId);
    await host.next('hello');
    host.hello({ bandwidths }, cloudId);
    await host.next('snapshot');
    const { rows } = await sql<{ of: string; egress: number; ingress: number }>`
      select physical_network as of, egress_kbps as egress, ingress_kbps as ingress from host_bandwidth
      where host_id = ${hostId} order by 1`.execute(db.database.query);
    return rows;
  };
  const tunnels = { physicalNetwork: null, egressKbps: 1000, ingressKbps: 2000 };
  assert.deepEqual(await said([tunnels, { ...tunnels, physicalNetwork: 'physnet1\0' }]), [
    { of: '', egress: 1000, ingress: 2000 },
    { of: 'physnet1', egress: 1000, ingress: 2000 },
  ]);
  assert.deepEqual(await said([{ ...tunnels, egressKbps: 5 }, tunnels]), [
    { of: '', egress: 1000, ingress: 2000 },
    { of: 'physnet1', egress: 0, ingress: 0 },
  ]);
});

test('what a host has found of its tunnels is on record, the newest word alone, and a row that cannot be read is left out', async () => {
  await using control = await start();
  const hostId = await register();
  const host = await dial(control.port, hostId);
  await host.next('hello');
  host.hello({ tunnels: { address: '10.9.0.1', mtu: 1500 } }, cloudId);
  await host.next('snapshot');
  const other = newOrderedId<HostId>();
  const say = (broken: unknown[]) =>
    host.send({
      ...{ type: 'report', complete: false, servers: [] },
      tunnels: { peers: 3, tried: 3, oldestMs: 9000, broken: broken as [], faults: broken.length },
    });
  const recorded = async () => {
    const { rows } = await sql<{ broken: unknown[]; faults: number; peers: number }>`
      select broken, faults, peers from host_tunnels where host_id = ${hostId}`.execute(db.database.query);
    return rows[0];
  };
  say([
    { hostId: other, address: '10.9.0.2', fault: 'narrow' },
    { hostId: newId(), address: '10.9.0.2; drop', fault: 'narrow' },
    { hostId: newId(), address: '10.9.0.3', fault: 'purple' },
  ]);
  await until('the fault to be on record', async () => (await recorded())?.faults === 3);
  const known = { host_id: other, address: '10.9.0.2', fault: 'narrow' };
  assert.deepEqual(await recorded(), { broken: [known], faults: 3, peers: 3 });
  say([]);
  await until('it to be over', async () => (await recorded())?.faults === 0);
  assert.deepEqual((await recorded())!.broken, []);
});

test('which physical networks a host reaches is what it says, and one that says nothing of them keeps what was known', async () => {
  await using control = await start();
  const hostId = await register();
  const said = async (over: { physicalNetworks?: string[] }) => {
    const host = await dial(control.port, hostId);
    await host.next('hello');
    host.hello(over, cloudId);
    await host.next('snapshot');
    const { rows } = await sql<{
      names: string[];
    }>`select physical_networks as names from host where id = ${hostId}`.execute(db.database.query);
    return rows[0]!.names;
  };
  assert.deepEqual(await said({}), ['physnet1']);
  assert.deepEqual(await said({ physicalNetworks: ['rack 小', 'physnet\0', 'physnet'] }), ['rack 小', 'physnet']);
  assert.deepEqual(await said({}), ['rack 小', 'physnet']);
  assert.deepEqual(await said({ physicalNetworks: [] }), []);
});

/** Its stamps, as a host says in its hello what it holds. */
const stamps = (servers: readonly DesiredServer[]) => Object.fromEntries(servers.map(({ id, stamp }) => [id, stamp!]));

test('a host that comes back is told by name what it holds, and in full what it does not', async () => {
  await using control = await start();
  const hostId = await register();
  const [same, changed, unknown] = [await makeServer(hostId), await makeServer(hostId), await makeServer(hostId)];
  const { host: first, snapshot } = await connected(control.port, hostId);
  await update(changed, 'generation = 2');
  await first.next('update');
  const { [unknown]: _, ...holds } = stamps(snapshot.servers);
  const remembers = { incarnation: snapshot.incarnation!, position: snapshot.position! };
  const reads = control.servers.reads;
  const host = await dial(control.port, hostId);
  host.hello({}, null, { remembers, holds });
  const again = await host.next('snapshot');
  assert.deepEqual(again.unchanged, [same]);
  assert.deepEqual(again.servers.map(({ id }) => id).sort(), [changed, unknown].sort());
  assert.equal(control.servers.reads, reads + 1);
  // What was not sent is known all the same: a change of it is news, and so is one that only its port tells of.
  await update(same, `name = 'news'`);
  assert.deepEqual(
    (await host.next('update')).servers.map(({ id }) => id),
    [same],
  );
  const idle = await dial(control.port, hostId);
  idle.hello({}, null, { remembers, holds: { ...stamps(again.servers), [same]: 'older' } });
  assert.deepEqual(
    (await idle.next('snapshot')).servers.map(({ id }) => id),
    [same],
  );
});

test('stamps of another history of the database, and of servers that went, prove nothing', async () => {
  await using control = await start();
  const hostId = await register();
  const [id, gone] = [await makeServer(hostId), await makeServer(hostId)];
  const { snapshot } = await connected(control.port, hostId);
  const [position, holds] = [snapshot.position!, stamps(snapshot.servers)];
  await sql`delete from server where id = ${gone}`.execute(db.database.query);
  for (const [remembers, unchanged] of [
    [{ incarnation: newId(), position }, []],
    [undefined, []],
    [{ incarnation: snapshot.incarnation!, position }, [id]],
  ] as const) {
    const host = await dial(control.port, hostId);
    host.hello({}, null, { ...(remembers && { remembers }), holds });
    const again = await host.next('snapshot');
    assert.deepEqual(again.unchanged, unchanged);
    const absent = again.servers.flatMap((server) => (server.presence === 'absent' ? [server.id] : []));
    assert.deepEqual(absent, [gone], 'what shall be absent is told, whatever is held');
  }
});

test('that the database went back is proven by what control has told a host, and by no word of its own', async () => {
  await using control = await start();
  const hostId = await register();
  await makeServer(hostId);
  const { snapshot } = await connected(control.port, hostId);
  await sql`update cloud set incarnation_at = now() - interval '1 hour', incarnation_place =
    (select system_identifier::text from pg_control_system()) || '/' || (select oid from pg_database where datname = current_database())
    || '/' || pg_current_xact_id()::xid::text`.execute(db.database.query);
  const [incarnation, position] = [snapshot.incarnation!, snapshot.position!];
  const [, mark = ''] = /^\d+\.\d+\.\d+\.(.+)$/.exec(position) ?? [];
  const say = async (said: string) => {
    const host = await dial(control.port, hostId);
    host.hello({}, null, { remembers: { incarnation, position: said } });
    return host;
  };
  const present = async () => (await settleIncarnation(db.database)).id;
  const never = '4000000000000.7.1790000000000';
  for (const said of [never, `${never}.${mark}`, `${never}.`, `${never}.${'A'.repeat(22)}`, position])
    assert.equal((await (await say(said)).next('snapshot')).incarnation, incarnation, said);
  const told = testSealer.mark(
    `${incarnation.replaceAll('-', '').slice(0, 12)} ${never}`,
    'what hosts remember of the change log',
  );
  await say(`${never}.${told}`);
  await until('another history to begin', async () => (await present()) !== incarnation);
});

test('the snapshot names the images whose bytes the host shall keep, uploads under way among them', async () => {
  await using control = await start();
  const hostId = await register();
  const [kept, saving, deleted] = [newId<ImageId>(), newId<ImageId>(), newId<ImageId>()];
  for (const [id, status, presence] of [
    [kept, 'active', 'present'],
    [saving, 'saving', 'present'],
    [deleted, 'active', 'absent'],
  ]) {
    await sql`insert into image (id, project_id, status, desired_presence) values (${id}, ${projectId}, ${status}, ${presence})`.execute(
      db.database.query,
    );
    await sql`insert into image_location (image_id, host_id) values (${id}, ${hostId})`.execute(db.database.query);
  }
  const { snapshot } = await connected(control.port, hostId);
  assert.deepEqual(snapshot.images, [kept, saving].sort());
});

test('the list of images to keep follows uploads and deletions', async () => {
  await using control = await start();
  const [hostId, otherId] = [await register(), await register()];
  const { host, snapshot } = await connected(control.port, hostId);
  const { host: other } = await connected(control.port, otherId);
  assert.deepEqual(snapshot.images, []);
  const id = newId<ImageId>();
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`insert into image (id, project_id, status) values (${id}, ${projectId}, 'saving')`.execute(tx);
    await sql`insert into image_location (image_id, host_id) values (${id}, ${hostId})`.execute(tx);
  });
  assert.deepEqual((await host.next('update')).images, [id]);
  await sql`update image set status = 'active' where id = ${id}`.execute(db.database.query);
  await sql`update image set desired_presence = 'absent' where id = ${id}`.execute(db.database.query);
  assert.deepEqual((await host.next('update')).images, [], 'and nothing was sent in between');
  assert.deepEqual(other.messages, []);
  await makeServer(hostId);
  assert.equal((await host.next('update')).images, undefined);
});

test('hosts that come at once have each what is its own, also where some hold it already', async () => {
  await using control = await start();
  const hosts = await Promise.all(
    Array.from({ length: 25 }, async (_, index) => {
      const hostId = await register();
      return { hostId, ids: [await makeServer(hostId, `of ${index}`), await makeServer(hostId, `too of ${index}`)] };
    }),
  );
  const come = (holding: (index: number) => Parameters<FakeHost['hello']>[2]) =>
    Promise.all(
      hosts.map(async ({ hostId }, index) => {
        const host = await dial(control.port, hostId);
        host.hello({}, null, holding(index));
        return host.next('snapshot');
      }),
    );
  const first = await come(() => ({}));
  const idsOf = (servers: readonly DesiredServer[]) => servers.map(({ id }) => id).sort();
  for (const [index, { servers }] of first.entries()) assert.deepEqual(idsOf(servers), hosts[index]!.ids.toSorted());
  const again = await come((index) => {
    const { incarnation, position, servers } = first[index]!;
    const known = servers.slice(0, index % 3);
    return {
      ...{ remembers: { incarnation: incarnation!, position: position! } },
      holds: Object.fromEntries(known.map(({ id, stamp }) => [id, stamp!])),
    };
  });
  for (const [index, { servers, unchanged }] of again.entries()) {
    const known = first[index]!.servers.slice(0, index % 3);
    assert.deepEqual(unchanged?.toSorted(), idsOf(known));
    assert.deepEqual(idsOf([...servers, ...known]), hosts[index]!.ids.toSorted());
  }
});

test('what changes while a snapshot is read is told once it is out, without all that the host has being compared', async () => {
  await using control = await start();
  const hostId = await register();
  const [id, other] = [await makeServer(hostId, 'before'), await makeServer(hostId, 'other')];
  const read = control.servers.desiredServers.bind(control.servers);
  const held = Promise.withResolvers<void>();
  let reading = false;
  control.servers.desiredServers = async (db, filter) => {
    const documents = await read(db, filter);
    if (filter.hostId === undefined || reading) return documents;
    reading = true;
    await held.promise;
    return documents;
  };
  const host = await dial(control.port, hostId);
  host.hello();
  await until('the snapshot to be read', () => reading);
  // One that is connected hears of the change, so control has seen it.
  const witnessId = await register();
  const { host: witness } = await connected(control.port, witnessId);
  await update(id, "generation = 2, name = 'after'");
  const seen = await makeServer(witnessId, 'seen');
  assert.deepEqual(
    (await witness.next('update')).servers.map((server) => server.id),
    [seen],
  );
  const { looks } = control.servers;
  held.resolve();
  const named = (servers: readonly DesiredServer[]) => servers.map((server) => [server.id, server.name]);
  assert.deepEqual(
    named((await host.next('snapshot')).servers).sort(),
    [
      [id, 'before'],
      [other, 'other'],
    ].sort(),
  );
  assert.deepEqual(named((await host.next('update')).servers), [[id, 'after']]);
  assert.equal(control.servers.looks, looks);
});

test('looks at everything take back nothing that was told meanwhile', async () => {
  await using control = await start({ resyncMs: 5 });
  const hostId = await register();
  await makeServer(hostId);
  const { host } = await connected(control.port, hostId);
  const id = newId<ImageId>();
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`insert into image (id, project_id, status) values (${id}, ${projectId}, 'active')`.execute(tx);
    await sql`insert into image_location (image_id, host_id) values (${id}, ${hostId})`.execute(tx);
  });
  assert.deepEqual((await host.next('update')).images, [id]);
  const { looks } = control.servers;
  await until('more looks', () => control.servers.looks > looks + 10);
  await makeServer(hostId);
  assert.equal((await host.next('update')).images, undefined);
});

test('a change reaches the host within milliseconds, once, and only the host that owns the server', async () => {
  await using control = await start();
  const [hostId, otherId] = [await register(), await register()];
  const id = await makeServer(hostId);
  const { host } = await connected(control.port, hostId);
  const { host: other } = await connected(control.port, otherId);
  const took: number[] = [];
  const plain: number[] = [];
  for (let round = 2; round < 22; round++) {
    plain.push(await roundTrip(host));
    const committed = await update(id, `generation = ${round}, desired_power = '${round % 2 ? 'on' : 'off'}'`).then(
      () => performance.now(),
    );
    const { servers } = await host.next('update');
    took.push(performance.now() - committed);
    assert.deepEqual(
      servers.map((server) => [server.id, server.generation]),
      [[id, round]],
    );
  }
  // Nothing waits for a timer; how long it takes then is a matter of how busy the machine is just now.
  const [arrival, trip] = [median(took), median(plain)];
  assert.ok(
    arrival < Math.max(30, 10 * trip),
    `median from commit to arrival ${arrival} ms, a mere round trip ${trip} ms`,
  );
  await update(id, `observed_step = 'of no concern to the host'`);
  await update(id, `generation = 100`);
  assert.equal(
    (await host.next('update')).servers[0]!.generation,
    100,
    'what changed nothing for the host was not sent',
  );
  assert.deepEqual(other.messages, []);
});

test('a burst of changes of many servers is read with few queries and arrives whole', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await connected(control.port, hostId);
  const before = control.servers.reads;
  const ids = await Promise.all(Array.from({ length: 40 }, () => makeServer(hostId)));
  const seen = new Set<string>();
  await until('all servers', () => {
    for (const message of host.messages.splice(0))
      if (message.type === 'update') for (const { id } of message.servers) seen.add(id);
    return seen.size === ids.length;
  });
  assert.ok(control.servers.reads - before < 30, `${control.servers.reads - before} reads for 40 servers`);
});

test('a server that another host owns from now on is ended on the first, under the epoch that the first knows', async () => {
  await using control = await start();
  const [hostId, otherId] = [await register(), await register()];
  const id = await makeServer(hostId);
  const { host } = await connected(control.port, hostId);
  const { host: other } = await connected(control.port, otherId);
  await update(id, `host_id = '${otherId}', epoch = 2`);
  const gone = (await host.next('update')).servers[0]!;
  assert.deepEqual([gone.id, gone.epoch, gone.presence], [id, 1, 'absent']);
  const taken = (await other.next('update')).servers[0]!;
  assert.deepEqual([taken.id, taken.epoch, taken.presence], [id, 2, 'present']);
  host.report([observed(id, { state: 'absent' })]);
  assert.deepEqual(
    (await host.next('forget')).servers,
    [id],
    "nobody waits for the first host's word, so it may forget",
  );
});

test('a server that was deleted without the word of its host is told to be absent until the host has said that it is', async () => {
  await using control = await start();
  const [hostId, otherId] = [await register(), await register()];
  const [deleted, moved] = [await makeServer(hostId), await makeServer(hostId)];
  await update(deleted, "desired_presence = 'absent', generation = 7");
  await sql`delete from server where id = ${deleted}`.execute(db.database.query);
  await update(moved, `host_id = '${otherId}', epoch = 2`);
  const forms = (servers: DesiredServer[]) =>
    servers.map(({ id, epoch, generation, presence }) => [id, epoch, generation, presence]);
  const absent = [
    [deleted, 1, 7, 'absent'],
    [moved, 1, 1, 'absent'],
  ];
  for (let times = 0; times < 2; times++) {
    const { host, snapshot } = await connected(control.port, hostId);
    assert.deepEqual(forms(snapshot.servers), absent);
    host.close();
  }
  const { host } = await connected(control.port, hostId);
  host.report([observed(deleted, { state: 'absent', generation: 6 }), observed(moved, { state: 'absent' })]);
  assert.deepEqual((await host.next('forget')).servers, [moved], 'the word on an older generation does not count');
  host.report([observed(deleted, { state: 'absent', generation: 7 })]);
  assert.deepEqual((await host.next('forget')).servers, [deleted]);
  host.close();
  assert.deepEqual((await connected(control.port, hostId)).snapshot.servers, []);
});

test('a server whose row is lost is not told to be absent, neither at once nor by the timer', async () => {
  await using control = await start({ resyncMs: 20 });
  const hostId = await register();
  const [lost, other] = [await makeServer(hostId), await makeServer(hostId)];
  const { host } = await connected(control.port, hostId);
  // As a restored dump or somebody's SQL loses it: without the triggers.
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`set local session_replication_role = replica`.execute(tx);
    await sql`delete from server where id = ${lost}`.execute(tx);
  });
  const reads = control.servers.reads;
  await until('everything to be looked at again, twice', () => control.servers.reads > reads + 4);
  await update(other, 'generation = 2');
  for (;;) {
    const { servers } = await host.next('update');
    assert.equal(
      servers.some(({ id }) => id === lost),
      false,
    );
    if (servers.some(({ id }) => id === other)) break;
  }
});

test('networks follow the servers: sent with the first server on them, changed and removed', async () => {
  await using control = await start();
  const hostId = await register();
  const id = await makeServer(hostId);
  const { host } = await connected(control.port, hostId);
  const networkId = newId<NetworkId>();
  const networks = new Map<NetworkId, number>();
  let ports = 0;
  // One transaction may be told in two updates: all is looked at once more when a stream has begun.
  const toldUntil = async (condition: () => boolean) => {
    while (!condition()) {
      const update = await host.next('update');
      for (const network of update.networks) networks.set(network.id, network.mtu);
      for (const gone of update.removedNetworks) networks.delete(gone);
      for (const server of update.servers) ports = server.ports.length;
    }
  };
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`insert into network (id, project_id) values (${networkId}, ${projectId})`.execute(tx);
    await sql`insert into port (id, project_id, network_id, mac, device_id, device_owner, host_id)
      values (${newId()}, ${projectId}, ${networkId}, '02:00:00:00:00:01', ${id}, 'compute:nova', ${hostId})`.execute(
      tx,
    );
  });
  await toldUntil(() => ports === 1 && networks.has(networkId));
  await sql`update network set mtu = 1300 where id = ${networkId}`.execute(db.database.query);
  await toldUntil(() => networks.get(networkId) === 1300);
  await sql`delete from port where network_id = ${networkId}`.execute(db.database.query);
  await toldUntil(() => ports === 0 && networks.size === 0);
});

test("reports are recorded under the certificate's host, and recorded absences may be forgotten", async () => {
  await using control = await start();
  const hostId = await register();
  const [running, absent] = [await makeServer(hostId), await makeServer(hostId)];
  const { host } = await connected(control.port, hostId);
  control.servers.forgettable = [absent];
  host.report([observed(running, { step: 'nul \0' }), observed(absent, { state: 'absent' })], { complete: true });
  assert.deepEqual((await host.next('forget')).servers, [absent]);
  const [batch] = control.servers.recorded;
  assert.deepEqual([batch!.hostId, batch!.complete, batch!.observed.length], [hostId, true, 2]);
  assert.equal(batch!.observed[0]!.step, 'nul ');
});

test("an absence that is not recorded may not be forgotten while the server is the host's", async () => {
  await using control = await start();
  const hostId = await register();
  const mine = await makeServer(hostId);
  const deleted = newId<ServerId>();
  const { host } = await connected(control.port, hostId);
  host.report([observed(mine, { state: 'absent' }), observed(deleted, { state: 'absent' })], { complete: true });
  assert.deepEqual((await host.next('forget')).servers, [deleted]);
});

test('reports wait while the database is away', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await connected(control.port, hostId);
  control.servers.failWith = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const [a, b] = [newOrderedId<ServerId>(), newOrderedId<ServerId>()];
  host.report([observed(a), observed(b, { step: 'old' })], { complete: true });
  host.report([observed(b, { step: 'new' })]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  control.servers.failWith = undefined;
  await until('the reports', () => control.servers.recorded.length > 0);
  const [batch] = control.servers.recorded;
  assert.equal(batch!.complete, true);
  assert.deepEqual(
    batch!.observed.map((server) => server.step),
    [null, 'new'],
    'the newest word counts',
  );
  assert.equal(host.closed, undefined);
});

test('a defect while recording ends this stream, so that a new one starts from a complete report', async () => {
  await using control = await start();
  const { host } = await connected(control.port, await register());
  control.servers.failWith = new Error('defect');
  host.report([observed(newId())], { complete: true });
  assert.equal((await host.end()).code, closeCodes.internal);
});

test("a new connection of a host replaces the old one; the old one's end changes nothing", async () => {
  await using control = await start();
  const hostId = await register();
  const { host: first } = await connected(control.port, hostId);
  const { host: second } = await connected(control.port, hostId);
  assert.equal((await first.end()).code, closeCodes.replaced);
  assert.equal((await hostRow(hostId)).connected, true);
  const id = await makeServer(hostId);
  assert.equal((await second.next('update')).servers[0]!.id, id);
});

test('a host that dials again and again has one place among those that come: the others are served meanwhile', async () => {
  await using control = await start();
  const [flooding, other] = [await register(), await register()];
  const gate = Promise.withResolvers<void>();
  const read = control.servers.desiredServers.bind(control.servers);
  let begun = 0;
  control.servers.desiredServers = async (queryable, filter) => {
    if (filter.hostId === flooding && begun++ < 2) await gate.promise;
    return read(queryable, filter);
  };
  const flood: FakeHost[] = [];
  for (let n = 0; n < 30; n++) flood.push(await dial(control.port, flooding));
  for (const host of flood) host.hello();
  const { host } = await connected(control.port, other);
  assert.equal(host.closed, undefined);
  for (const each of flood.slice(0, -1)) assert.equal((await each.end()).code, closeCodes.replaced);
  gate.resolve();
  await flood.at(-1)!.next('snapshot');
  assert.ok(begun <= 4, `${begun} snapshots were read`);
});

test('of a host that dials and does not say who it is the newest connections are kept, and it may say so on any of them', async () => {
  await using control = await start();
  const [silent, other] = [await register(), await register()];
  const bystander = await dial(control.port, other);
  const dialled: FakeHost[] = [];
  for (let n = 0; n < 5; n++) dialled.push(await dial(control.port, silent));
  for (const each of dialled.slice(0, 2)) assert.equal((await each.end()).code, closeCodes.replaced);
  for (const host of [dialled[2]!, bystander]) {
    host.hello();
    await host.next('snapshot');
  }
  assert.deepEqual(
    dialled.slice(2).map(({ closed }) => closed),
    [undefined, undefined, undefined],
  );
});

test('a host is told where control processes are, with its greeting and when it changes', async () => {
  const changed: (() => void)[] = [];
  let addresses = ['https://a:8443'];
  const controls = {
    get addresses() {
      return addresses;
    },
    onAddresses: (listener: () => void) => void changed.push(listener),
  };
  await using control = await start({ controls });
  const host = await dial(control.port, await register());
  for (const listener of changed) listener();
  host.hello();
  assert.deepEqual((await host.next('controls')).urls, ['https://a:8443'], 'not before it has said who it is');
  await host.next('snapshot');
  addresses = ['https://a:8443', 'https://b:8443'];
  for (const listener of changed) listener();
  assert.deepEqual((await host.next('controls')).urls, addresses);
});

test('a connection to another control process takes the host over', async () => {
  await using one = await start();
  await using two = await start();
  const hostId = await register();
  const { host: first } = await connected(one.port, hostId);
  const { host: second } = await connected(two.port, hostId);
  assert.equal((await first.end()).code, closeCodes.replaced);
  assert.equal((await hostRow(hostId)).connected, true);
  assert.equal(second.closed, undefined);
});

test('when the stream ends the host is not connected, also when control stops', async () => {
  const hostId = await register();
  {
    await using control = await start();
    const { host } = await connected(control.port, hostId);
    host.close();
    await until('the end on record', async () => !(await hostRow(hostId)).connected);
    const { host: again } = await connected(control.port, hostId);
    assert.equal((await hostRow(hostId)).connected, true);
    await control.hosts.stop();
    assert.equal((await again.end()).code, closeCodes.goingAway);
  }
  assert.equal((await hostRow(hostId)).connected, false);
});

test('the ends of all streams of a control that stops are one transaction', async () => {
  const hosts = await Promise.all(Array.from({ length: 20 }, () => register()));
  await using control = await start();
  for (const hostId of hosts) await connected(control.port, hostId);
  await control.hosts.stop();
  const { rows } = await sql<{ ended: number; transactions: number }>`
    select count(distinct id)::integer as ended, count(distinct changed_in)::integer as transactions from host
    where id = any(${hosts}::uuid[]) and not connected`.execute(db.database.query);
  assert.deepEqual(rows, [{ ended: 20, transactions: 1 }]);
});

test('how far the clock of a host is off is known from its pings; what is no time counts for nothing', async () => {
  await using control = await start();
  const { host } = await connected(control.port, await register());
  assert.deepEqual(control.hosts.clocks, []);
  const offset = async (ping: string) => {
    const before = control.hosts.clocks[0]?.offsetMs;
    host.socket.ping(ping);
    await until('the clock to be read', () => control.hosts.clocks[0]?.offsetMs !== before);
    return control.hosts.clocks[0]!;
  };
  const { hostName, offsetMs } = await offset(String(Date.now() - 7000));
  assert.equal(hostName, testFacts.name);
  assert.ok(offsetMs <= -7000 && offsetMs > -8000, String(offsetMs));
  host.socket.ping('half past nine');
  assert.ok((await offset(String(Date.now() + 3_600_000))).offsetMs > 3_500_000);
});

test('a silent host is given up, and heartbeats write no change', async () => {
  await using control = await start({ pingMs: 30, silentMs: 500 });
  const [hostId, lively] = [await register(), await register()];
  const { host } = await connected(control.port, hostId);
  const { host: other } = await connected(control.port, lively);
  host.socket.pause();
  await until("the silent host's end", async () => !(await hostRow(hostId)).connected);
  assert.equal((await hostRow(lively)).connected, true);
  assert.equal(other.closed, undefined);
  const { rows } = await sql<{ n: number }>`select count(*) n from change where resource_id = ${lively}`.execute(
    db.database.query,
  );
  assert.equal(rows[0]!.n, 2, 'registered and connected, no more');
});

/** How long the host may still believe in its lease, by the database, in ms; null: it has none that anybody knows the end of. */
const leaseLeft = async (hostId: HostId): Promise<number | null> =>
  (
    await sql<{ ms: number | null }>`select (extract(epoch from lease_ends_at - now()) * 1000)::float8 as ms
      from host where id = ${hostId}`.execute(db.database.query)
  ).rows[0]!.ms;

test('a host is lent what is its only after the database knows until when, and again for each time that it asks', async () => {
  await using control = await start({ pingMs: 30, leaseMs: 60_000 });
  const hostId = await register();
  const host = await dial(control.port, hostId);
  host.hello({}, null, { time: 4711 });
  assert.deepEqual(await host.next('lease'), { type: 'lease', asked: 4711, leaseMs: 60_000 });
  const first = (await leaseLeft(hostId))!;
  assert.ok(first > 50_000 && first <= 60_000, String(first));
  await sql`update host set lease_ends_at = now() + interval '1 second' where id = ${hostId}`.execute(
    db.database.query,
  );
  host.socket.ping('4800');
  assert.deepEqual(await host.next('lease'), { type: 'lease', asked: 4800, leaseMs: 60_000 });
  assert.ok((await leaseLeft(hostId))! > 50_000);
  const { rows } = await sql<{ n: number }>`select count(*) n from change where resource_id = ${hostId}`.execute(
    db.database.query,
  );
  assert.equal(rows[0]!.n, 2, 'registered and connected: a lease is no event');
});

test('a stream that speaks for its host no more lends nothing; a lease never ends sooner than was said', async () => {
  await using before = await start({ pingMs: 30, leaseMs: 600_000 });
  await using control = await start({ pingMs: 30, leaseMs: 1000 });
  const hostId = await register();
  const host = await dial(before.port, hostId);
  host.hello({}, null, { time: 1 });
  await host.next('lease');
  const again = await dial(control.port, hostId);
  again.hello({}, null, { time: 2 });
  assert.equal((await again.next('lease')).leaseMs, 1000);
  assert.equal((await host.end()).code, closeCodes.replaced);
  assert.ok((await leaseLeft(hostId))! > 500_000, 'the host may still believe what it was told first');
});

test('a lease that ended before it was renewed is lent anew only on a new stream, behind all that has happened', async () => {
  await using control = await start({ pingMs: 30, leaseMs: 60_000 });
  const hostId = await register();
  const host = await dial(control.port, hostId);
  host.hello({}, null, { time: 1 });
  await host.next('lease');
  await sql`update host set lease_ends_at = now() - interval '1 second' where id = ${hostId}`.execute(
    db.database.query,
  );
  host.socket.ping('2');
  assert.equal((await host.end()).code, closeCodes.tryAgainLater);
  assert.ok(!host.messages.some(({ type }) => type === 'lease'));
  assert.ok((await leaseLeft(hostId))! < 0);
  const again = await dial(control.port, hostId);
  again.hello({}, null, { time: 3 });
  assert.equal((await again.next('lease', ({ asked }) => asked === 3)).asked, 3);
});

test('who has to wait for its turn until the lease has ended lends nothing on that stream', async () => {
  await using control = await start({ pingMs: 30, leaseMs: 60_000 });
  const hostId = await register();
  const host = await dial(control.port, hostId);
  host.hello({}, null, { time: 1 });
  await host.next('lease');
  // Somebody decides by the lease, as an evacuation does.
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`update host set lease_ends_at = clock_timestamp() + interval '300 milliseconds' where id = ${hostId}`.execute(
      tx,
    );
    host.socket.ping('2');
    await until('somebody to wait for the row', async () => {
      const { rows } = await sql<{ n: number }>`select count(*)::integer as n from pg_locks where not granted`.execute(
        tx,
      );
      return rows[0]!.n > 0;
    });
    await until('the lease to have ended', async () => {
      const { rows } = await sql<{
        ended: boolean;
      }>`select lease_ends_at < clock_timestamp() as ended from host where id = ${hostId}`.execute(tx);
      return rows[0]!.ended;
    });
  });
  assert.equal((await host.end()).code, closeCodes.tryAgainLater);
  assert.ok(!host.messages.some((message) => message.type === 'lease' && message.asked === 2));
});

test('of a host that does not ask nobody knows when its lease ends', async () => {
  await using control = await start({ pingMs: 30 });
  const hostId = await register();
  const host = await dial(control.port, hostId);
  host.hello({}, null, { time: 1 });
  await host.next('lease');
  assert.notEqual(await leaseLeft(hostId), null);
  const { host: older } = await connected(control.port, hostId);
  older.socket.ping('5');
  await until('a look', async () => (await leaseLeft(hostId)) === null);
});

test('that a host left in order is remembered until it is there again, and of one that was cut off nothing is', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await connected(control.port, hostId);
  host.socket.close(closeCodes.goingAway, 'the host process ends');
  await until('its end', async () => !(await hostRow(hostId)).connected);
  const { left_at: left, last_seen_at: seen } = await hostRow(hostId);
  assert.deepEqual([left !== null, left], [true, seen]);
  const { host: again } = await connected(control.port, hostId);
  assert.equal((await hostRow(hostId)).left_at, null);
  again.close();
  await until('the cut', async () => !(await hostRow(hostId)).connected);
  assert.equal((await hostRow(hostId)).left_at, null);
});

test('a host whose control process died without a word is seen as away by the others', async () => {
  const hostId = await register();
  await sql`update host set connected = true, connection_id = ${newId()}, last_seen_at = now() - interval '1 minute' where id = ${hostId}`.execute(
    db.database.query,
  );
  await using _control = await start({ pingMs: 20, silentMs: 1000 });
  await until('the sweep', async () => !(await hostRow(hostId)).connected);
});

test("who has no certificate of the cloud's authority, or one that names no host, is refused", async () => {
  await using control = await start();
  const hostId = await register();
  const foreign = await (await testAuthority('another')).issue(hostId);
  await assert.rejects(FakeHost.dial(control.port, { ca: authority.ca }), /401/);
  await assert.rejects(FakeHost.dial(control.port, { ...foreign, ca: authority.ca }), /401|socket|certificate|alert/i);
  await assert.rejects(FakeHost.dial(control.port, await authority.issue('not an id')), /401/);
  await assert.rejects(FakeHost.dial(control.port, await authority.issue(hostId), '/host/v1/other'), /404/);
  const unknown = await dial(control.port, newId());
  unknown.hello();
  assert.equal((await unknown.end()).code, closeCodes.unknownHost);
});

test('a host that was removed is told so and gone; made known again it begins anew, and a word against it outlives its streams', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await connected(control.port, hostId);
  const say = (word: RawBuilder<unknown>) => word.execute(db.database.query);
  await say(sql`update host set forced_down = true where id = ${hostId}`);
  const { host: again } = await connected(control.port, hostId);
  assert.equal((await host.end()).code, closeCodes.replaced);
  assert.equal((await hostRow(hostId)).forced_down, true);
  await new HypervisorService({ database: db.database }).remove(testAdmin(), hostId);
  assert.equal((await again.end()).code, closeCodes.unknownHost);
  const refused = await dial(control.port, hostId);
  refused.hello();
  assert.equal((await refused.end()).code, closeCodes.unknownHost);
  await registerHost(db.database, { id: hostId, name: `host ${hostId}` });
  await connected(control.port, hostId);
  assert.equal((await hostRow(hostId)).forced_down, false, 'of what was said of the one before nothing is left');
});

test('what breaks the protocol ends that stream only', async () => {
  await using control = await start();
  const { host: good } = await connected(control.port, await register());
  const first = async (message: string | Buffer) => {
    const host = await dial(control.port, await register());
    host.send(message);
    return (await host.end()).code;
  };
  const later = async (message: string | Buffer) => {
    const { host } = await connected(control.port, await register());
    host.send(message);
    return (await host.end()).code;
  };
  const hello = (more: object) =>
    JSON.stringify({ type: 'hello', protocol: 1, cloudId: null, facts: testFacts, ...more });
  const report = () => JSON.stringify({ type: 'report', complete: false, servers: [observed(newId())] });
  assert.equal(await first('{"type":'), closeCodes.invalidMessage);
  assert.equal(await first('null'), closeCodes.invalidMessage);
  assert.equal(await first('{"type":7}'), closeCodes.invalidMessage);
  assert.equal(await first(report()), closeCodes.protocolError, 'a report before hello');
  assert.equal(await first(hello({ protocol: hostProtocol.highest + 1 })), closeCodes.protocolError);
  assert.equal(await first(hello({ cloudId: newId() })), closeCodes.otherCloud);
  assert.equal(await first(hello({ facts: { ...testFacts, cpus: '4' } })), closeCodes.invalidMessage);
  assert.equal(await first(hello({ facts: { ...testFacts, name: 'x'.repeat(300) } })), closeCodes.invalidMessage);
  assert.equal(await later(hello({})), closeCodes.protocolError, 'a second hello');
  assert.equal(await later(Buffer.from('binary')), closeCodes.binary);
  assert.equal(await later('{"type":"report","complete":false,"servers":{}}'), closeCodes.invalidMessage);
  assert.equal(await later('x'.repeat(17 * 1024 * 1024)), 1009);
  assert.equal(good.closed, undefined);
  const id = await makeServer(control.hosts.connectedHosts[0]!);
  assert.equal((await good.next('update')).servers[0]!.id, id);
});

test('an observation that cannot be read is left out, the others of its report count', async () => {
  await using control = await start();
  const hostId = await register();
  const { host } = await connected(control.port, hostId);
  const good = observed(newId());
  const bad = [{ id: 'x' }, { state: 'flying' }, { epoch: -1 }, { rebootCount: 2 ** 40 }, { step: 'x'.repeat(2000) }];
  const servers = [...bad.map((change) => ({ ...observed(newId()), ...change })), null, 'x', { ...good, news: 1 }];
  host.send(JSON.stringify({ type: 'report', complete: true, servers, news: 1 }));
  await until('the report', () => control.servers.recorded.length > 0);
  assert.deepEqual(control.servers.recorded, [{ hostId, observed: [good], complete: true }]);
  assert.equal(host.closed, undefined);
});

test('what a newer host says beyond this version is ignored, and an older one is spoken with', async () => {
  await using control = await start({ protocol: { lowest: 2, highest: 3 } });
  const greet = async (more: object) => {
    const host = await dial(control.port, await register());
    host.send(JSON.stringify({ type: 'hello', cloudId: null, facts: { ...testFacts, news: 1 }, ...more }));
    return host;
  };
  const { protocol, lowestProtocol } = await (await greet({ protocol: 2 })).next('hello');
  assert.deepEqual([protocol, lowestProtocol], [3, 2]);
  for (const versions of [{ protocol: 2 }, { protocol: 3, lowestProtocol: 1 }, { protocol: 9, lowestProtocol: 3 }]) {
    const host = await greet(versions);
    await host.next('snapshot');
    host.send('{"type":"news"}');
    host.report([observed(newId())], { complete: true });
    const heard = control.servers.recorded.length;
    await until('its report', () => control.servers.recorded.length > heard);
    assert.equal(host.closed, undefined);
  }
  for (const versions of [{ protocol: 1 }, { protocol: 9, lowestProtocol: 4 }]) {
    assert.equal((await (await greet(versions)).end()).code, closeCodes.protocolError);
  }
});

test("an address of a host that is none is nobody's to try; the host is served", async () => {
  await using control = await start();
  for (const [url, kept] of [
    ['https://10.0.0.5:8444/', 'https://10.0.0.5:8444'],
    ['https://[fd00::1]:8444', 'https://[fd00::1]:8444'],
    ['file:///etc/passwd', ''],
    ['https://a b', ''],
    ['https://user@x', ''],
    ['https://x/path', ''],
  ]) {
    const hostId = await register();
    const host = await dial(control.port, hostId);
    host.hello({ url: url! });
    await host.next('snapshot');
    assert.equal((await hostRow(hostId)).facts.url, kept, url);
  }
});

test('a peer that never says hello is cut off', async () => {
  await using control = await start({ pingMs: 20, silentMs: 60 });
  const host = await dial(control.port, await register());
  await host.end();
});

test('bytes that are no TLS and no WebSocket do no harm', async () => {
  await using control = await start();
  const tls = await authority.issue(await register());
  const socket = connect({ port: control.port, host: '127.0.0.1', ...tls });
  socket.on('error', () => {});
  socket.write(
    'GET /host/v1/stream HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\0\0\0garbage',
  );
  await new Promise((resolve) => socket.once('close', resolve).resume());
  await connected(control.port, await register());
});

test('the timer finds what no change told', async () => {
  await using control = await start({ resyncMs: 50 });
  const hostId = await register();
  const id = await makeServer(hostId);
  const { host } = await connected(control.port, hostId);
  await sql`alter table server disable trigger server_change`.execute(db.database.query);
  try {
    await update(id, 'generation = 9');
    assert.equal((await host.next('update')).servers[0]!.generation, 9);
  } finally {
    await sql`alter table server enable trigger server_change`.execute(db.database.query);
  }
});
