/**
 * How fast volumes come about: the whole way, API, control, PostgreSQL and a real host process that syncs each file to its disk. A volume counts
 * when a watch of the change log says that it is complete.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { childrenByParent, withDescendants } from '../../cli/supervisor/process-table.ts';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { until } from '../../test/support/until.ts';
import { ChangeWatch } from './change-watch.ts';
import { cpuMs } from './processor.ts';
import type { VolumeHost } from './volume-host.ts';

/** Milliseconds, but for `aSecond`; medians of the rounds. */
export interface VolumeRates {
  alone: number;
  aSecond: number;
  /** Processor time of one of many, all processes; and of it each one's. */
  cpu: number;
  control: number;
  postgres: number;
  host: number;
  ofImage: number;
  ofVolume: number;
}

const [few, many, atOnce, imageGib] = [40, 400, 8, 10];

export interface RateOptions {
  rounds: number;
  flags: (name: string) => string[];
  /** Of another commit, to be measured in turns with this one's. */
  beside?: { root: string; startCloudProcesses: typeof startCloudProcesses } | undefined;
}

/** This code's figures, and the other's where one is beside. */
export async function benchVolumeRates({ rounds, flags, beside }: RateOptions): Promise<VolumeRates[]> {
  await using stack = new AsyncDisposableStack();
  const here = { root: join(import.meta.dirname, '../..'), startCloudProcesses };
  const clients: RateClient[] = [];
  for (const each of beside ? [here, beside] : [here]) clients.push(await openClient(stack, each, flags));
  const all = clients.map(() => [] as VolumeRates[]);
  // The first is to warm up: code compiled, plans made.
  for (let round = 0; round <= rounds; round++)
    for (const [at, client] of clients.entries()) all[at]!.push(await client.round());
  return all.map((each) => medians(each.slice(1)));
}

async function openClient(
  stack: AsyncDisposableStack,
  { root, startCloudProcesses: start }: NonNullable<RateOptions['beside']>,
  flags: RateOptions['flags'],
): Promise<RateClient> {
  const cloud = stack.use(await start({ hosts: 1, fleetHosts: 0, controlFlags: flags('control') }));
  const host = fork(join(root, 'tools/bench/volume-host.ts'), [], {
    execArgv: [...process.execArgv, ...flags('host')],
  });
  stack.defer(async () => {
    const gone = once(host, 'exit');
    host.disconnect();
    await gone;
  });
  const { directory, controlUrl } = cloud;
  host.send({ directory, controlUrl, host: cloud.hosts[0]! } satisfies VolumeHost);
  await once(host, 'message');
  const client = await RateClient.open(cloud, host.pid!);
  stack.defer(() => client.close());
  return client;
}

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

function medians(all: readonly VolumeRates[]): VolumeRates {
  const names = Object.keys(all[0]!) as (keyof VolumeRates)[];
  return Object.fromEntries(
    names.map((name) => [name, median(all.map((each) => each[name]))]),
  ) as unknown as VolumeRates;
}

class RateClient {
  readonly #cloud: CloudProcesses;
  readonly #openstack: OpenStack;
  readonly #hostPid: number;
  readonly #watch: ChangeWatch;
  #imageId = '';

  static async open(cloud: CloudProcesses, hostPid: number): Promise<RateClient> {
    await withoutQuotas(cloud);
    const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
    await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
    const client = new RateClient(cloud, openstack, hostPid);
    await client.#watch.opened;
    await client.#prepare();
    return client;
  }

  private constructor(cloud: CloudProcesses, openstack: OpenStack, hostPid: number) {
    this.#cloud = cloud;
    this.#openstack = openstack;
    this.#hostPid = hostPid;
    const complete = ({ launched_at: at }: Record<string, unknown>) => at !== null && at !== undefined;
    this.#watch = new ChangeWatch(cloud, { token: openstack.token, type: 'volume', holds: complete });
  }

  close(): void {
    this.#watch.close();
    this.#openstack.close();
  }

  async round(): Promise<VolumeRates> {
    const made: string[] = [];
    const make = async (body: object = { size: 1 }): Promise<number> => {
      const begun = performance.now();
      const { volume } = await this.#openstack.must('POST', 'block-storage', '/volumes', { volume: body });
      made.push(volume.id);
      await this.#watch.seen(volume.id);
      return performance.now() - begun;
    };
    const one = async (body?: object) => {
      const times: number[] = [];
      for (let n = 0; n < few; n++) times.push(await make(body));
      return median(times);
    };
    const alone = await one();
    const together = await this.#many(make);
    const ofImage = await one({ size: imageGib, imageRef: this.#imageId });
    const source = made.at(-1);
    const ofVolume = await one({ size: imageGib, source_volid: source });
    for (const id of made.toReversed()) await this.#openstack.must('DELETE', 'block-storage', `/volumes/${id}`);
    const gone = async () => {
      const { volumes } = await this.#openstack.must('GET', 'block-storage', '/volumes?limit=1');
      return volumes.length === 0;
    };
    await until('the volumes to be gone', gone, { timeoutMs: 60_000 });
    return { alone, ...together, ofImage, ofVolume };
  }

  async #many(make: () => Promise<number>): Promise<Omit<VolumeRates, 'alone' | 'ofImage' | 'ofVolume'>> {
    const treeOf = (name: string) => withDescendants(this.#cloud.pid(name), childrenByParent()).map(String);
    const parts = { control: treeOf('control'), postgres: treeOf('postgres'), host: [String(this.#hostPid)] };
    const times = () => Object.values(parts).map(cpuMs);
    const [before, begun] = [times(), performance.now()];
    let left = many;
    const worker = async () => {
      while (left-- > 0) await make();
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    const seconds = (performance.now() - begun) / 1000;
    const [control, postgres, host] = times().map((ms, at) => (ms - before[at]!) / many) as [number, number, number];
    return { aSecond: many / seconds, cpu: control + postgres + host, control, postgres, host };
  }

  /** An empty disk of ten gibibytes: what an image holds is no part of a clone of it. */
  async #prepare(): Promise<void> {
    const file = join(this.#cloud.directory, 'image.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, `${imageGib}G`]);
    const facts = { name: 'disk', disk_format: 'qcow2', container_format: 'bare' };
    const { id } = await this.#openstack.must('POST', 'image', '/v2/images', facts);
    const type = { 'content-type': 'application/octet-stream' };
    const answer = await this.#openstack.call('PUT', 'image', `/v2/images/${id}/file`, readFileSync(file), type);
    if (answer.status !== 204) throw new Error(`the image could not be uploaded: ${JSON.stringify(answer)}`);
    this.#imageId = id;
  }
}

async function withoutQuotas({ databaseUrl }: CloudProcesses): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('update quota set maximum = -1 where project_id is null');
  await client.end();
}
