/**
 * `npm run bench -- single [--beside COMMIT]`: what one machine does, as a client sees it: requests one at a time, servers until a watch of
 * the native change log says ACTIVE. A second cloud runs the code of another commit (beside.ts) and gets the same work in turns, so that
 * what else the machine does falls on both; of interest are the ratios.
 */
import type { CloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { until } from '../../test/support/until.ts';
import { ChangeWatch } from './change-watch.ts';
import { cloudPids, cpuMs } from './processor.ts';

/** What is set out for; null: nothing. */
const targets: readonly { name: string; target: number | null; better: 'lower' | 'higher' }[] = [
  { name: 'POST to ACTIVE by watch, p50 ms', target: 20, better: 'lower' },
  { name: 'POST to its answer, p50 ms', target: null, better: 'lower' },
  { name: 'servers a second, 8 at a time', target: 150, better: 'higher' },
  { name: 'show of a server, p50 ms', target: 0.5, better: 'lower' },
  { name: '50 servers in detail, p50 ms', target: null, better: 'lower' },
  { name: 'list of 1,000 ports, p50 ms', target: 12, better: 'lower' },
  { name: 'network + subnet + port, p50 ms', target: 8, better: 'lower' },
  { name: 'token validation, p50 ms', target: null, better: 'lower' },
  { name: 'control after the load, MiB', target: 300, better: 'lower' },
];

/** Of the cloud's processes, for each thing done: holds still where the clock does not. */
const processorOf = (name: string) => `  its processor time, ${name.replace(/, p50 ms$/, '')}, ms`;

type Figures = Map<string, number[]>;

export interface SingleReport {
  /** Median over the rounds. */
  here: Record<string, number>;
  beside?: Record<string, number>;
}

const servers = 50;
const ports = 1000;

export async function benchSingle(
  clouds: readonly CloudProcesses[],
  { rounds }: { rounds: number },
): Promise<{ report: SingleReport; text: string; missed: string[] }> {
  const clients: Client[] = [];
  try {
    for (const cloud of clouds) clients.push(await Client.open(cloud));
    // What is measured is warm: code compiled, plans made.
    for (const client of clients) await client.round();
    for (const client of clients) client.figures.clear();
    for (let round = 0; round < rounds; round++) {
      // Who is first is so in turns: the second finds the processor as the first left it.
      for (const client of round % 2 === 0 ? clients : clients.toReversed()) await client.round();
    }
    for (const client of clients) client.put('control after the load, MiB', client.cloud.memoryMiB().control!);
    const [here, beside] = clients.map(({ figures }) => medians(figures));
    return { report: { here: here!, ...(beside && { beside }) }, ...table(here!, beside) };
  } finally {
    for (const client of clients) client.close();
  }
}

class Client {
  readonly cloud: CloudProcesses;
  readonly figures: Figures = new Map();
  readonly #openstack: OpenStack;
  readonly #watch: ChangeWatch;
  #spec: Record<string, unknown> = {};
  #manyPorts = '';
  #made = 0;

  static async open(cloud: CloudProcesses): Promise<Client> {
    const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
    await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
    const client = new Client(cloud, openstack);
    await client.#prepare();
    return client;
  }

  private constructor(cloud: CloudProcesses, openstack: OpenStack) {
    this.cloud = cloud;
    this.#openstack = openstack;
    const runs = ({ observed_state: state }: Record<string, unknown>) => state === 'running';
    this.#watch = new ChangeWatch(cloud, { token: openstack.token, type: 'server', holds: runs });
  }

  close(): void {
    this.#watch.close();
    this.#openstack.close();
  }

  put(name: string, value: number): void {
    this.figures.set(name, [...(this.figures.get(name) ?? []), value]);
  }

  async #prepare(): Promise<void> {
    const { images } = await this.#openstack.must('GET', 'image', '/v2/images');
    const { flavors } = await this.#openstack.must('GET', 'compute', '/flavors');
    const flavor = flavors.find(({ name }: { name: string }) => name === 'm1.tiny');
    this.#spec = {
      ...{ imageRef: images[0].id, flavorRef: flavor.id },
      networks: [{ uuid: await this.#network('10.64.0.0/16') }],
    };
    this.#manyPorts = await this.#network('10.65.0.0/16');
    for (let made = 0; made < ports; made += 50) {
      const body = { ports: Array.from({ length: 50 }, () => ({ network_id: this.#manyPorts, name: 'bench' })) };
      await this.#openstack.must('POST', 'network', '/v2.0/ports', body);
    }
    await this.#watch.opened;
  }

  async #network(cidr: string): Promise<string> {
    const { network } = await this.#openstack.must('POST', 'network', '/v2.0/networks', { network: { name: 'bench' } });
    const subnet = { network_id: network.id, ip_version: 4, cidr };
    await this.#openstack.must('POST', 'network', '/v2.0/subnets', { subnet });
    return network.id;
  }

  #cpuMs = () => cpuMs(cloudPids(this.cloud.pidDirectory));

  async round(): Promise<void> {
    const ids: string[] = [];
    const answers: number[] = [];
    await this.#each('POST to ACTIVE by watch, p50 ms', 10, async () => {
      const start = performance.now();
      const id = await this.#boot();
      answers.push(performance.now() - start);
      ids.push(id);
      await this.#watch.seen(id);
    });
    this.put('POST to its answer, p50 ms', median(answers));
    ids.push(...(await this.#many()));
    const compute = (path: string) => () => this.#openstack.must('GET', 'compute', path);
    await this.#each('show of a server, p50 ms', 200, compute(`/servers/${ids[0]}`));
    await this.#each('50 servers in detail, p50 ms', 20, compute('/servers/detail?limit=50'));
    const ofMany = `/v2.0/ports?network_id=${this.#manyPorts}`;
    await this.#each('list of 1,000 ports, p50 ms', 10, () => this.#openstack.must('GET', 'network', ofMany));
    await this.#trios();
    const { token } = this.#openstack;
    const validate = () =>
      this.#openstack.call('GET', 'identity', '/v3/auth/tokens', undefined, { 'x-subject-token': token });
    await this.#each('token validation, p50 ms', 200, validate);
    for (const id of ids) await this.#openstack.must('DELETE', 'compute', `/servers/${id}`);
    const gone = async () => {
      const { servers: left } = await this.#openstack.must('GET', 'compute', '/servers?limit=1');
      return left.length === 0;
    };
    await until('the servers to be gone', gone, { timeoutMs: 120_000 });
  }

  async #each(name: string, count: number, work: () => Promise<unknown>): Promise<void> {
    const cpu = this.#cpuMs();
    const times: number[] = [];
    for (let n = 0; n < count; n++) {
      const start = performance.now();
      await work();
      times.push(performance.now() - start);
    }
    this.put(name, median(times));
    this.put(processorOf(name), (this.#cpuMs() - cpu) / count);
  }

  async #boot(): Promise<string> {
    const body = { server: { name: `bench-${this.#made++}`, ...this.#spec } };
    return (await this.#openstack.must('POST', 'compute', '/servers', body)).server.id;
  }

  async #many(): Promise<string[]> {
    const name = 'servers a second, 8 at a time';
    const cpu = this.#cpuMs();
    const start = performance.now();
    const ids: string[] = [];
    let left = servers;
    const one = async () => {
      while (left-- > 0) ids.push(await this.#boot());
    };
    await Promise.all(Array.from({ length: 8 }, one));
    await Promise.all(ids.map((id) => this.#watch.seen(id)));
    this.put(name, servers / ((performance.now() - start) / 1000));
    this.put(processorOf(name), (this.#cpuMs() - cpu) / servers);
    return ids;
  }

  async #trios(): Promise<void> {
    const made: string[] = [];
    await this.#each('network + subnet + port, p50 ms', 15, async () => {
      const id = await this.#network('10.9.0.0/24');
      made.push(id);
      await this.#openstack.must('POST', 'network', '/v2.0/ports', { port: { network_id: id } });
    });
    for (const id of made) {
      const { ports: all } = await this.#openstack.must('GET', 'network', `/v2.0/ports?network_id=${id}`);
      for (const port of all) await this.#openstack.must('DELETE', 'network', `/v2.0/ports/${port.id}`);
      await this.#openstack.must('DELETE', 'network', `/v2.0/networks/${id}`);
    }
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const medians = (figures: Figures): Record<string, number> =>
  Object.fromEntries([...figures].map(([name, values]) => [name, median(values)]));

const figure = (value: number | null | undefined) =>
  value === null || value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

function table(here: Record<string, number>, beside: Record<string, number> | undefined) {
  const missed: string[] = [];
  const line = (cells: readonly string[]) =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(66) : cell.padStart(9))).join('');
  const lines = [line(['', 'here', 'beside', 'ratio', 'target'])];
  for (const { name, target, better } of targets) {
    const value = here[name]!;
    const met = target === null || (better === 'lower' ? value <= target : value >= target);
    if (!met) missed.push(name);
    const row = (key: string, aim: string) => {
      const ratio = beside && here[key]! / beside[key]!;
      lines.push(line([key, figure(here[key]), figure(beside?.[key]), figure(ratio), aim]));
    };
    row(name, `${figure(target)}${met ? '' : ' MISSED'}`);
    if (processorOf(name) in here) row(processorOf(name), '');
  }
  return { text: lines.join('\n'), missed };
}
