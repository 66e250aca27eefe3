/** Hosts that are lost and have a BMC: when they are turned off, and what that proves. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { swapped } from '../../../protocols/bmc/index.ts';
import type { FakeBmc, Quirk, Trouble } from '../../../simulator/redfish/index.ts';
import { IpmiSimulator, noIpmi } from '../../../test/support/ipmi-simulator.ts';
import { until } from '../../../test/support/until.ts';
import { recordLiveness } from '../../host/store.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { beginMaintenance } from '../maintenance/index.ts';
import { PowerOffs, type PowerOffTiming } from '../power/index.ts';
import { type BmcWorld, bmcWorld } from '../power/testing.ts';
import { setEvacuationPolicy } from './evacuation-policy.ts';
import { Evacuator } from './evacuator.ts';
import type { EvacuationPolicy } from './snapshots.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let world: BmcWorld;
let flavor: string;
const running: { stop(): unknown }[] = [];
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  world = await bmcWorld(db.database, cloud.admin);
  flavor = await cloud.addFlavor();
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((part) => part.stop()));
  for (const table of ['port', 'server', 'server_absence', 'host'])
    await sql`delete from ${sql.table(table)}`.execute(db.database.query);
});

/** Its guest runs on whatever happens to the lease: only more evidence helps. */
const keeps: Partial<EvacuationPolicy> = { restart: 'elsewhere', disk: 'from_image', on_lease_end: 'keep' };

async function runningOn(host: HostId, policy: Partial<EvacuationPolicy> | null = keeps): Promise<ServerId> {
  await sql`update host set enabled = id = ${host}`.execute(db.database.query);
  const id = await cloud.serverWith(flavor, []);
  if (policy) await setEvacuationPolicy(db.database, cloud.member, id, policy);
  await cloud.obey(host);
  await sql`update host set enabled = true`.execute(db.database.query);
  return id;
}

/** It falls silent, and its lease lasts for a minute yet. */
const silence = (host: HostId, { seen = '1 minute' } = {}) =>
  sql`update host set connected = false, last_seen_at = now() - ${seen}::interval, lease_ends_at = now() + interval '1 minute' where id = ${host}`.execute(
    db.database.query,
  );

const hostOf = async (id: ServerId) => (await cloud.service.get(cloud.admin, id)).host_id;

function evacuating(timing: Partial<PowerOffTiming> = {}): Evacuator {
  const { database } = db;
  const powerOffs = new PowerOffs({
    ...{ database, sealer: world.sealer, log: silentLog },
    timing: {
      graceMs: 10_000,
      lookMs: 5,
      againMs: 50,
      turnMs: 500,
      retryMs: 20,
      deniedMs: 20,
      requestMs: 2000,
      ...timing,
    },
  });
  const evacuator = new Evacuator({
    ...{ database, ports: cloud.ports, log: silentLog, powerOffs },
    timing: { everyMs: 5, steadyMs: 0, retryMs: 20 },
  });
  evacuator.start();
  running.push(evacuator, powerOffs);
  return evacuator;
}

interface Row {
  asked: number;
  off: boolean;
  error: string | null;
  ended: string | null;
}
const powerOffsOf = async (host: HostId): Promise<Row[]> =>
  (
    await sql<Row>`select asked, off_at is not null as off, error, ended from host_power_off where host_id = ${host}
      order by created_at`.execute(db.database.query)
  ).rows;

/** A second host, which is certainly to be turned off, is: everything was looked at. */
async function looked(): Promise<void> {
  const lost = await cloud.addHost();
  await runningOn(lost);
  const bmc = await world.give(lost);
  for (let more = 0; more < 2; more++) await cloud.addHost();
  await silence(lost);
  await until('the other to be turned off', () => !bmc.power);
}

test('a host that is lost is turned off, and its servers are another’s before the lease ends, with what the BMC said as evidence', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  evacuating();
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual(bmc.resets, ['ForceOff']);
  const { rows } = await sql<{ evidence: Record<string, string | null> }>`
    select evidence from server_migration where server_id = ${id}`.execute(db.database.query);
  const { kind, asked_at, off_at, system, label, said } = rows[0]!.evidence;
  assert.deepEqual(
    { kind, system, label, said },
    { kind: 'power_off', system: '/redfish/v1/Systems/1', label: 'Contoso 3500 437XR1138R2', said: 'HTTP 204' },
  );
  assert.ok(Date.parse(asked_at!) <= Date.parse(off_at!));
  assert.deepEqual(await powerOffsOf(lost), [{ asked: 1, off: true, error: null, ended: null }]);
});

/** Its machine, and the one behind the BMC, which may be another. */
async function giveIpmi(host: HostId, { own, behind }: { own: string; behind: string }): Promise<IpmiSimulator> {
  const [user, password] = ['bothy', 'a-secret'];
  const bmc = await IpmiSimulator.start({ user, password, guid: swapped(behind).replaceAll('-', '') });
  await sql`update host set facts = facts || ${JSON.stringify({ machineUuid: own })}::jsonb where id = ${host}`.execute(
    db.database.query,
  );
  await world.service.set(cloud.admin, host, { url: bmc.url, user, password });
  return bmc;
}

test('a host whose BMC speaks IPMI is turned off, and seen to be off, by that', { skip: noIpmi }, async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const own = newId();
  await using bmc = await giveIpmi(lost, { own, behind: own });
  const { same_machine, uuid } = await world.service.test(cloud.admin, lost);
  assert.deepEqual([same_machine, uuid], [true, own]);
  evacuating({ requestMs: 15_000, turnMs: 60_000, decisionMs: 15_000 });
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual([bmc.asked, bmc.power], [['power 0'], false]);
  const { rows } = await sql<{ evidence: Record<string, string | null> }>`
    select evidence from server_migration where server_id = ${id}`.execute(db.database.query);
  const { kind, system, label, said } = rows[0]!.evidence;
  assert.deepEqual(
    { kind, system, label, said },
    {
      kind: 'power_off',
      system: 'chassis',
      label: 'Contoso 3500 437XR1138R2',
      said: 'Chassis Power Control: Down/Off',
    },
  );
});

test('another machine behind IPMI is not turned off, and that it is off proves nothing', { skip: noIpmi }, async () => {
  const lost = await cloud.addHost();
  await cloud.addHost();
  const id = await runningOn(lost);
  await using bmc = await giveIpmi(lost, { own: newId(), behind: newId() });
  bmc.power = false;
  await assert.rejects(world.service.accept(cloud.admin, lost), { reason: 'bmc_of_another_machine' });
  await assert.rejects(world.service.power(cloud.admin, lost, 'on'), { reason: 'bmc_unproven' });
  evacuating({ requestMs: 15_000, turnMs: 60_000 });
  await silence(lost);
  await until('it to be looked at', async () => /another machine/.test((await powerOffsOf(lost))[0]?.error ?? ''));
  bmc.power = true;
  await looked();
  assert.deepEqual([bmc.asked, await hostOf(id)], [[], lost]);
});

test('between the decision and its request nothing is asked of the BMC', async () => {
  const lost = await cloud.addHost();
  await runningOn(lost);
  await cloud.addHost();
  let asked = 0;
  const bmc = await world.give(lost, {
    onPower: () => {
      asked = bmc.asked;
    },
  });
  evacuating();
  await silence(lost);
  await until('it to be turned off', () => !bmc.power);
  assert.equal(asked, 4, 'the root, its systems, the system, the reset');
});

test('a machine that is off already is not asked, whatever its BMC would have answered', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  bmc.quirks.add('conflict when off');
  bmc.turn(false);
  evacuating();
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual(bmc.resets, []);
});

for (const quirk of [
  'slow to go off',
  'sessions only',
  'accepts with a task',
  'no keep-alive',
  'absolute links',
] satisfies Quirk[]) {
  test(`a BMC with the habit '${quirk}' turns its host off, asked once`, async () => {
    const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
    const id = await runningOn(lost);
    const bmc = await world.give(lost);
    bmc.quirks.add(quirk);
    evacuating({ againMs: 60_000 });
    await silence(lost);
    await until('the server to be given to another', async () => (await hostOf(id)) === other);
    assert.deepEqual(bmc.resets, ['ForceOff']);
    await until('what was begun there to be ended', () => bmc.sessions.size === 0);
  });
}

const leftAlone: [string, (host: HostId, bmc: FakeBmc) => Promise<unknown>][] = [
  ['it is silent for a moment only', (host) => silence(host, { seen: '5 seconds' })],
  [
    'it is heard',
    (host) =>
      sql`update host set last_seen_at = now() - interval '1 minute' where id = ${host}`.execute(db.database.query),
  ],
  [
    'an administrator calls it down',
    async (host) => {
      await sql`update host set forced_down = true where id = ${host}`.execute(db.database.query);
      await silence(host);
    },
  ],
  [
    'its process ended in order',
    async (host) => {
      await silence(host);
      await sql`update host set left_at = last_seen_at where id = ${host}`.execute(db.database.query);
    },
  ],
  [
    'it is in maintenance',
    async (host) => {
      await sql`update host set maintenance = '{"cause": "shutdown"}' where id = ${host}`.execute(db.database.query);
      await silence(host);
    },
  ],
  [
    'nobody wants its servers elsewhere',
    async (host) => {
      await sql`update server set evacuation_policy = null where host_id = ${host}`.execute(db.database.query);
      await silence(host);
    },
  ],
  [
    'its BMC shall not turn it off',
    async (host) => {
      await sql`update host_bmc set fences = false where host_id = ${host}`.execute(db.database.query);
      await silence(host);
    },
  ],
];
for (const [name, what] of leftAlone) {
  test(`a host keeps its power where ${name}`, async () => {
    const host = await cloud.addHost();
    await runningOn(host);
    const bmc = await world.give(host);
    await what(host, bmc);
    evacuating();
    await looked();
    assert.deepEqual([bmc.asked, bmc.power], [0, true]);
  });
}

test('where more than half of the hosts are silent none is turned off', async () => {
  const hosts = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost()] as const;
  const bmcs: FakeBmc[] = [];
  for (const host of hosts.slice(0, 2)) {
    await runningOn(host);
    bmcs.push(await world.give(host));
    await silence(host);
  }
  const made = evacuating();
  await sql`update host set lease_ends_at = now() - interval '1 minute' where id = ${hosts[0]}`.execute(
    db.database.query,
  );
  await sql`update server set evacuation_policy = evacuation_policy || '{"on_lease_end": "pause"}' where host_id = ${hosts[0]}`.execute(
    db.database.query,
  );
  await until('it to be held', () => made.held);
  assert.deepEqual(
    bmcs.map(({ asked }) => asked),
    [0, 0],
  );
  // With two more it is not more than half of them.
  for (let more = 0; more < 2; more++) await cloud.addHost();
  await until('both to be turned off', () => bmcs.every(({ power }) => !power));
});

test('a host that comes back before it is asked is left alone, and what was asked for is over', async () => {
  const lost = await cloud.addHost();
  await runningOn(lost);
  await cloud.addHost();
  const bmc = await world.give(lost);
  bmc.trouble = 'silent';
  evacuating({ requestMs: 300 });
  await silence(lost);
  await until('its BMC to be asked how it is', () => bmc.asked > 0);
  await sql`update host set connected = true, last_seen_at = now() where id = ${lost}`.execute(db.database.query);
  bmc.trouble = undefined;
  await until('it to be over', async () => (await powerOffsOf(lost))[0]?.ended === 'heard');
  await looked();
  assert.deepEqual([bmc.resets, bmc.power], [[], true]);
});

const troubles: [Trouble | 'wrong password', RegExp][] = [
  ['wrong password', /does not take the user/],
  ['server error', /HTTP 503/],
  ['half an answer', /./],
  ['no json', /no JSON/],
  ['foreign links', /leads out of the service/],
  ['silent', /no answer in time/],
];
for (const [trouble, why] of troubles) {
  test(`with a BMC of no use (${trouble}) the lease remains the evidence, and when it is of use again it is asked`, async () => {
    const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
    const [kept, paused] = [await runningOn(lost), await runningOn(lost, { ...keeps, on_lease_end: 'pause' })];
    const bmc = await world.give(lost);
    if (trouble === 'wrong password') bmc.password = 'another';
    else bmc.trouble = trouble;
    evacuating({ requestMs: 200 });
    await silence(lost);
    await until('why it is of no use to be noted', async () => why.test((await powerOffsOf(lost))[0]?.error ?? ''));
    assert.deepEqual([await hostOf(kept), await hostOf(paused)], [lost, lost]);
    await sql`update host set lease_ends_at = now() - interval '1 minute' where id = ${lost}`.execute(
      db.database.query,
    );
    await until('the one whose guest ends with the lease to go', async () => (await hostOf(paused)) === other);
    assert.equal(await hostOf(kept), lost);
    bmc.trouble = undefined;
    bmc.password = 'a Пароль';
    await until('the other to go', async () => (await hostOf(kept)) === other);
    assert.deepEqual(bmc.resets, ['ForceOff']);
  });
}

test('one that does not do what it accepts is asked again, and its servers stay', async () => {
  const lost = await cloud.addHost();
  const id = await runningOn(lost);
  await cloud.addHost();
  const bmc = await world.give(lost);
  bmc.trouble = 'ignores resets';
  evacuating();
  await silence(lost);
  await until('it to be asked again', () => bmc.resets.length > 1);
  assert.equal(await hostOf(id), lost);
});

test('another certificate gets no password, and no host is turned off by it', async () => {
  const lost = await cloud.addHost();
  await runningOn(lost);
  await cloud.addHost();
  const bmc = await world.give(lost);
  await sql`update host_bmc set ca = null, fingerprint256 = ${'0'.repeat(64)} where host_id = ${lost}`.execute(
    db.database.query,
  );
  evacuating();
  await silence(lost);
  await until('it to be noted', async () =>
    /its certificate is another one/.test((await powerOffsOf(lost))[0]?.error ?? ''),
  );
  assert.equal(bmc.asked, 0);
});

test('a BMC of another machine than the host turns nothing off; firmware that turns the UUID’s bytes round is the same machine', async () => {
  const machines = {
    other: ['00000000-1111-2222-3333-444444444444', '4c4c4544-0042-3510-8051-b4c04f4e3731'],
    same: ['44454c4c-4200-1035-8051-b4c04f4e3732', '4c4c4544-0042-3510-8051-b4c04f4e3732'],
  } as const;
  for (const [name, [uuid, own]] of Object.entries(machines)) {
    const lost = await cloud.addHost();
    await runningOn(lost);
    for (let more = 0; more < 2; more++) await cloud.addHost();
    await sql`update host set facts = facts || ${JSON.stringify({ machineUuid: own })}::jsonb where id = ${lost}`.execute(
      db.database.query,
    );
    const bmc = await world.give(lost, { uuid });
    const tested = await world.service.test(cloud.admin, lost);
    assert.equal(tested.same_machine, name === 'same');
    evacuating();
    await silence(lost);
    if (name === 'same') await until('it to be off', () => !bmc.power);
    else
      await until('it to be noted', async () => /is another machine/.test((await powerOffsOf(lost))[0]?.error ?? ''));
    assert.equal(bmc.power, name === 'other');
  }
});

const unshown: [string, { host?: string; bmc: string | null; twin?: boolean }][] = [
  ['the host says no UUID', { bmc: '4c4c4544-0042-3510-8051-b4c04f4e3733' }],
  ['the BMC says no UUID', { host: '4c4c4544-0042-3510-8051-b4c04f4e3733', bmc: null }],
  [
    'another host says the same UUID',
    {
      ...{ host: '4c4c4544-0042-3510-8051-b4c04f4e3733', bmc: '4c4c4544-0042-3510-8051-b4c04f4e3733' },
      twin: true,
    },
  ],
];
for (const [name, { host, bmc: uuid, twin }] of unshown) {
  test(`where ${name} nothing is turned off, and a machine that is off proves nothing`, async () => {
    const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
    const id = await runningOn(lost);
    await cloud.addHost();
    const saying = [...(host ? [lost] : []), ...(twin ? [other] : [])];
    await sql`update host set facts = facts || ${JSON.stringify({ machineUuid: host })}::jsonb
      where id = any(${saying}::uuid[])`.execute(db.database.query);
    const bmc = await world.give(lost, { uuid });
    assert.equal((await world.service.test(cloud.admin, lost)).same_machine, null);
    bmc.turn(false);
    evacuating();
    await silence(lost);
    await until('it to be noted', async () => /nothing shows/.test((await powerOffsOf(lost))[0]?.error ?? ''));
    assert.deepEqual([bmc.resets, (await powerOffsOf(lost))[0]?.off, await hostOf(id)], [[], false, lost]);
  });
}

test('a host that talks although it was said to be off is lent nothing before it has heard all anew, and its BMC is not believed again until it is set', async () => {
  const lost = await cloud.addHost();
  const id = await runningOn(lost);
  const other = await cloud.addHost();
  const bmc = await world.give(lost);
  bmc.trouble = 'lies';
  evacuating();
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  const connection = '00000000-0000-4000-8000-000000000001';
  await sql`update host set connection_id = ${connection}, facts = facts || '{"bootedAt": "2020-01-01T00:00:00.000Z"}' where id = ${lost}`.execute(
    db.database.query,
  );
  const streams = { alive: [connection], asking: [connection] };
  const { lent, lapsed } = await recordLiveness(db.database.query, streams, { silentMs: 1000, leaseMs: 1000 });
  assert.deepEqual([[...lent], [...lapsed]], [[], [connection]]);
  await until('it to be over', async () => (await powerOffsOf(lost))[0]?.ended === 'contradicted');
  assert.notEqual((await world.service.get(cloud.admin, lost)).contradicted_at, null);
  await runningOn(lost);
  await silence(lost);
  const resets = bmc.resets.length;
  await looked();
  assert.equal(bmc.resets.length, resets);
  await world.give(lost);
  assert.equal((await world.service.get(cloud.admin, lost)).contradicted_at, null);
});

test('what one host says of its start keeps no other host from being turned off', async () => {
  const [liar, lost] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  await cloud.addHost();
  await sql`insert into host_power_off (id, host_id, silent_since, asked, asked_at, off_at)
    select gen_random_uuid(), id, now() - interval '1 minute', 1, now(), now() from host where id = ${liar}`.execute(
    db.database.query,
  );
  await sql`update host set last_seen_at = now() + interval '1 second', facts = facts || '{"bootedAt": "lately"}' where id = ${liar}`.execute(
    db.database.query,
  );
  evacuating();
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) !== lost);
  assert.deepEqual([bmc.resets.length, (await powerOffsOf(liar))[0]?.ended], [1, 'heard']);
});

test('a control process that dies after it has written down what it asks for is followed by another', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  await silence(lost);
  // As it stands where the process died between its word and the request.
  await sql`insert into host_power_off (id, host_id, silent_since, asked, asked_at, next_at)
    select gen_random_uuid(), id, last_seen_at, 1, now(), now() + interval '100 milliseconds' from host where id = ${lost}`.execute(
    db.database.query,
  );
  evacuating();
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual([bmc.resets, (await powerOffsOf(lost)).map(({ asked }) => asked)], [['ForceOff'], [2]]);
});

test('of several control processes one asks', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  for (let more = 0; more < 3; more++) evacuating({ againMs: 60_000, turnMs: 20_000 });
  await silence(lost);
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual(bmc.resets, ['ForceOff']);
});

test('an administrator’s word stands for a UUID that nobody tells: of that system alone, kept with the evidence, until address or certificate is another', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  await cloud.addHost();
  const bmc = await world.give(lost, { uuid: null });
  await assert.rejects(world.service.power(cloud.admin, lost, 'force_off'), { reason: 'bmc_unproven' });
  const { accepted } = await world.service.accept(cloud.admin, lost);
  assert.deepEqual([accepted?.user_id, accepted?.label], [cloud.admin.userId, 'Contoso 3500 437XR1138R2']);
  await assert.rejects(world.service.accept(cloud.member, lost), { code: 'forbidden' });
  evacuating();
  await silence(lost);
  await until('it to be evacuated', async () => (await hostOf(id)) !== lost);
  assert.deepEqual(bmc.resets, ['ForceOff']);
  const { rows } = await sql<{ evidence: { kind: string; accepted: { user_id: string } } }>`
    select evidence from server_migration where server_id = ${id}`.execute(db.database.query);
  assert.deepEqual([rows[0]!.evidence.kind, rows[0]!.evidence.accepted.user_id], ['power_off', cloud.admin.userId]);
  const { url, user_name: user, ca } = await world.service.get(cloud.admin, lost);
  await world.service.set(cloud.admin, lost, { url, user, trust: { ca: ca! } });
  assert.notEqual((await world.service.get(cloud.admin, lost)).accepted, null, 'nothing of it is another');
  await sql`update host_bmc set accepted = accepted || '{"label": "Contoso 3500 another"}' where host_id = ${lost}`.execute(
    db.database.query,
  );
  await assert.rejects(
    world.service.power(cloud.admin, lost, 'on'),
    { reason: 'bmc_unproven' },
    'the machine was swapped',
  );
  await world.service.set(cloud.admin, lost, {
    url,
    user,
    password: 'a Пароль',
    trust: { fingerprint256: '0'.repeat(64) },
  });
  assert.equal((await world.service.get(cloud.admin, lost)).accepted, null);
  assert.ok(other);
});

test('a host that is lost while the cloud empties it to save power is turned off, and its servers go elsewhere', async () => {
  const [lost, other] = [await cloud.addHost(), await cloud.addHost()];
  const id = await runningOn(lost);
  const bmc = await world.give(lost);
  await db.database.transaction(cloudActor, (tx) =>
    beginMaintenance(tx, lost, { cause: 'consolidation', reason: null }),
  );
  await silence(lost);
  evacuating();
  await until('the server to be given to another', async () => (await hostOf(id)) === other);
  assert.deepEqual(bmc.resets, ['ForceOff']);
});

test('a person turns a host on and off, in order only where it has no servers, and never another machine', async () => {
  const host = await cloud.addHost();
  await runningOn(host);
  const bmc = await world.give(host);
  await assert.rejects(world.service.power(cloud.admin, host, 'off'), { reason: 'host_power_off_with_servers' });
  const empty = await cloud.addHost();
  const other = await world.give(empty);
  await assert.rejects(world.service.power(cloud.admin, empty, 'off'), { reason: 'host_power_off_open' });
  await sql`update host set enabled = false where id = ${empty}`.execute(db.database.query);
  await world.service.power(cloud.admin, empty, 'off');
  assert.deepEqual(other.resets, ['GracefulShutdown']);
  await world.service.power(cloud.admin, host, 'force_off');
  await world.service.power(cloud.admin, host, 'on');
  assert.deepEqual(bmc.resets, ['ForceOff', 'On']);
  await sql`update host set facts = facts || '{"machineUuid": "4c4c4544-0042-3510-8051-b4c04f4e3733"}' where id = ${host}`.execute(
    db.database.query,
  );
  await assert.rejects(world.service.power(cloud.admin, host, 'force_off'), { reason: 'bmc_unproven' });
  await assert.rejects(world.service.accept(cloud.admin, host), { reason: 'bmc_of_another_machine' });
  await assert.rejects(world.service.power(cloud.member, host, 'on'), { code: 'forbidden' });
});
