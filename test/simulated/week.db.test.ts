/**
 * A week of a small cloud in two minutes: tenants who do whatever people do, all at once, while control, hosts and the database die, freeze and are cut off. Nothing is lost,
 * stuck, there twice or erased, and no answer is an error of ours. `npm run check` lives a day of it with four tenants, `npm run fuzz` the week with twenty; BOTHY_TEST_DAYS and
 * BOTHY_TEST_TENANTS say otherwise. BOTHY_TEST_SEED repeats its choices (not their timing); it is printed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sql } from 'kysely';
import type { Answer, OpenStack } from '../support/openstack.ts';
import { fuzzing } from '../support/part-of.ts';
import { Random } from '../support/random.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { makeTenancy, type Tenancy } from '../support/tenancy.ts';

const days = Number(process.env.BOTHY_TEST_DAYS ?? (fuzzing ? 7 : 1));
const tenantsCount = Number(process.env.BOTHY_TEST_TENANTS ?? (fuzzing ? 20 : 4));
const dayMs = 10_000;
/** What a dead process leaves in this one, which stands for all. */
const remainsMiB = 20;

/** What a tenant knows of one thing of its own, from the answers that it got. */
interface Thing {
  id: string;
  /** Its deletion was answered, or may have been taken. */
  leaving?: boolean;
}

class Tenant {
  readonly servers = new Map<string, Thing>();
  readonly volumes = new Map<string, Thing>();
  readonly snapshots = new Map<string, Thing>();
  readonly ports = new Map<string, Thing>();
  readonly name: string;
  readonly client: OpenStack;
  readonly #tenancy: Tenancy;
  readonly #random: Random;
  /** What of ours was answered as if it were at fault, with where. */
  readonly faults: string[] = [];
  readonly counts = { answered: 0, refused: 0, unavailable: 0, lost: 0 };
  network = '';
  #made = 0;

  constructor(options: { name: string; client: OpenStack; tenancy: Tenancy; random: Random }) {
    this.name = options.name;
    this.client = options.client;
    this.#tenancy = options.tenancy;
    this.#random = options.random;
  }

  /** Undefined where there was no answer, or the cloud said that it can't now. */
  async ask(
    method: string,
    service: Parameters<OpenStack['call']>[1],
    path: string,
    body?: object,
  ): Promise<Answer | undefined> {
    const version: Record<string, string> =
      service === 'block-storage'
        ? { 'openstack-api-version': 'volume 3.68' }
        : service === 'compute'
          ? { 'openstack-api-version': 'compute 2.79' }
          : {};
    let answer: Answer;
    try {
      answer = await this.client.call(method, service, path, body, version);
    } catch {
      this.counts.lost++;
      await sleep(50);
      return undefined;
    }
    if (answer.status === 503) {
      this.counts.unavailable++;
      return undefined;
    }
    if (answer.status >= 500)
      this.faults.push(`${method} ${service}${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    if (answer.status >= 400) this.counts.refused++;
    else this.counts.answered++;
    return answer;
  }

  /** One thing that people do. */
  async act(): Promise<void> {
    const random = this.#random;
    const name = `${this.name} ${++this.#made}`;
    const server = this.#some(this.servers);
    const volume = this.#some(this.volumes);
    const acts: (() => Promise<unknown>)[] = [
      () => this.#make('servers', 'compute', '/servers', 'server', this.#serverBody(name)),
      () => this.#make('volumes', 'block-storage', '/volumes', 'volume', { volume: { name, size: 1 } }),
      () => this.#make('ports', 'network', '/v2.0/ports', 'port', { port: { name, network_id: this.network } }),
      () => this.#look(),
    ];
    if (server) {
      const action = (body: object) => () => this.ask('POST', 'compute', `/servers/${server.id}/action`, body);
      acts.push(
        () => this.#remove('servers', 'compute', `/servers/${server.id}`, server),
        action({ 'os-stop': null }),
        action({ 'os-start': null }),
        action({ reboot: { type: 'HARD' } }),
        action({ pause: null }),
        action({ unpause: null }),
        () => this.ask('PUT', 'compute', `/servers/${server.id}`, { server: { name } }),
      );
      if (volume) {
        const attached = `/servers/${server.id}/os-volume_attachments`;
        acts.push(
          () => this.ask('POST', 'compute', attached, { volumeAttachment: { volumeId: volume.id } }),
          () => this.ask('DELETE', 'compute', `${attached}/${volume.id}`),
        );
      }
    }
    if (volume) {
      const snapshot = { snapshot: { name, volume_id: volume.id, force: true } };
      acts.push(
        () => this.#remove('volumes', 'block-storage', `/volumes/${volume.id}`, volume),
        () => this.ask('POST', 'block-storage', `/volumes/${volume.id}/action`, { 'os-extend': { new_size: 2 } }),
        () => this.#make('snapshots', 'block-storage', '/snapshots', 'snapshot', snapshot),
      );
    }
    const snapshot = this.#some(this.snapshots);
    if (snapshot) acts.push(() => this.#remove('snapshots', 'block-storage', `/snapshots/${snapshot.id}`, snapshot));
    const port = this.#some(this.ports);
    if (port) acts.push(() => this.#remove('ports', 'network', `/v2.0/ports/${port.id}`, port));
    await random.pick(acts)();
  }

  /** Until all that it has is gone. */
  async leave(cloud: SimulatedCloud): Promise<void> {
    const all = [
      ['servers', 'compute', '/servers'],
      ['snapshots', 'block-storage', '/snapshots'],
      ['volumes', 'block-storage', '/volumes'],
      ['ports', 'network', '/v2.0/ports'],
    ] as const;
    for (const [kind, service, path] of all) {
      await cloud.until(`${kind} of ${this.name} to be gone`, async () => {
        const filter = kind === 'ports' ? '?device_owner=' : '';
        const listed = await this.ask('GET', service, path + filter);
        const left = listed?.status === 200 ? listed.body[kind] : undefined;
        for (const { id } of left ?? []) await this.ask('DELETE', service, `${path}/${id}`);
        return left?.length === 0;
      });
    }
  }

  #serverBody(name: string) {
    const { imageId, flavorId } = this.#tenancy;
    return { server: { name, imageRef: imageId, flavorRef: flavorId, networks: [{ uuid: this.network }] } };
  }

  #some(things: ReadonlyMap<string, Thing>): Thing | undefined {
    const here = [...things.values()];
    return here.length === 0 ? undefined : this.#random.pick(here);
  }

  /** A few of each kind at most: the machines are small. */
  async #make(
    kind: 'servers' | 'volumes' | 'snapshots' | 'ports',
    service: Parameters<OpenStack['call']>[1],
    path: string,
    noun: string,
    body: object,
  ) {
    if (this[kind].size >= 2) return;
    const answer = await this.ask('POST', service, path, body);
    if (answer && answer.status < 300) this[kind].set(answer.body[noun].id, { id: answer.body[noun].id });
  }

  async #remove(
    kind: 'servers' | 'volumes' | 'snapshots' | 'ports',
    service: Parameters<OpenStack['call']>[1],
    path: string,
    thing: Thing,
  ) {
    const was = thing.leaving;
    thing.leaving = true;
    const answer = await this.ask('DELETE', service, path);
    if (answer && (answer.status < 300 || answer.status === 404)) this[kind].delete(thing.id);
    // Refused: it is as it was. No answer: it may be either way, and a later look tells.
    else if (answer) thing.leaving = was ?? false;
    if (answer?.status === 404 && !was) this.faults.push(`${path} is lost`);
  }

  /** What was said to be there is there. */
  async #look(): Promise<void> {
    for (const [kind, service, path] of [
      ['servers', 'compute', '/servers'],
      ['volumes', 'block-storage', '/volumes'],
      ['snapshots', 'block-storage', '/snapshots'],
      ['ports', 'network', '/v2.0/ports'],
    ] as const) {
      const before = [...this[kind].values()].filter(({ leaving }) => !leaving);
      const listed = await this.ask('GET', service, path);
      if (listed?.status !== 200) return;
      const there = new Set(listed.body[kind].map(({ id }: Thing) => id));
      for (const { id } of before) if (!there.has(id)) this.faults.push(`${kind} ${id} is lost`);
    }
  }
}

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
  const end = performance.now() + days * dayMs;
  const working = () => performance.now() < end;
  const troubled = troubles(cloud, random, working);
  // Awaited at the end of the week.
  troubled.catch(() => {});
  const heaps: number[] = [];
  const lives = tenants.map(async (one) => {
    while (working()) await one.act();
  });
  for (let day = 0; day < days; day++) {
    await sleep(dayMs);
    heaps.push(heap());
  }
  await Promise.all(lives);
  const seen = await troubled;
  const faults = () => tenants.flatMap((one) => one.faults);
  assert.deepEqual(faults(), []);
  await atRest(cloud, tenancy.client);
  for (const one of tenants) {
    const { rows } = await sql<{
      id: string;
    }>`select s.id from server s join project p on p.id = s.project_id where p.name = ${one.name}`.execute(
      cloud.database.query,
    );
    const there = new Set(rows.map(({ id }) => id));
    for (const { id, leaving } of one.servers.values()) assert.ok(leaving || there.has(id), `server ${id} is lost`);
  }
  await Promise.all(tenants.map((one) => one.leave(cloud)));
  assert.deepEqual(faults(), []);
  await atRest(cloud, tenancy.client);
  for (const host of cloud.hosts)
    await cloud.until(`nothing to be left on ${host.name}: ${host.leftovers()}`, () => host.leftovers().length === 0);
  const sum = (key: keyof Tenant['counts']) => tenants.reduce((all, one) => all + one.counts[key], 0);
  t.diagnostic(
    `${JSON.stringify(seen)}; ${sum('answered')} answers, ${sum('refused')} refusals, ${sum('unavailable')} times unavailable, ${sum('lost')} without an answer`,
  );
  t.diagnostic(`heap of all processes after each day, in MiB: ${heaps.join(', ')}`);
  const dead = (seen['control killed'] ?? 0) + (seen['host killed'] ?? 0);
  assert.ok(heaps.at(-1)! < 1.3 * heaps[0]! + dead * remainsMiB, 'memory is flat');
  assert.ok(sum('answered') > days * tenantsCount, 'they got something done');
});

async function tenant(cloud: SimulatedCloud, tenancy: Tenancy, name: string, random: Random): Promise<Tenant> {
  const { client: admin } = tenancy;
  const { project } = await admin.must('POST', 'identity', '/v3/projects', { project: { name } });
  const password = 'none of them guesses it';
  const { user } = await admin.must('POST', 'identity', '/v3/users', { user: { name, password } });
  const { roles } = await admin.must('GET', 'identity', '/v3/roles?name=member');
  await admin.must('PUT', 'identity', `/v3/projects/${project.id}/users/${user.id}/roles/${roles[0].id}`);
  const client = await cloud.client({ user: { name, password }, project: name });
  const one = new Tenant({ name, client, tenancy, random });
  const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name } });
  await client.must('POST', 'network', '/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.7.0.0/24' },
  });
  one.network = network.id;
  return one;
}

/** One trouble after the other, each of them over before the next. */
async function troubles(
  cloud: SimulatedCloud,
  random: Random,
  working: () => boolean,
): Promise<Record<string, number>> {
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
  const seen: Record<string, number> = {};
  while (working()) {
    await sleep(random.below(1500));
    const kind = random.pick(Object.keys(kinds));
    seen[kind] = (seen[kind] ?? 0) + 1;
    await kinds[kind]!();
  }
  return seen;
}

/** Nothing is under way any more, and what runs is what shall run, each once. */
async function atRest(cloud: SimulatedCloud, admin: OpenStack): Promise<void> {
  await cloud.until('all hosts to be connected', async () => (await cloud.connectedHosts()) === cloud.hosts.length);
  await cloud.until('nothing to be under way', async () => {
    const open = await cloud.count(sql`select (select count(*) from operation where state = 'running')
      + (select count(*) from server where desired_presence = 'absent') as n`);
    const { volumes } = await admin.must('GET', 'block-storage', '/volumes/detail?all_tenants=1');
    const moving = volumes.filter(({ status }: { status: string }) => status !== 'available' && status !== 'in-use');
    const due = await cloud.count(
      sql`select count(*) as n from graphile_worker.jobs where key like any('{server:%,volume:%,snapshot:%}') and run_at <= now() and locked_at is null`,
    );
    return open + moving.length + due === 0;
  });
  const { rows } = await sql<{ id: string; host_id: string }>`select id, host_id from server order by id`.execute(
    cloud.database.query,
  );
  for (const host of cloud.hosts) {
    const own = rows.filter((row) => row.host_id === host.id).map((row) => row.id);
    await cloud.until(`${host.name} to have its servers and no others`, () => {
      const files = host.leftovers().filter((one) => one.startsWith('data/servers/'));
      const guests = host.leftovers().filter((one) => one.startsWith('QEMU '));
      return (
        own.every((id) => files.includes(`data/servers/${id}`)) &&
        files.length === own.length &&
        guests.length === new Set(guests).size &&
        guests.every((guest) => own.includes(guest.slice('QEMU '.length)))
      );
    });
  }
  // Stopped servers may have no QEMU, but none is in error.
  const { rows: faulty } = await sql`select id, fault from server where fault is not null`.execute(
    cloud.database.query,
  );
  assert.deepEqual(faulty, [], 'servers in error');
}

function heap(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
