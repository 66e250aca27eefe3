/** A server goes to another host, by what two hosts say; a host that is told here what to say stands for each. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import type { DesiredServer, ObservedServer } from '../../../contract/host/index.ts';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { quotaUsage } from '../../kit/quota/quota.ts';
import { testAttachment, testVolume } from '../../storage/attachment/testing.ts';
import { removeHost } from '../hypervisor/remove.ts';
import { MigrationService } from '../server-migration/index.ts';
import type { ServerAction } from './actions/action.ts';
import * as actions from './actions/index.ts';
import { server as descriptor } from './resource.ts';
import { powerState, serverStatus, stateOfPower, taskState } from './states.ts';
import { type ServerCloud, serverCloud } from './testing.ts';
import { wayOfServer } from './way.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let source: HostId;
let target: HostId;
let id: ServerId;
let small: string;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  small = await cloud.addFlavor({ vcpus: 1, memoryMiB: 512 });
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
let zones = 0;
beforeEach(async () => {
  const zone = `zone ${zones++}`;
  source = await cloud.addHost({ zone, vcpus: 4, name: `${zone} source` });
  const wish = cloud.wish({ flavor: small, automatic: 'auto', availabilityZone: zone });
  id = (await cloud.service.create(cloud.member, wish)).ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(source);
  target = await cloud.addHost({ zone, vcpus: 8, name: `${zone} target` });
});

const told = async (hostId: HostId): Promise<DesiredServer | undefined> =>
  (await cloud.side.desiredServers(db.database.query, { hostId })).find((one) => one.id === id);
const documentOf = async (hostId: HostId) => (await told(hostId)) ?? assert.fail('it has a document');
/** What the host would say by its document. */
async function say(hostId: HostId, over: Partial<ObservedServer> = {}): Promise<void> {
  const document = await documentOf(hostId);
  await cloud.side.recordReports(hostId, [
    {
      ...{ id, epoch: document.epoch, generation: document.generation, rebootCount: document.reboot.count },
      ...{ state: stateOfPower[document.power], step: null, error: null, startedAt: null },
      ...over,
    },
  ]);
}
const place = { address: '10.0.0.2', disksPort: 49152, disks: ['root'], memoryPort: 49153 };
async function sayOfIncoming(
  state: NonNullable<ObservedServer['incoming']>['state'],
  error: ObservedServer['error'] = null,
) {
  const { incoming } = await documentOf(target);
  const running = state === 'taken_over' && incoming!.mode === 'live';
  const more = state === 'ready' ? { target: { ...place, memoryPort: incoming!.mode === 'live' ? 49153 : null } } : {};
  await say(target, { state: running ? 'running' : 'building', incoming: { id: incoming!.id, state, error, ...more } });
}
async function sayOfOutgoing(
  state: NonNullable<ObservedServer['outgoing']>['state'],
  over: Partial<NonNullable<ObservedServer['outgoing']>> = {},
) {
  const { outgoing } = await documentOf(source);
  const disks = { total: 100, copied: 50 };
  await say(source, { outgoing: { id: outgoing!.id, state, disks, error: null, ...over } });
}
async function shown(): Promise<[string, string | null]> {
  const server = await cloud.service.get(cloud.admin, id);
  return [serverStatus(server), taskState(server)];
}
const owner = async () => {
  const { host_id, epoch } = await cloud.service.get(cloud.admin, id);
  return [host_id, epoch];
};
const migration = async () => (await new MigrationService(cloud).ofServer(id, {})).at(-1)!;
const carried = async (hostId: HostId) =>
  (
    await sql<{ n: number }>`select vcpus::integer as n from host_usage where host_id = ${hostId}`.execute(
      db.database.query,
    )
  ).rows[0]?.n ?? 0;
const absentOn = async () =>
  (
    await sql<{ h: HostId }>`select host_id as h from server_absence where server_id = ${id}`.execute(db.database.query)
  ).rows.map(({ h }) => h);
const portsOn = async () =>
  (
    await sql<{
      h: HostId;
    }>`select p.host_id as h from port p join server_port sp on sp.port_id = p.id where sp.server_id = ${id}`.execute(
      db.database.query,
    )
  ).rows.map(({ h }) => h);
const portsMigrateTo = async () =>
  (
    await sql<{ h: HostId | null }>`select p.migrating_to as h from port p join server_port sp on sp.port_id = p.id
      where sp.server_id = ${id}`.execute(db.database.query)
  ).rows.map(({ h }) => h);
const lastOperation = async () => {
  const { operations } = await cloud.service.operations(cloud.admin, id, { deletedToo: false });
  return operations.map(({ verb, state, error_message: message }) => ({ verb, state, message }))[0];
};
const act = <Wish>(action: ServerAction<Wish>, ...wish: undefined extends Wish ? [] : [Wish]) =>
  cloud.service.act(cloud.admin, id, action, ...wish);
const migrate = () => act(actions.migrate, { host: null });
const migrateLive = () => act(actions.liveMigrate, { host: null, copyDisks: true });

test('a server migrates live: it is the source’s until the target has taken over, and then the target’s, in one step', async () => {
  await migrateLive();
  assert.deepEqual(await shown(), ['MIGRATING', 'migrating']);
  assert.deepEqual([await carried(source), await carried(target)], [1, 1], 'counted on both');
  assert.deepEqual([await portsOn(), await portsMigrateTo()], [[source], [target]], 'heard on both from now on');
  assert.equal((await documentOf(target)).incoming?.mode, 'live');
  assert.equal((await documentOf(source)).outgoing?.target, null);
  assert.equal((await documentOf(target)).incoming?.key, (await documentOf(source)).outgoing?.key);
  await sayOfIncoming('preparing');
  await sayOfIncoming('ready');
  assert.deepEqual((await documentOf(source)).outgoing?.target, place);
  assert.equal((await documentOf(source)).power, 'on');
  const memory = { total: 1000, remaining: 400, sent: 700, dirtied: 1, throughput: 2, throttle: 0 };
  await sayOfOutgoing('copying', { memory, forecastMs: 10 });
  assert.equal((await migration()).status, 'running');
  const way = await wayOfServer(db.database, cloud.admin, id);
  assert.deepEqual([way?.phase, way?.memory, way?.forecast?.remaining_ms], ['copying', memory, 10]);
  assert.match(way!.to_host!, /target$/);
  assert.equal((await wayOfServer(db.database, cloud.member, id))?.to_host, null, 'hosts are administrators’');
  await sayOfOutgoing('handing_over');
  assert.deepEqual(await owner(), [source, 1]);
  await say(source, {
    state: 'stopped',
    outgoing: {
      id: (await migration()).id as never,
      state: 'handed_over',
      disks: { total: 1, copied: 1 },
      error: null,
    },
  });
  assert.deepEqual(await shown(), ['MIGRATING', 'migrating'], 'a source that is empty is no guest that has gone off');
  await sayOfIncoming('taken_over');
  assert.deepEqual(await owner(), [target, 2]);
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'completed']);
  assert.deepEqual([await carried(source), await carried(target)], [0, 1]);
  assert.deepEqual([await absentOn(), await portsOn(), await portsMigrateTo()], [[source], [target], [null]]);
  assert.equal(await told(source), undefined);
  assert.equal(await wayOfServer(db.database, cloud.member, id), null, 'it is there');
  assert.deepEqual(await lastOperation(), { verb: 'live-migration', state: 'succeeded', message: null });
  assert.equal((await documentOf(target)).incoming, undefined);
});

test('a server of an image that was deleted since goes: its target is told that the source has the image', async () => {
  const url = 'https://192.0.2.9:8444';
  await sql`update host set facts = facts || ${JSON.stringify({ url })}::jsonb where id = ${source}`.execute(
    db.database.query,
  );
  const sources = async (hostId: HostId) => (await documentOf(hostId)).image!.sources;
  assert.deepEqual(await sources(source), []);
  await migrate();
  assert.deepEqual([await sources(source), await sources(target)], [[], [url]]);
  await sayOfIncoming('preparing');
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  assert.deepEqual([await sources(source), await sources(target)], [[], []], 'it has it now');
});

test('the source says afterwards how long the guest stood still', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  const { outgoing, generation } = await documentOf(source);
  await sayOfIncoming('taken_over');
  const last = {
    id: outgoing!.id,
    state: 'handed_over' as const,
    disks: { total: 1, copied: 1 },
    downtimeMs: 123,
    error: null,
  };
  await cloud.side.recordReports(source, [
    {
      id,
      epoch: 1,
      generation,
      rebootCount: 0,
      state: 'stopped',
      step: null,
      error: null,
      startedAt: null,
      outgoing: last,
    },
  ]);
  const { rows } = await sql`select downtime_ms from server_migration where server_id = ${id}`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [{ downtime_ms: 123 }]);
  assert.deepEqual(await owner(), [target, 2]);
});

test('one that comes to nothing stays where it is, and nothing is left at the target', async () => {
  for (const fail of [
    () => sayOfIncoming('given_up', { code: 'no_space', message: 'There is no room.' }),
    () => say(target, { state: 'absent' }),
    async () => {
      await sayOfIncoming('ready');
      await sayOfOutgoing('stayed', { error: { code: 'network', message: 'The way was cut.' } });
    },
  ]) {
    await migrateLive();
    const { epoch } = await documentOf(target);
    await fail();
    assert.deepEqual(
      [await shown(), await owner()],
      [
        ['ACTIVE', null],
        [source, 1],
      ],
    );
    assert.deepEqual([await absentOn(), await carried(target)], [[target], 0]);
    assert.deepEqual([await portsOn(), await portsMigrateTo()], [[source], [null]]);
    assert.equal((await documentOf(source)).outgoing, undefined);
    assert.equal((await lastOperation())?.state, 'failed');
    assert.equal((await migration()).status, 'failed');
    // The next one is under another epoch, and the target has a document again.
    await migrateLive();
    assert.ok((await documentOf(target)).epoch > epoch);
    assert.deepEqual(await absentOn(), []);
    await sayOfIncoming('given_up');
  }
});

test('a source that has let go and lost sight has its guest back under a new epoch once the target has given up', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await sayOfOutgoing('handing_over');
  await sayOfOutgoing('lost_sight', { error: { code: 'network', message: 'The way was cut.' } });
  assert.equal((await documentOf(target)).incoming?.cancelled, true);
  assert.deepEqual(await owner(), [source, 1]);
  await sayOfIncoming('given_up');
  const [host, epoch] = await owner();
  assert.deepEqual([host, (epoch as number) > 2], [source, true]);
  await say(source);
  assert.deepEqual(await shown(), ['ACTIVE', null]);
});

test('a target that had taken over before it was asked to give up is the owner', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await sayOfOutgoing('handing_over');
  await sayOfOutgoing('lost_sight');
  await sayOfIncoming('taken_over');
  assert.deepEqual(
    [await owner(), await shown()],
    [
      [target, 2],
      ['ACTIVE', null],
    ],
  );
});

const expire = () =>
  sql`update operation set deadline = now() - interval '1 second' where resource_id = ${id} and state = 'running'`.execute(
    db.database.query,
  );

/** As an administrator says it of a host that is off. */
const sayDown = (host: HostId, { connected = false, leaseEnds = null as string | null } = {}) =>
  sql`update host set forced_down = true, connected = ${connected}, last_seen_at = now() - interval '1 minute',
      forced_down_by = jsonb_build_object('user_id', 'u', 'user_name', 'ayşe', 'at', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
      lease_ends_at = now() + ${leaseEnds}::interval where id = ${host}`.execute(db.database.query);

test('a target that is down by an administrator’s word never takes over', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await sayOfOutgoing('lost_sight');
  await cloud.controller.reconcile(id);
  assert.equal((await shown())[0], 'MIGRATING', 'silence is no evidence');
  await sayDown(target);
  await cloud.controller.reconcile(id);
  await say(source);
  assert.deepEqual([(await owner())[0], await shown()], [source, ['ACTIVE', null]]);
});

for (const [what, host] of [
  ['that is heard', { connected: true }],
  ['whose lease has not ended', { leaseEnds: '10 seconds' }],
] as const) {
  test(`a target ${what} may have taken over, whatever an administrator says of it: its own word is awaited`, async () => {
    await migrate();
    await sayOfIncoming('ready');
    await sayOfOutgoing('handed_over');
    await sayDown(target, host);
    await cloud.controller.reconcile(id);
    await cloud.controller.reconcile(id);
    assert.deepEqual(await owner(), [source, 1]);
    assert.equal((await documentOf(target)).incoming?.cancelled, true, 'it is asked to leave it');
    await sayOfIncoming('taken_over');
    assert.deepEqual(await owner(), [target, 2]);
  });
}

test('a server that goes back from a target that is down by an administrator’s word does so without the target', async () => {
  await migrate();
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await say(target, { onLeaseEnd: 'pause' });
  await sayDown(target, { leaseEnds: '10 seconds' });
  await act(actions.revertResize);
  await cloud.controller.reconcile(id);
  assert.equal((await owner())[0], target, 'its guest may run for as long as its lease');
  await sayDown(target);
  await cloud.controller.reconcile(id);
  const { host_id, observed_on_lease_end } = await cloud.service.get(cloud.admin, id);
  assert.deepEqual(
    [host_id, observed_on_lease_end],
    [source, null],
    'and what the target promised is no promise of the source',
  );
  assert.deepEqual([await absentOn(), await portsOn()], [[target], [source]]);
  await say(source);
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'reverted']);
});

test('a server on its way is not evacuated: the other host may have it, and what the first one keeps is the last copy', async () => {
  const evacuate = () => act(actions.evacuate, { host: null });
  await cloud.addHost();
  await migrateLive();
  await sayOfIncoming('ready');
  await sayOfOutgoing('handing_over');
  await act(actions.resetState, 'error');
  await sayDown(source);
  await assert.rejects(evacuate(), { code: 'conflict', reason: 'evacuation_of_moving', fields: { id, kept: false } });
  await sayOfIncoming('taken_over');
  assert.deepEqual(await owner(), [target, 2]);
});

test('a server whose new host is lost before it has started there goes back', async () => {
  const spare = await cloud.addHost();
  await migrate();
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await expire();
  await cloud.controller.reconcile(id);
  assert.equal((await shown())[0], 'ERROR');
  await sayDown(target);
  await assert.rejects(act(actions.evacuate, { host: null }), {
    reason: 'evacuation_of_moving',
    fields: { id, kept: true },
  });
  await act(actions.revertResize);
  await cloud.controller.reconcile(id);
  await say(source);
  assert.deepEqual([(await owner())[0], await shown()], [source, ['ACTIVE', null]]);
  await act(actions.resetState, 'error');
  await assert.rejects(act(actions.revertResize), { reason: 'server_state_conflict' });
  await sql`update host set enabled = false where id = ${spare}`.execute(db.database.query);
});

test('a target takes over nothing that somebody was given under a higher epoch since', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await sql`update server set epoch = 7 where id = ${id}`.execute(db.database.query);
  await sayOfIncoming('taken_over');
  const [host, epoch] = await owner();
  assert.deepEqual([host, (epoch as number) >= 7, await absentOn()], [source, true, [target]]);
});

test('what a host says of its addresses, and in the words of its engines, is not for tenants', async () => {
  await migrateLive();
  const message = 'nothing can be received at 10.0.0.2, ports 49152-49215';
  await sayOfIncoming('given_up', { code: 'migration_ports', message });
  assert.equal((await lastOperation())!.message, 'The server could not be moved, and is where it was.');
  const { rows } = await sql<{ error: object }>`select error from server_migration where server_id = ${id}`.execute(
    db.database.query,
  );
  assert.deepEqual(rows[0]!.error, { code: 'migration_ports', message });
});

test('what servers on their way to other sizes will have counts against the quota', async () => {
  const large = await cloud.addFlavor({ vcpus: 6, memoryMiB: 1024 });
  const usage = async () => {
    const { vcpus, memory_mib } = await quotaUsage(db.database.query, cloud.projectId, descriptor.usage);
    return [vcpus, memory_mib];
  };
  const [vcpus, memory] = (await usage()) as [number, number];
  await act(actions.resize, { flavor: large });
  assert.deepEqual(await usage(), [vcpus + 5, memory + 512]);
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await say(target);
  assert.deepEqual(await usage(), [vcpus + 5, memory + 512]);
  await act(actions.revertResize);
  assert.deepEqual(await usage(), [vcpus + 5, memory + 512], 'until it is what it was');
  await say(target);
  assert.deepEqual(await usage(), [vcpus, memory]);
});

test('one that is called off before its source was told of a target ends at once, whoever is silent', async () => {
  for (const begin of [migrateLive, migrate]) {
    await begin();
    await sayOfIncoming('preparing');
    await sql`update host set connected = false where id = ${target}`.execute(db.database.query);
    await expire();
    await cloud.controller.reconcile(id);
    assert.deepEqual([await absentOn(), await carried(target)], [[target], 0]);
    assert.deepEqual((await lastOperation())?.state, 'failed');
    await say(source);
    assert.deepEqual(
      [await shown(), await owner()],
      [
        ['ACTIVE', null],
        [source, 1],
      ],
    );
    await sql`update host set connected = true where id = ${target}`.execute(db.database.query);
  }
});

test('a source that is lost by an administrator’s word before it has let go is waited for no longer', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await sql`update host set forced_down = true, connected = false where id = ${source}`.execute(db.database.query);
  await cloud.controller.sweep();
  const jobs = await sql`select from graphile_worker.jobs where key = ${`server:${id}`}`.execute(db.database.query);
  assert.equal(jobs.rows.length, 1);
  await cloud.controller.reconcile(id);
  assert.equal((await documentOf(target)).incoming?.cancelled, true);
  await sayOfIncoming('given_up');
  assert.deepEqual([(await owner())[0], (await migration()).status], [source, 'cancelled']);
});

test('a person calls it off, and either host’s word ends it', async () => {
  for (const end of [() => sayOfIncoming('given_up'), () => sayOfOutgoing('stayed')]) {
    await migrateLive();
    const { number } = await migration();
    await assert.rejects(cloud.service.abortMigration(cloud.admin, id, { number, early: false }), {
      reason: 'migration_state',
    });
    await sayOfIncoming('ready');
    await cloud.service.forceMigration(cloud.admin, id, { number });
    assert.equal((await documentOf(source)).outgoing?.force, true);
    await cloud.service.abortMigration(cloud.admin, id, { number, early: false });
    assert.equal((await documentOf(target)).incoming?.cancelled, true);
    assert.equal((await documentOf(source)).outgoing?.target, null);
    await end();
    assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'cancelled']);
    await assert.rejects(cloud.service.abortMigration(cloud.admin, id, { number, early: true }), {
      reason: 'migration_state',
    });
  }
});

test('a server that migrates cold is off on the way, waits for its confirmation, and the source keeps its disks until then', async () => {
  await migrate();
  assert.deepEqual(await shown(), ['RESIZE', 'resize_prep']);
  assert.equal((await documentOf(source)).power, 'on', 'until the target is ready');
  await sayOfIncoming('ready');
  assert.equal((await documentOf(source)).power, 'off');
  await say(source);
  assert.deepEqual(await shown(), ['RESIZE', 'resize_migrating']);
  await sayOfOutgoing('copying');
  await sayOfOutgoing('handed_over');
  await sayOfIncoming('taken_over');
  assert.deepEqual(
    [await owner(), await shown()],
    [
      [target, 2],
      ['RESIZE', 'resize_finish'],
    ],
  );
  assert.equal((await documentOf(target)).power, 'on');
  const kept = await documentOf(source);
  assert.deepEqual([kept.epoch, kept.power, kept.outgoing?.keep], [1, 'off', true]);
  assert.deepEqual([await absentOn(), await carried(source), await carried(target)], [[], 1, 1]);
  await say(source, { state: 'stopped' });
  await say(target);
  assert.deepEqual([await shown(), (await migration()).status], [['VERIFY_RESIZE', null], 'finished']);
  assert.deepEqual(await lastOperation(), { verb: 'migrate', state: 'succeeded', message: null });
  await act(actions.confirmResize);
  assert.deepEqual([await absentOn(), await carried(source)], [[source], 0]);
  await say(target);
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'confirmed']);
});

test('a server that goes back is off at the target before the source has it again', async () => {
  await migrate();
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await say(target);
  await sql`update host set connected = false where id = ${source}`.execute(db.database.query);
  await assert.rejects(act(actions.revertResize), { reason: 'source_host_away' });
  await sql`update host set connected = true where id = ${source}`.execute(db.database.query);
  await act(actions.revertResize);
  assert.deepEqual([await shown(), (await documentOf(target)).power], [['REVERT_RESIZE', 'resize_reverting'], 'off']);
  await say(target);
  const [host, epoch] = await owner();
  assert.deepEqual([host, (epoch as number) > 2, await absentOn()], [source, true, [target]]);
  assert.deepEqual([await portsOn(), await carried(source), await carried(target)], [[source], 1, 0]);
  assert.deepEqual([(await documentOf(source)).power, (await documentOf(source)).outgoing], ['on', undefined]);
  await say(source);
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'reverted']);
  assert.equal((await lastOperation())?.state, 'succeeded');
});

test('a cold one that comes to nothing starts again where it was', async () => {
  await migrate();
  await sayOfIncoming('ready');
  await say(source);
  await sayOfOutgoing('copying');
  const { generation } = await documentOf(source);
  await sayOfIncoming('given_up');
  const document = await documentOf(source);
  assert.deepEqual([document.power, document.generation > generation, document.outgoing], ['on', true, undefined]);
  await say(source);
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'error']);
});

test('a resize for which its own host has no room goes to another, and comes back to what it was', async () => {
  const large = await cloud.addFlavor({ vcpus: 6, memoryMiB: 1024 });
  await act(actions.resize, { flavor: large });
  assert.deepEqual([await shown(), await carried(source), await carried(target)], [['RESIZE', 'resize_prep'], 1, 6]);
  assert.deepEqual([(await documentOf(source)).vcpus, (await documentOf(target)).vcpus], [1, 6]);
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await say(target);
  assert.deepEqual(
    [await shown(), (await documentOf(target)).vcpus, (await documentOf(source)).vcpus],
    [['VERIFY_RESIZE', null], 6, 1],
  );
  assert.deepEqual([await carried(source), await carried(target)], [1, 6]);
  await act(actions.revertResize);
  await say(target);
  await say(source);
  assert.deepEqual(
    [await shown(), (await documentOf(source)).vcpus, await carried(source), await carried(target)],
    [['ACTIVE', null], 1, 1, 0],
  );
  // One that fits where it is stays there.
  await act(actions.resize, { flavor: await cloud.addFlavor({ vcpus: 2, memoryMiB: 1024 }) });
  assert.equal(await told(target), undefined);
});

test('neither host of a server on its way can leave the cloud', async () => {
  await migrate();
  const leave = (host: HostId) => db.database.transaction(cloudActor, (tx) => removeHost(tx, host, { byItself: true }));
  await assert.rejects(leave(target), { reason: 'host_carries_servers' });
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await assert.rejects(leave(source), { reason: 'host_carries_servers' });
});

test('whoever deletes a server on its way leaves nothing of it on either host', async () => {
  await migrate();
  await sayOfIncoming('ready');
  await cloud.service.delete(cloud.admin, id);
  assert.equal((await documentOf(target)).incoming?.cancelled, true);
  await say(source, { state: 'absent' });
  await cloud.controller.reconcile(id);
  assert.deepEqual(await absentOn(), [target]);
});

test('what can’t go is refused with the reason, before anything is made', async () => {
  const refused = (
    reason: string,
    action: ServerAction<actions.LiveMoveWish> | ServerAction<actions.MoveWish> = actions.liveMigrate,
  ) =>
    assert.rejects(act(action as ServerAction<actions.MoveWish>, { host: null, copyDisks: true } as actions.MoveWish), {
      reason,
    });
  const run = (what: ReturnType<typeof sql>) => what.execute(db.database.query);
  await run(sql`update server set hardware = hardware || '{"tpm": {"model": "tpm-crb"}}' where id = ${id}`);
  await refused('server_with_tpm');
  await run(sql`update server set hardware = hardware - 'tpm' where id = ${id}`);
  await assert.rejects(act(actions.liveMigrate, { host: null, copyDisks: false }), { reason: 'disks_not_shared' });
  await run(sql`update host set facts = facts - 'migrations' where id <> ${source}`);
  await refused('no_able_host');
  const decided = await run(sql`select outcome from decision where resource_id = ${id} and kind = 'move'`);
  assert.deepEqual(decided.rows, [{ outcome: 'no_capacity' }], 'and why is kept');
  await run(sql`update host set facts = facts || '{"migrations": ["cold"]}' where id = ${target}`);
  await refused('no_able_host');
  await run(sql`update host set facts = facts - 'migrations' where id = ${source}`);
  await refused('source_host_unable');
  await refused('source_host_unable', actions.migrate);
  await run(sql`update host set connected = false where id = ${source}`);
  await refused('source_host_away');
  await run(
    sql`update host set connected = true, facts = facts || '{"migrations": ["cold", "live"]}' where id = ${source}`,
  );
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: source });
  await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await sql`update volume set desired_task = '{"kind": "backup"}' where id = ${volume.id}`.execute(db.database.query);
  await refused('local_volumes');
  assert.deepEqual([await shown(), await told(target)], [['ACTIVE', null], undefined]);
  assert.equal(powerState(await cloud.service.get(cloud.admin, id)), 1);
});

test('one whose time is over is called off; what was asked has then failed, and it is on its way until a host says whose it is', async () => {
  await migrateLive();
  await sayOfIncoming('ready');
  await expire();
  await cloud.controller.reconcile(id);
  assert.equal((await documentOf(target)).incoming?.cancelled, true);
  assert.equal((await lastOperation())?.state, 'running');
  await expire();
  await cloud.controller.reconcile(id);
  assert.deepEqual([(await lastOperation())?.state, (await shown())[0]], ['failed', 'MIGRATING']);
  await sayOfIncoming('given_up');
  assert.deepEqual([await shown(), (await migration()).status], [['ACTIVE', null], 'cancelled']);
});

test('a resize to another host is confirmed by itself where the cloud is set so', async () => {
  await migrate();
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  await say(target);
  await sql`update server set resized_at = now() - interval '1 hour' where id = ${id}`.execute(db.database.query);
  await sql`update host set connected = false where id = (select host_id from server where id = ${id})`.execute(
    db.database.query,
  );
  await cloud.confirming(60).reconcile(id);
  assert.equal((await shown())[0], 'VERIFY_RESIZE', 'what the source keeps may be the only copy');
  await sql`update host set connected = true where id = (select host_id from server where id = ${id})`.execute(
    db.database.query,
  );
  await cloud.confirming(60).reconcile(id);
  await say(target);
  assert.deepEqual(
    [await shown(), (await migration()).status, await absentOn()],
    [['ACTIVE', null], 'confirmed', [source]],
  );
});
