/** Servers of hosts that are lost: when they are restarted elsewhere, and when not. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { HypervisorService } from '../hypervisor/index.ts';
import { ServerGroupService } from '../server-group/index.ts';
import { evacuate } from './actions/evacuate.ts';
import { setEvacuationPolicy } from './evacuation-policy.ts';
import { Evacuator, type EvacuatorOptions, type EvacuatorTiming } from './evacuator.ts';
import type { EvacuationPolicy } from './snapshots.ts';
import { serverStatus } from './states.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';
import type { ServerWish } from './wish.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;
const running: Evacuator[] = [];
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());
afterEach(async () => {
  for (const evacuator of running.splice(0)) evacuator.stop();
  await sql`delete from port`.execute(db.database.query);
  await sql`delete from server`.execute(db.database.query);
  await sql`delete from server_absence`.execute(db.database.query);
  await sql`delete from host`.execute(db.database.query);
});

const elsewhere: Partial<EvacuationPolicy> = { restart: 'elsewhere', disk: 'from_image' };

/** A server that runs on that host, and of which the host says that it keeps to its policy. */
async function runningOn(
  host: HostId,
  policy: Partial<EvacuationPolicy> | null = elsewhere,
  wish: Partial<ServerWish> = {},
): Promise<ServerId> {
  await sql`update host set enabled = id = ${host}`.execute(db.database.query);
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, ...wish }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  if (policy) await setEvacuationPolicy(db.database, cloud.member, id, policy);
  await cloud.obey(host);
  await sql`update host set enabled = true`.execute(db.database.query);
  assert.equal((await rowOf(id)).host_id, host);
  return id;
}

/** As long after a lease's end as the tests need to be sure that it is over, however busy the machine is. */
const marginMs = 30_000;
const lose = (host: HostId, { leaseEndedAgo = '1 minute' } = {}) =>
  sql`update host set connected = false, last_seen_at = now(), lease_ends_at = now() - ${leaseEndedAgo}::interval where id = ${host}`.execute(
    db.database.query,
  );

const hostsOf = (ids: readonly ServerId[]) => Promise.all(ids.map(async (id) => (await rowOf(id)).host_id as HostId));

const rowOf = (id: ServerId) => cloud.service.get(cloud.admin, id);

function evacuator(timing: Partial<EvacuatorTiming> = {}, ports: EvacuatorOptions['ports'] = cloud.ports): Evacuator {
  const made = new Evacuator({
    ...{ database: db.database, ports, log: silentLog },
    timing: { everyMs: 5, steadyMs: 0, retryMs: 20, marginMs, ...timing },
  });
  made.start();
  running.push(made);
  return made;
}

/** A second server, which is certainly to be evacuated, is: everything was looked at. */
async function looked(): Promise<void> {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const witness = await runningOn(lost);
  await sql`update host set enabled = false where id <> ${other}`.execute(db.database.query);
  await lose(lost);
  await until('the witness to be evacuated', async () => (await rowOf(witness)).host_id === other);
}

test('a server of a host whose lease has ended is another host’s, under a new epoch, with the evidence kept', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const before = await rowOf(id);
  evacuator();
  await lose(lost);
  await until('the server to be given to another', async () => (await rowOf(id)).host_id === other);
  const given = await rowOf(id);
  assert.equal(given.epoch, before.epoch + 1);
  assert.equal(serverStatus(given), 'REBUILD');
  const { rows: ports } = await sql<{
    host_id: string;
  }>`select p.host_id from port p join server_port sp on sp.port_id = p.id
    where sp.server_id = ${id}`.execute(db.database.query);
  assert.deepEqual(ports, [{ host_id: other }]);
  const { rows: absences } = await sql`select host_id, epoch from server_absence where server_id = ${id}`.execute(
    db.database.query,
  );
  assert.deepEqual(absences, [{ host_id: lost, epoch: before.epoch }]);
  const { rows: migrations } = await sql<{ kind: string; evidence: { kind: string; on_lease_end: string } }>`
    select kind, evidence from server_migration where server_id = ${id}`.execute(db.database.query);
  assert.equal(migrations.length, 1);
  assert.equal(migrations[0]!.kind, 'evacuation');
  assert.deepEqual([migrations[0]!.evidence.kind, migrations[0]!.evidence.on_lease_end], ['lease', 'pause']);
  const { rows: used } = await sql<{ servers: number }>`select servers from host_usage where host_id = ${lost}`.execute(
    db.database.query,
  );
  assert.equal(used[0]!.servers, 0);
  // The lost one comes back and says that it runs.
  await cloud.side.recordReports(lost, [
    {
      id,
      epoch: before.epoch,
      generation: before.generation,
      state: 'running',
      rebootCount: 0,
      step: null,
      error: null,
      startedAt: null,
    },
  ]);
  assert.equal((await rowOf(id)).observed_state, 'none');
  await cloud.obey(other);
  assert.equal(serverStatus(await rowOf(id)), 'ACTIVE');
});

const stays: [
  string,
  { policy?: Partial<EvacuationPolicy> | null; lost?: (host: HostId, id: ServerId) => Promise<unknown> },
][] = [
  ['its lease has not ended for certain', { lost: (host) => lose(host, { leaseEndedAgo: '1 second' }) }],
  [
    'its host asks for no leases',
    {
      lost: (host) =>
        sql`update host set connected = false, last_seen_at = now(), lease_ends_at = null where id = ${host}`.execute(
          db.database.query,
        ),
    },
  ],
  [
    'its host is heard',
    {
      lost: (host) =>
        sql`update host set lease_ends_at = now() - interval '1 minute' where id = ${host}`.execute(db.database.query),
    },
  ],
  ['nobody wants that', { policy: null }],
  ['its guest runs on when the lease ends', { policy: { ...elsewhere, on_lease_end: 'keep' } }],
  ['its disk is to be kept, and is on the lost host', { policy: { restart: 'elsewhere' } }],
  [
    'its host has not said that it keeps to it',
    {
      async lost(host, id) {
        await sql`update server set observed_on_lease_end = null where id = ${id}`.execute(db.database.query);
        await lose(host);
      },
    },
  ],
  [
    'its host has not heard of the policy',
    {
      async lost(host, id) {
        await setEvacuationPolicy(db.database, cloud.member, id, { ...elsewhere, on_lease_end: 'stop' });
        await lose(host);
      },
    },
  ],
];
for (const [name, { policy = elsewhere, lost = lose }] of stays) {
  test(`a server stays where it is where ${name}`, async () => {
    const host = await cloud.addHost();
    const id = await runningOn(host, policy);
    await cloud.addHost();
    await lost(host, id);
    await sql`update host set last_seen_at = now() - interval '1 hour' where id = ${host}`.execute(db.database.query);
    evacuator();
    await looked();
    assert.equal((await rowOf(id)).host_id, host);
  });
}

test('an administrator’s word that a host is down is evidence, once it is not heard, also for guests that run on', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost, { ...elsewhere, on_lease_end: 'keep' });
  await sql`update host set forced_down = true, forced_down_by = '{"user_name": "ayşe"}' where id = ${lost}`.execute(
    db.database.query,
  );
  evacuator();
  await sql`update host set connected = false where id = ${lost}`.execute(db.database.query);
  await until('the server to be given to another', async () => (await rowOf(id)).host_id === other);
  const { rows } = await sql<{
    evidence: object;
  }>`select evidence from server_migration where server_id = ${id}`.execute(db.database.query);
  assert.deepEqual(rows[0]!.evidence, { kind: 'administrator', by: { user_name: 'ayşe' }, last_seen_at: null });
});

test('that word counts of the silence in which it was said, and not while the host may believe in its lease', async () => {
  const [said, lent] = [await cloud.addHost(), await cloud.addHost()];
  const policy = { ...elsewhere, on_lease_end: 'keep' } as const;
  const [first, second] = [await runningOn(said, policy), await runningOn(lent, policy)];
  await sql`update host set connected = false, forced_down = true, last_seen_at = now() - interval '1 hour',
      forced_down_by = jsonb_build_object('at', to_char((now() - interval '2 hours') at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    where id = ${said}`.execute(db.database.query);
  await sql`update host set connected = false, forced_down = true, last_seen_at = now() - interval '1 hour', lease_ends_at = now() + interval '1 minute'
    where id = ${lent}`.execute(db.database.query);
  evacuator();
  await looked();
  assert.deepEqual([(await rowOf(first)).host_id, (await rowOf(second)).host_id], [said, lent]);
  await new HypervisorService({ database: db.database }).say(cloud.admin, said, { forcedDown: true });
  await until('what was said again to count', async () => (await rowOf(first)).host_id !== said);
});

test('where the host that it went to is lost before it has said a word, it goes on to another one', async () => {
  const [lost, next] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  evacuator();
  await lose(lost);
  await until('the next one to have it', async () => (await rowOf(id)).host_id === next);
  const third = await cloud.addHost();
  for (let n = 0; n < 3; n++) await cloud.addHost();
  await sql`update host set enabled = id = ${third}`.execute(db.database.query);
  await lose(next);
  await until('the third one to have it', async () => (await rowOf(id)).host_id === third);
});

test('silence alone takes no server from a host that it was evacuated to', async () => {
  const [lost, next] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost, null);
  await sql`update host set connected = false, forced_down = true where id = ${lost}`.execute(db.database.query);
  await cloud.service.act(cloud.admin, id, evacuate, { host: null });
  assert.equal((await rowOf(id)).host_id, next);
  await cloud.addHost();
  await sql`update host set connected = false, last_seen_at = now() - interval '1 hour', lease_ends_at = now() - interval '1 hour'
    where id = ${next}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  assert.equal((await rowOf(id)).host_id, next, 'it may run there');
});

test('where more than half of the hosts are lost at once none is believed to be, until some are back', async () => {
  const hosts = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost()] as const;
  const [first, second] = [await runningOn(hosts[0]), await runningOn(hosts[1])];
  await lose(hosts[0]);
  await lose(hosts[1]);
  const made = evacuator();
  await until('it to be held', () => made.held);
  assert.deepEqual([(await rowOf(first)).host_id, (await rowOf(second)).host_id], [hosts[0], hosts[1]]);
  await sql`update host set connected = true where id = ${hosts[1]}`.execute(db.database.query);
  await until('the one that is lost to be evacuated', async () => (await rowOf(first)).host_id !== hosts[0]);
  assert.equal((await rowOf(second)).host_id, hosts[1]);
  assert.equal(made.held, false);
});

test('who has looked for too short a time, or with a gap, believes nothing yet', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  await lose(lost);
  // Both look as often as the third, which is the only one that has looked for long enough in the end.
  evacuator({ steadyMs: 3_600_000 });
  evacuator({ gapMs: 0, steadyMs: 1 });
  const began = performance.now();
  evacuator({ steadyMs: 400 });
  await until('the server to be given to another', async () => (await rowOf(id)).host_id === other);
  assert.ok(performance.now() - began >= 400);
});

test('the higher priority goes first, and where there is no room the others wait for it', async () => {
  const lost = await cloud.addHost();
  const low = await runningOn(lost, { ...elsewhere, priority: 1 });
  const high = await runningOn(lost, { ...elsewhere, priority: 7 });
  const small = await cloud.addHost({ vcpus: 1 });
  await lose(lost);
  evacuator();
  await until('the one', async () => (await rowOf(high)).host_id === small);
  assert.equal((await rowOf(low)).host_id, lost);
  const large = await cloud.addHost();
  await until('the other', async () => (await rowOf(low)).host_id === large);
});

test('many of several lost hosts go together: by priority, into the room that there is, with their groups’ rules', async () => {
  const lost = [await cloud.addHost(), await cloud.addHost()] as const;
  const groups = new ServerGroupService({ database: db.database });
  const { id: serverGroup } = await groups.create(cloud.member, {
    ...{ name: 'apart', policy: 'anti-affinity', maxServersPerHost: null },
  });
  const ids: ServerId[] = [];
  for (const [n, host] of [...lost, ...lost, ...lost, ...lost].entries())
    ids.push(await runningOn(host, { ...elsewhere, priority: n }, n >= 6 ? { serverGroup } : {}));
  // Room for six of the eight, of which the two of the group share no host.
  const others = [await cloud.addHost({ vcpus: 5 }), await cloud.addHost({ vcpus: 1 }), await cloud.addHost()];
  await sql`update host set enabled = false where id = ${others[2]!}`.execute(db.database.query);
  for (const host of lost) await lose(host);
  evacuator();
  await until(
    'six to be evacuated',
    async () => (await hostsOf(ids)).filter((host) => others.includes(host)).length === 6,
  );
  const where = await hostsOf(ids);
  assert.ok(
    where.slice(0, 2).every((host) => lost.includes(host)),
    'the two that matter least wait',
  );
  assert.notEqual(where[6], where[7]);
  const { rows } = await sql<{ id: HostId; carried: number; counted: number }>`
    select h.id, count(s.id)::integer as carried, u.vcpus::integer as counted from host h join host_usage u on u.host_id = h.id
      left join server s on s.host_id = h.id where h.id = any(${others}::uuid[]) group by h.id, u.vcpus order by carried desc`.execute(
    db.database.query,
  );
  assert.deepEqual(
    rows.map(({ carried, counted }) => [carried, counted]),
    [
      [5, 5],
      [1, 1],
    ],
  );
  const { rows: each } = await sql<{ epoch: number; absent: number; bound: number; running: number; evidence: number }>`
    select s.epoch, (select count(*)::integer from server_absence a where a.server_id = s.id and a.epoch = 1) as absent,
      (select count(*)::integer from server_port sp join port p on p.id = sp.port_id where sp.server_id = s.id and p.host_id = s.host_id) as bound,
      (select count(*)::integer from operation o where o.resource_id = s.id and o.state = 'running' and o.verb = 'evacuate'
        and o.generation = s.generation) as running,
      (select count(*)::integer from server_migration m where m.server_id = s.id and m.target_epoch = s.epoch and m.evidence ->> 'kind' = 'lease') as evidence
    from server s where s.host_id = any(${others}::uuid[])`.execute(db.database.query);
  assert.deepEqual(
    each,
    Array.from({ length: 6 }, () => ({ epoch: 2, absent: 1, bound: 1, running: 1, evidence: 1 })),
  );
});

test('one that cannot be given another host keeps none of those beside it, and what it would have taken is free', async () => {
  const lost = await cloud.addHost();
  const ids = [await runningOn(lost), await runningOn(lost), await runningOn(lost)];
  const ports: typeof cloud.ports.bindServerPorts = async (tx, placed) => {
    await cloud.ports.bindServerPorts(tx, placed);
    if (placed.some(({ serverId }) => serverId === ids[0])) throw new Error('of this one alone');
  };
  const other = await cloud.addHost({ vcpus: 2 });
  await lose(lost);
  evacuator({ retryMs: 3_600_000 }, { bindServerPorts: ports });
  await until(
    'its neighbours to be evacuated',
    async () => (await hostsOf(ids)).filter((host) => host === other).length === 2,
  );
  assert.deepEqual(await hostsOf(ids), [lost, other, other]);
});

test('an administrator’s word about one of many lost hosts is heard, whatever waits on the others', async () => {
  const hosts = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost()] as const;
  const first = await runningOn(hosts[0], { ...elsewhere, priority: 9 });
  const second = await runningOn(hosts[1]);
  const [forced, empty] = [await cloud.addHost(), await cloud.addHost()];
  const said = await runningOn(forced);
  for (const host of [hosts[0], hosts[1], forced, empty]) await lose(host);
  const made = evacuator({ together: 1 });
  await until('it to be held', () => made.held);
  await new HypervisorService({ database: db.database }).say(cloud.admin, forced, { forcedDown: true });
  await until('the one that was said to be down to be evacuated', async () => (await rowOf(said)).host_id === hosts[2]);
  assert.equal(made.held, true);
  assert.deepEqual(await hostsOf([first, second]), [hosts[0], hosts[1]]);
});
