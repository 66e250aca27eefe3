/**
 * `npm run bench -- scale [--quick]`: what growth costs. For each size a cloud of its own: PostgreSQL filled by SQL, one control process,
 * and hosts on the wire (wire-hosts.ts), which answer with reports and have no guests. Prints each figure by size and the ratio of the top
 * to the bottom. OVN has its own bench (projection.ts): here control finds no northbound database.
 */
import { fork } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { type HostId, newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { Database } from '../../control/kit/database/database.ts';
import { fillNetworks, kinds, numberedId } from '../../control/network/test-filled.ts';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { until } from '../../test/support/until.ts';
import { treeCpuMs } from './processor.ts';
import type { WireHosts } from './wire-hosts.ts';

export interface Size {
  hosts: number;
  servers: number;
}

export const sizes: readonly Size[] = [
  { hosts: 1, servers: 100 },
  { hosts: 10, servers: 1000 },
  { hosts: 100, servers: 10_000 },
  { hosts: 1000, servers: 100_000 },
];
export const quickSizes: readonly Size[] = [
  { hosts: 1, servers: 100 },
  { hosts: 100, servers: 5000 },
];

/** By name and unit, for one size. */
export type Figures = Record<string, number>;

const imageId = '000000ff-0000-7000-8000-000000000001';
const serversOfProject = 100;
/** See control/compute/placement/hosts.ts: while another holds it, nothing is placed. */
const placementLock = 0x70_6c_61_63;
const ofOneRequest = 200;

/** Servers with a port each, in networks of about fifty, spread over hosts and projects; the hosts are those that have certificates. */
async function fill(url: string, hosts: readonly { id: HostId }[], { servers }: Size): Promise<void> {
  const database = new Database({ url: new Secret(url), idleMs: 1000 });
  const portsOfNetwork = 54;
  const networks = Math.ceil(servers / (portsOfNetwork - 4));
  const projects = Math.ceil(servers / serversOfProject);
  await fillNetworks(database, { hosts: hosts.length, projects, networks: Math.max(networks, 2), portsOfNetwork });
  const map = hosts.map(({ id }, n) => ({ made: numberedId(kinds.host, n), id }));
  const statements = [
    sql`create temporary table host_map as select * from jsonb_to_recordset(${JSON.stringify(map)}::jsonb) as m(made uuid, id uuid)`,
    sql`update port set host_id = m.id from host_map m where host_id = m.made`,
    sql`delete from host where id in (select made from host_map)`,
    sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, visibility)
      values (${imageId}, ${numberedId(kinds.project, 0)}, 'tiny', 'active', 'raw', 1000, 1000000, 'aa', 'public')`,
    sql`insert into server (id, project_id, user_id, name, hostname, image_id, image, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id,
        host_id, epoch, observed_generation, observed_state, observed_power, observed_started_at, launched_at)
      select sp.server_id, p.project_id, ${newId()}, 's', 's', ${imageId}, '{"format": "raw", "size_bytes": 1000, "sha256": "aa"}',
        ${newId()}, '{"id": "1", "name": "m1.tiny", "vcpus": 1, "memory_mib": 128, "disk_gib": 1, "ephemeral_gib": 0, "swap_mib": 0, "extra_specs": {}}',
        1, 128, 1, 'r-1', p.host_id, 1, 1, 'running', 'on', '2026-01-01', now()
      from server_port sp join port p on p.id = sp.port_id`,
    sql`insert into host_usage (host_id, servers, vcpus, memory_mib, disk_gib)
      select host_id, count(*), sum(vcpus), sum(memory_mib), sum(disk_gib) from server group by host_id`,
    sql`update quota set maximum = -1 where project_id is null`,
  ];
  await database.query.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    for (const statement of statements) await statement.execute(connection);
    await sql`set session_replication_role = origin`.execute(connection);
    await sql`analyze`.execute(connection);
  });
  await database.close();
}

export interface ScaleOptions {
  rounds: number;
  /** Options of Node.js for control, by size. */
  controlFlags?(name: string): string[];
}

export async function benchScale(all: readonly Size[], options: ScaleOptions): Promise<string> {
  const columns: Figures[] = [];
  for (const size of all) {
    console.log(`# ${size.hosts} hosts, ${size.servers} servers`);
    const figures = await measure(size, options);
    for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(44)} ${value.toFixed(2)}`);
    columns.push(figures);
  }
  return table(all, columns);
}

async function measure(size: Size, { rounds, controlFlags = () => [] }: ScaleOptions): Promise<Figures> {
  const delayFile = join('/tmp', `bothy-loop-${process.pid}.json`);
  process.env.BENCH_LOOP_DELAY = delayFile;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(delayFile, { force: true }));
  const cloud = stack.use(
    await startCloudProcesses({
      ...{ hosts: size.hosts, fleetHosts: 0, logLevel: 'warn' },
      prepare: (url, hosts) => fill(url, hosts, size),
      controlFlags: ['--import', join(import.meta.dirname, 'loop-delay.ts'), ...controlFlags(`control-${size.hosts}`)],
    }),
  );
  const wire = startWire(stack, cloud);
  const figures: Figures = {};
  figures['all in step at first, s'] = await timed(() => wire.allInStep(120_000)).then((ms) => ms / 1000);
  const work = await Work.open(stack, cloud);
  // The control that is measured is warm.
  await work.round(3);
  await loopDelay(cloud, delayFile);
  Object.assign(figures, await work.round(rounds));
  figures['placements a second'] = await work.placements(5);
  const { p999, longest } = await loopDelay(cloud, delayFile);
  figures['event loop of control, p99.9 ms'] = p999;
  figures['event loop of control, longest ms'] = longest;
  Object.assign(figures, await restart(cloud, wire, work));
  figures['RSS of control, MiB'] = cloud.memoryMiB().control!;
  return figures;
}

function startWire(stack: AsyncDisposableStack, cloud: CloudProcesses) {
  const child = fork(join(import.meta.dirname, 'wire-hosts.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  stack.defer(() => void child.kill());
  let inStep = 0;
  child.on('message', (count: number) => {
    inStep = count;
  });
  child.send({ controlUrl: cloud.controlUrl, hosts: cloud.hosts } satisfies WireHosts);
  return {
    pid: child.pid!,
    gone: () => until('the streams to end', () => inStep === 0, { timeoutMs: 30_000 }),
    allInStep: (timeoutMs: number) =>
      until('all hosts to be in step', () => inStep === cloud.hosts.length, { timeoutMs }),
  };
}

/** What a tenant does, through the API. */
class Work {
  readonly #openstack: OpenStack;
  readonly #client: pg.Client;
  readonly #network: string;

  private constructor(openstack: OpenStack, client: pg.Client, network: string) {
    this.#openstack = openstack;
    this.#client = client;
    this.#network = network;
  }

  static async open(stack: AsyncDisposableStack, cloud: CloudProcesses): Promise<Work> {
    const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
    await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
    stack.defer(() => openstack.close());
    const client = new pg.Client({ connectionString: cloud.databaseUrl });
    await client.connect();
    stack.defer(() => client.end());
    const { network } = await openstack.must('POST', 'network', '/v2.0/networks', { network: { name: 'bench' } });
    const subnet = { network_id: network.id, ip_version: 4, cidr: '10.200.0.0/16' };
    await openstack.must('POST', 'network', '/v2.0/subnets', { subnet });
    return new Work(openstack, client, network.id);
  }

  async round(count: number): Promise<Figures> {
    const of = async (name: string, times: number, work: () => Promise<unknown>): Promise<Figures> => {
      const all: number[] = [];
      for (let n = 0; n < times; n++) all.push(await timed(work));
      return { [`${name}, p50 ms`]: quantile(all, 0.5), [`${name}, p99 ms`]: quantile(all, 0.99) };
    };
    const ids: string[] = [];
    const figures = {
      ...(await of('POST to ACTIVE', 5 * count, async () => ids.push(await this.#create()))),
      ...(await of('show', 20 * count, () => this.show(ids[0]!))),
      ...(await of('list of 50', 10 * count, () => this.#get('/servers/detail?limit=50'))),
      ...(await of('list of 50 of all projects', 5 * count, () => this.#get('/servers/detail?limit=50&all_tenants=1'))),
      ...(await of('port create', 10 * count, () =>
        this.#openstack.must('POST', 'network', '/v2.0/ports', { port: { network_id: this.#network } }),
      )),
    };
    return figures;
  }

  /** Servers that are all there already, as after an outage, given their hosts: until the last one has one. */
  async placements(requests: number): Promise<number> {
    const count = requests * ofOneRequest;
    const decisions = async () => (await this.#client.query('select count(*)::int as n from decision')).rows[0].n;
    const before = await decisions();
    await this.#client.query('select pg_advisory_lock($1)', [placementLock]);
    const body = this.#body({ min_count: ofOneRequest, max_count: ofOneRequest });
    for (let n = 0; n < requests; n++) await this.#openstack.must('POST', 'compute', '/servers', body);
    const start = performance.now();
    await this.#client.query('select pg_advisory_unlock($1)', [placementLock]);
    await until('all to be placed', async () => (await decisions()) >= before + count, { timeoutMs: 120_000 });
    return count / ((performance.now() - start) / 1000);
  }

  show(id: string): Promise<unknown> {
    return this.#get(`/servers/${id}`);
  }

  get list(): () => Promise<unknown> {
    return () => this.#get('/servers?limit=50');
  }

  #body(over: object = {}) {
    return {
      server: { name: 'bench', imageRef: imageId, flavorRef: '1', networks: [{ uuid: this.#network }], ...over },
    };
  }

  /** Seen by the database's own word, asked without a pause: what a watch would see. */
  async #create(): Promise<string> {
    const { server } = await this.#openstack.must('POST', 'compute', '/servers', this.#body());
    const active = async () => {
      const { rows } = await this.#client.query('select observed_state from server where id = $1', [server.id]);
      return rows[0]?.observed_state === 'running';
    };
    await until('the server to run', active, { timeoutMs: 30_000 });
    return server.id;
  }

  #get(path: string): Promise<unknown> {
    return this.#openstack.must('GET', 'compute', path);
  }
}

/** Another control in the place of this one: until every host has its snapshot and has answered, and how the API does meanwhile. */
async function restart(cloud: CloudProcesses, wire: ReturnType<typeof startWire>, work: Work): Promise<Figures> {
  const gone = wire.gone();
  await cloud.restartControl();
  await gone.catch(() => {});
  const answers: number[] = [];
  let over = false;
  const asking = (async () => {
    while (!over) answers.push(await timed(work.list));
  })();
  const cpu = () => ({ postgres: treeCpuMs(cloud.pid('postgres')), hosts: treeCpuMs(wire.pid) });
  const before = cpu();
  const ms = await timed(() => wire.allInStep(120_000)).finally(() => {
    over = true;
  });
  const after = cpu();
  await asking;
  const seconds = {
    // All of it is this start's, since the process is new.
    'restart: processor time of control, s': treeCpuMs(cloud.pid('control')) / 1000,
    'restart: of PostgreSQL, s': (after.postgres - before.postgres) / 1000,
    'restart: of the hosts on the wire, s': (after.hosts - before.hosts) / 1000,
  };
  return {
    ...seconds,
    'restart: all in step, s': ms / 1000,
    'restart: API meanwhile, p99 ms': quantile(answers, 0.99),
  };
}

async function loopDelay(cloud: CloudProcesses, file: string): Promise<{ p999: number; longest: number }> {
  rmSync(file, { force: true });
  process.kill(Number(readFileSync(join(cloud.pidDirectory, 'control.pid'), 'utf8')), 'SIGUSR2');
  let answer: { p999: number; longest: number } | undefined;
  await until('the delay of the event loop', () => {
    try {
      answer = JSON.parse(readFileSync(file, 'utf8'));
    } catch {}
    return answer !== undefined;
  });
  return answer!;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)] ?? 0;

function table(all: readonly Size[], columns: readonly Figures[]): string {
  const head = ['', ...all.map(({ hosts, servers }) => `${hosts} / ${servers}`), 'top / bottom'];
  const rows = Object.keys(columns[0]!).map((name) => {
    const values = columns.map((figures) => figures[name] ?? 0);
    return [name, ...values.map((value) => value.toFixed(2)), (values.at(-1)! / values[0]!).toFixed(2)];
  });
  return [head, ...rows]
    .map(([name, ...cells]) => [name!.padEnd(36), ...cells.map((cell) => cell.padStart(15))].join(''))
    .join('\n');
}
