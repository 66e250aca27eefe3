/** What a tenant does, through the API, and how long it takes. */
import pg from 'pg';
import type { CloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { until } from '../../test/support/until.ts';
import { ChangeWatch } from './change-watch.ts';
import { imageId } from './scale-fill.ts';

/** By name and unit, for one size. */
export type Figures = Record<string, number>;

/** See control/compute/placement/lock.ts: while another holds it, nothing is placed. */
const placementLock = 0x70_6c_61_63;
const ofOneRequest = 200;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)] ?? 0;

export class Work {
  readonly #cloud: CloudProcesses;
  readonly #openstack: OpenStack;
  readonly #client: pg.Client;
  readonly #network: string;

  private constructor(cloud: CloudProcesses, openstack: OpenStack, client: pg.Client, network: string) {
    this.#cloud = cloud;
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
    return new Work(cloud, openstack, client, network.id);
  }

  /** @param cpu processor time used so far: it holds still where other work slows the clock */
  async round(count: number, cpu: () => { control: number; postgres: number }): Promise<Figures> {
    const of = async (name: string, times: number, work: () => Promise<unknown>): Promise<Figures> => {
      const all: number[] = [];
      const before = cpu();
      for (let n = 0; n < times; n++) all.push(await timed(work));
      const after = cpu();
      const used = after.control + after.postgres - before.control - before.postgres;
      return {
        [`${name}, p50 ms`]: quantile(all, 0.5),
        [`${name}, p99 ms`]: quantile(all, 0.99),
        [`${name}, processor time, ms`]: used / times,
      };
    };
    const ids: string[] = [];
    const watch = this.#watchServers();
    await watch.opened;
    const created = await of('POST to ACTIVE', 20 * count, async () => ids.push(await this.#create(watch))).finally(
      () => watch.close(),
    );
    return {
      ...created,
      ...(await of('show', 60 * count, () => this.show(ids[0]!))),
      ...(await of('list of 50', 30 * count, () => this.#get('/servers/detail?limit=50'))),
      ...(await of('list of 50 of all projects', 10 * count, () =>
        this.#get('/servers/detail?limit=50&all_tenants=1'),
      )),
      ...(await of('port create', 30 * count, () =>
        this.#openstack.must('POST', 'network', '/v2.0/ports', { port: { network_id: this.#network } }),
      )),
    };
  }

  /** Servers that are all there already, as after an outage, given their hosts: from `begin` until the last one has one. */
  async placements(requests: number, begin: () => void): Promise<{ count: number; ms: number }> {
    const count = requests * ofOneRequest;
    const decisions = async () => (await this.#client.query('select count(*)::int as n from decision')).rows[0].n;
    const before = await decisions();
    await this.#client.query('select pg_advisory_lock($1)', [placementLock]);
    const body = this.#body({ min_count: ofOneRequest, max_count: ofOneRequest });
    for (let n = 0; n < requests; n++) await this.#openstack.must('POST', 'compute', '/servers', body);
    begin();
    const start = performance.now();
    await this.#client.query('select pg_advisory_unlock($1)', [placementLock]);
    await until('all to be placed', async () => (await decisions()) >= before + count, { timeoutMs: 300_000 });
    return { count, ms: performance.now() - start };
  }

  /** What the database says, by one value. */
  async ask<T>(query: string, values: readonly unknown[] = []): Promise<T> {
    return (await this.#client.query(query, [...values])).rows[0].value;
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

  #watchServers(): ChangeWatch {
    const runs = ({ observed_state: state }: Record<string, unknown>) => state === 'running';
    return new ChangeWatch(this.#cloud, { token: this.#openstack.token, type: 'server', holds: runs });
  }

  async #create(watch: ChangeWatch): Promise<string> {
    const { server } = await this.#openstack.must('POST', 'compute', '/servers', this.#body());
    await watch.seen(server.id);
    return server.id;
  }

  #get(path: string): Promise<unknown> {
    return this.#openstack.must('GET', 'compute', path);
  }
}
