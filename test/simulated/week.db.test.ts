/**
 * A week of a small cloud in two minutes: tenants who do whatever people do, all at once, while control, hosts and the database die, freeze and are cut off, and at night
 * the database goes back to what it was at noon. Nothing is lost, stuck, there twice or erased, and no answer is an error of ours. `npm run check` lives a day of it with four
 * tenants, `npm run fuzz` the week with twenty; BOTHY_TEST_DAYS and BOTHY_TEST_TENANTS say otherwise. BOTHY_TEST_SEED repeats its choices (not their timing); it is printed.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sql } from 'kysely';
import { discard, type Outcome, recover } from '../../control/compute/recovery/index.ts';
import { registerHost } from '../../control/host/index.ts';
import { fuzzing } from '../support/part-of.ts';
import { Random } from '../support/random.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { makeTenancy, type Tenancy } from '../support/tenancy.ts';
import { WeekTenant } from '../support/week-tenant.ts';

const days = Number(process.env.BOTHY_TEST_DAYS ?? (fuzzing ? 7 : 1));
const tenantsCount = Number(process.env.BOTHY_TEST_TENANTS ?? (fuzzing ? 20 : 4));
const dayMs = 10_000;
/** What a dead process leaves in this one, which stands for all. */
const remainsMiB = 20;

test(`${tenantsCount} tenants live ${days} days of a cloud whose processes die, freeze and are cut off`, async (t) => {
  const seed = Number(process.env.BOTHY_TEST_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`BOTHY_TEST_SEED=${seed}`);
  const random = new Random(seed);
  await using cloud = await SimulatedCloud.start({ hosts: 3, postgres: 'own' });
  const tenancy = await makeTenancy(cloud);
  const tenants = await Promise.all(
    Array.from({ length: tenantsCount }, (_, n) =>
      tenant(cloud, tenancy, `tenant ${n} 小屋`, new Random(seed + n + 1)),
    ),
  );
  const faults = () => tenants.flatMap((one) => one.faults);
  const heaps: number[] = [];
  const seen: Record<string, number> = {};
  for (let day = 0; day < days; day++) {
    const dump = await liveThrough(cloud, { tenants, random, seen });
    assert.deepEqual(faults(), []);
    await goBack(cloud, tenants, dump);
    heaps.push(heap());
  }
  assert.deepEqual(faults(), []);
  await atRest(cloud);
  for (const one of tenants) {
    const there = await serversOf(cloud, one.name);
    for (const { id, leaving } of one.things.servers.values())
      assert.ok(leaving || there.has(id), `server ${id} is lost`);
  }
  await Promise.all(tenants.map((one) => one.leave(cloud)));
  assert.deepEqual(faults(), []);
  await atRest(cloud);
  for (const host of cloud.hosts)
    await cloud.until(`nothing to be left on ${host.name}: ${host.leftovers()}`, () => host.leftovers().length === 0);
  const sum = (key: keyof WeekTenant['counts']) => tenants.reduce((all, one) => all + one.counts[key], 0);
  t.diagnostic(
    `${JSON.stringify(seen)}; ${sum('answered')} answers, ${sum('refused')} refusals, ${sum('unavailable')} times unavailable, ${sum('lost')} without an answer`,
  );
  t.diagnostic(`heap of all processes after each day, in MiB: ${heaps.join(', ')}`);
  const dead = (seen['control killed'] ?? 0) + (seen['host killed'] ?? 0) + days;
  assert.ok(heaps.at(-1)! < 1.3 * heaps[0]! + dead * remainsMiB, 'memory is flat');
  assert.ok(sum('answered') > days * tenantsCount, 'they got something done');
});

/** A day of everybody. @returns the database as it was at some moment of it */
async function liveThrough(
  cloud: SimulatedCloud,
  { tenants, random, seen }: { tenants: readonly WeekTenant[]; random: Random; seen: Record<string, number> },
): Promise<string> {
  const end = performance.now() + dayMs;
  const working = () => performance.now() < end;
  const noon = sleep(random.below(dayMs / 2)).then(() => dumpOf(cloud));
  const lives = tenants.map(async (one) => {
    while (working()) await one.act();
  });
  const [dump] = await Promise.all([noon, troubles(cloud, random, { working, seen }), ...lives]);
  return dump;
}

const run = promisify(execFile);

/** Whatever befalls the database meanwhile. */
async function dumpOf(cloud: SimulatedCloud): Promise<string> {
  for (;;) {
    try {
      const { stdout } = await run('pg_dump', ['--clean', '--if-exists', cloud.databaseUrl], { maxBuffer: 2 ** 28 });
      return stdout;
    } catch {
      await sleep(100);
    }
  }
}

/** The database is lost, an older one is put in its place, and the administrator does what the runbook says. */
async function goBack(cloud: SimulatedCloud, tenants: readonly WeekTenant[], dump: string): Promise<void> {
  cloud.control.kill();
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', cloud.databaseUrl], {
    ...{ input: dump, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'inherit'] },
  });
  const disks = disksOf(cloud);
  const kept = tenants.map((one) => one.idsOf('servers').intersection(disks));
  await cloud.superviseControl();
  for (const host of cloud.identity.hosts) await registerHost(cloud.database, host);
  await cloud.until('all hosts to be connected', async () => (await cloud.connectedHosts()) === cloud.hosts.length);
  await takeUp(cloud, new Set(kept.flatMap((ids) => [...ids])));
  await settled(cloud);
  for (const one of tenants) {
    await one.comeBack(cloud);
    for (const id of kept.shift()!) assert.ok(disksOf(cloud).has(id), `the disk of server ${id} is erased`);
  }
}

/** `bothy recover`, until these servers are known and hosts tell of nothing more. What it can't take up, however often, is discarded. */
async function takeUp(cloud: SimulatedCloud, servers: ReadonlySet<string>): Promise<void> {
  let told: Outcome[] = [];
  let since = performance.now();
  const wait = cloud.until('everything to be taken up', async () => {
    const before = JSON.stringify(told);
    told = await recover(cloud);
    if (JSON.stringify(told) !== before) since = performance.now();
    const { rows } = await sql<{ id: string }>`select id from server`.execute(cloud.database.query);
    const all = new Set(rows.map(({ id }) => id)).isSupersetOf(servers);
    if (!all || performance.now() - since < 2000) return false;
    const stay = told.filter(({ outcome }) => outcome === 'failed' || outcome === 'leave').map(({ id }) => id);
    if (stay.length > 0) await discard(cloud, stay);
    return stay.length === 0;
  });
  await wait.catch((cause: Error) => {
    throw new Error(`${cause.message}: ${[...servers]} of ${JSON.stringify(told, undefined, 1)}`, { cause });
  });
}

/** The servers whose disk is on some host. */
const disksOf = (cloud: SimulatedCloud): Set<string> =>
  new Set(
    cloud.hosts.flatMap(({ machine: { dataDirectory } }) =>
      readdirSync(join(dataDirectory, 'servers')).filter((id) =>
        existsSync(join(dataDirectory, 'servers', id, 'disk.qcow2')),
      ),
    ),
  );

const serversOf = async (cloud: SimulatedCloud, project: string): Promise<Set<string>> => {
  const { rows } = await sql<{ id: string }>`select s.id from server s join project p on p.id = s.project_id
    where p.name = ${project}`.execute(cloud.database.query);
  return new Set(rows.map(({ id }) => id));
};

async function tenant(cloud: SimulatedCloud, tenancy: Tenancy, name: string, random: Random): Promise<WeekTenant> {
  const { client: admin } = tenancy;
  const { project } = await admin.must('POST', 'identity', '/v3/projects', { project: { name } });
  const password = 'none of them guesses it';
  const { user } = await admin.must('POST', 'identity', '/v3/users', { user: { name, password } });
  const { roles } = await admin.must('GET', 'identity', '/v3/roles?name=member');
  await admin.must('PUT', 'identity', `/v3/projects/${project.id}/users/${user.id}/roles/${roles[0].id}`);
  const client = await cloud.client({ user: { name, password }, project: name });
  const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name } });
  await client.must('POST', 'network', '/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.7.0.0/24' },
  });
  const administrator = await cloud.client();
  return new WeekTenant({ name, client, administrator, tenancy, random, network: network.id });
}

/** One trouble after the other, each of them over before the next. */
async function troubles(
  cloud: SimulatedCloud,
  random: Random,
  { working, seen }: { working: () => boolean; seen: Record<string, number> },
): Promise<void> {
  const kinds: Record<string, () => Promise<void>> = {
    'control killed': async () => {
      cloud.control.kill();
      await sleep(random.below(500));
      await cloud.superviseControl();
    },
    'host killed': async () => {
      const host = random.pick(cloud.hosts);
      host.kill();
      await sleep(random.below(1500));
      await host.start();
    },
    'host unheard': async () => {
      const host = random.pick(cloud.hosts);
      host.unheard = true;
      await sleep(random.below(3000));
      host.unheard = false;
      host.dropConnection();
    },
    'host slow': async () => {
      const host = random.pick(cloud.hosts);
      host.delayMs = 100;
      await sleep(random.below(3000));
      host.delayMs = 0;
    },
    'database connections lost': async () => cloud.control.databaseWire.drop(),
    'database slow': async () => {
      const { databaseWire } = cloud.control;
      databaseWire.delayMs = 20;
      await sleep(random.below(2000));
      databaseWire.delayMs = 0;
    },
    'database away': async () => {
      await cloud.postgres.stop();
      await sleep(random.below(1000));
      await cloud.postgres.start();
    },
  };
  while (working()) {
    await sleep(random.below(1500));
    const kind = random.pick(Object.keys(kinds));
    seen[kind] = (seen[kind] ?? 0) + 1;
    await kinds[kind]!();
  }
}

/** Nothing is under way any more, and what runs is what shall run, each once. */
async function atRest(cloud: SimulatedCloud): Promise<void> {
  await cloud.until('all hosts to be connected', async () => (await cloud.connectedHosts()) === cloud.hosts.length);
  await settled(cloud);
  const admin = await cloud.client();
  for (const host of cloud.hosts) {
    let seen: unknown;
    await cloud
      .until(`${host.name} to have its servers and no others`, async () => {
        const { rows } = await sql<{ id: string; erased: boolean }>`select id,
            coalesce(fault ->> 'code' = 'disk_erased' or observed_error ->> 'code' = 'disk_erased', false) as erased
          from server where host_id = ${host.id} order by id`.execute(cloud.database.query);
        // It was deleted after noon, and at night there was a row of it again: whose it is deletes it once more.
        for (const { id } of rows.filter(({ erased }) => erased))
          await admin.call('DELETE', 'compute', `/servers/${id}`);
        const own = rows.map(({ id }) => id);
        const files = host.leftovers().filter((one) => one.startsWith('data/servers/'));
        const guests = host.leftovers().filter((one) => one.startsWith('QEMU '));
        seen = { own, files, guests };
        return (
          own.every((id) => files.includes(`data/servers/${id}`)) &&
          files.length === own.length &&
          guests.length === new Set(guests).size &&
          guests.every((guest) => own.includes(guest.slice('QEMU '.length)))
        );
      })
      .catch((cause: Error) => {
        throw new Error(`${cause.message}: ${JSON.stringify(seen)}`, { cause });
      });
  }
  admin.close();
  // Stopped servers may have no QEMU, but none is in error.
  const { rows: faulty } = await sql`select id, fault from server where fault is not null`.execute(
    cloud.database.query,
  );
  assert.deepEqual(faulty, [], 'servers in error');
}

async function settled(cloud: SimulatedCloud): Promise<void> {
  let left: unknown[] = [];
  await cloud
    .until('nothing to be under way', async () => {
      const { rows } =
        await sql`select 'operation' as what, resource_id::text as id, to_jsonb(o) as how from operation o where state = 'running'
        union all select 'server', id::text, to_jsonb(s) from server s where desired_presence = 'absent'
        union all select 'job', key, to_jsonb(j) from graphile_worker.jobs j
          where key like any('{server:%,volume:%,snapshot:%}') and run_at <= now() and locked_at is null`.execute(
          cloud.database.query,
        );
      const admin = await cloud.client();
      const { volumes } = await admin.must('GET', 'block-storage', '/volumes/detail?all_tenants=1');
      admin.close();
      const moving = volumes.filter(({ status }: { status: string }) => !/^(available|in-use|error.*)$/.test(status));
      left = [...rows, ...moving];
      return left.length === 0;
    })
    .catch((cause: Error) => {
      throw new Error(`${cause.message}: ${JSON.stringify(left, undefined, 1)}`, { cause });
    });
}

function heap(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}
