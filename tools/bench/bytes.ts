/**
 * `npm run bench -- bytes`: 64 MiB up and down, one at a time and ten at once, through the API's TLS; beside `openssl s_server`
 * in the same run with the same client and cipher, which is what TLS alone costs on this machine. While ten are under way
 * another thread asks the API for one image again and again, and control's memory is read.
 */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { Worker } from 'node:worker_threads';
import type { CloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { type PlainServer, plainServer } from './bytes-reference.ts';
import { cloudPids, cpuMs } from './processor.ts';

export const sizeBytes = 64 * 2 ** 20;
/** As clients of OpenStack send a file. */
const piece = Buffer.alloc(65_536, 7);
const cipher = 'TLS_AES_256_GCM_SHA384';
const atOnce = 10;
const warmUps = 3;

export interface Transfers {
  work: string;
  p50Ms: number;
  minMs: number;
  /** Wall time of all, divided by their number. */
  eachMs: number;
  /** Processor time per transfer: of the processes that serve, and of the client. */
  serverCpuMs: number;
  clientCpuMs: number;
}

export interface BytesReport {
  transfers: Transfers[];
  /** `besideOther`: while s_server sends, so that the processors are as busy but the cloud has nothing else to do. */
  apiP99Ms: { quiet: number; besideOther: number; down: number; up: number };
  controlMiB: { before: number; most: number; after: number };
}

/** Measures the clouds, and answers a report of each, as a table too. */
export async function benchBytes(
  clouds: readonly CloudProcesses[],
  options: { scratch: string; count: number },
): Promise<{ report: BytesReport; text: string }[]> {
  await using stack = new AsyncDisposableStack();
  const runs: CloudRun[] = [];
  for (const cloud of clouds) runs.push(stack.use(await CloudRun.begin(cloud, options)));
  // In turns, work by work: what else the machine does comes and goes, and would be taken for a difference between clouds.
  for (const width of [1, atOnce]) for (const way of ways) for (const run of runs) await run.transfers(way, width);
  for (const work of ['quiet', 'besideOther', 'down', 'up'] as const) for (const run of runs) await run.beside(work);
  const reports = runs.map((run) => run.report());
  for (const run of runs) await run.removeImages();
  return reports.map((report) => ({ report, text: table(report) }));
}

const ways = ['down, s_server', 'up, s_server', 'up', 'down'] as const;
type Way = (typeof ways)[number];

/** One cloud, what is measured of it, and the plain server beside it. */
class CloudRun implements AsyncDisposable {
  readonly #cloud: CloudProcesses;
  readonly #openstack: OpenStack;
  readonly #agent: https.Agent;
  readonly #reference: PlainServer;
  readonly #images: Images;
  readonly #measure: Measure;
  readonly #apiP99Ms = { quiet: 0, besideOther: 0, down: 0, up: 0 };
  readonly #before: number;
  readonly #memory: HighWater;

  static async begin(cloud: CloudProcesses, options: { scratch: string; count: number }): Promise<CloudRun> {
    const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
    await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
    const reference = await plainServer({ ...options, cloud, ciphers: cipher });
    return new CloudRun(cloud, { openstack, reference, count: options.count });
  }

  private constructor(
    cloud: CloudProcesses,
    { openstack, reference, count }: { openstack: OpenStack; reference: PlainServer; count: number },
  ) {
    this.#cloud = cloud;
    this.#openstack = openstack;
    this.#reference = reference;
    const ca = readFileSync(cloud.caFile);
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 64, scheduling: 'lifo', ca, ciphers: cipher });
    this.#images = new Images(openstack, this.#agent);
    this.#measure = new Measure(count);
    const resident = () => cloud.memoryMiB().control!;
    this.#before = resident();
    this.#memory = new HighWater(resident);
  }

  transfers(way: Way, width: number): Promise<void> {
    const work = width === 1 ? way : `${way}, ${width} at once`;
    const pids = way.endsWith('s_server') ? this.#reference.pids : () => cloudPids(this.#cloud.pidDirectory);
    return this.#measure.transfers(work, width, pids, (index) => this.#once(way, index));
  }

  /** Apart from the measurements above: the questions take processor time from what is measured. */
  async beside(work: keyof BytesReport['apiP99Ms']): Promise<void> {
    const way = work === 'besideOther' ? 'down, s_server' : work;
    const probe = new Probe(this.#openstack, this.#images.url(0), readFileSync(this.#cloud.caFile));
    this.#apiP99Ms[work] = await probe.during(() =>
      way === 'quiet'
        ? new Promise((resolve) => setTimeout(resolve, 2000))
        : several(3 * atOnce, (index) => this.#once(way, index)),
    );
  }

  report(): BytesReport {
    const controlMiB = {
      ...{ before: this.#before, most: this.#memory.most },
      after: this.#cloud.memoryMiB().control!,
    };
    return { transfers: this.#measure.rows, apiP99Ms: this.#apiP99Ms, controlMiB };
  }

  removeImages(): Promise<void> {
    return this.#images.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory.stop();
    this.#agent.destroy();
    this.#openstack.close();
    await this.#reference[Symbol.asyncDispose]();
  }

  #once(way: Way, index: number): Promise<void> {
    if (way === 'down, s_server') return this.#reference.down(this.#agent);
    if (way === 'up, s_server') return this.#reference.up();
    return way === 'up' ? this.#images.up() : this.#images.down(index);
  }
}

/** Ten at a time. */
async function several(count: number, once: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < count) await once(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** Images of this size in the cloud, and their bytes. */
class Images {
  readonly #openstack: OpenStack;
  readonly #agent: https.Agent;
  readonly #ids: string[] = [];

  constructor(openstack: OpenStack, agent: https.Agent) {
    this.#openstack = openstack;
    this.#agent = agent;
  }

  url(index: number): string {
    return this.#openstack.url('image', `/v2/images/${this.#ids[index % this.#ids.length]}`);
  }

  async up(): Promise<void> {
    const image = { name: 'bytes', disk_format: 'raw', container_format: 'bare' };
    const { id } = await this.#openstack.must('POST', 'image', '/v2/images', image);
    const status = await sendPieces(`${this.#openstack.url('image', `/v2/images/${id}`)}/file`, {
      agent: this.#agent,
      token: this.#openstack.token,
    });
    if (status !== 204) throw new Error(`the upload was answered ${status}`);
    this.#ids.push(id);
  }

  down(index: number): Promise<void> {
    return receive(`${this.url(index)}/file`, { agent: this.#agent, token: this.#openstack.token });
  }

  async remove(): Promise<void> {
    for (const id of this.#ids) await this.#openstack.must('DELETE', 'image', `/v2/images/${id}`);
  }
}

/** @throws where fewer bytes come */
export function receive(url: string, { agent, token }: { agent: https.Agent; token?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { 'x-auth-token': token };
    const request = https.get(url, { agent, headers }, (response) => {
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
      response.once('end', () =>
        size === sizeBytes ? resolve() : reject(new Error(`${response.statusCode} with ${size} bytes`)),
      );
      response.once('error', reject);
    });
    request.once('error', reject);
  });
}

function sendPieces(url: string, { agent, token }: { agent: https.Agent; token: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...{ 'x-auth-token': token, 'content-type': 'application/octet-stream' },
      'content-length': sizeBytes,
    };
    const request = https.request(url, { agent, method: 'PUT', headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode!));
    });
    request.once('error', reject);
    writePieces(request);
  });
}

/** All of an upload's bytes, as fast as they are taken; then the end. */
export function writePieces(sink: NodeJS.WritableStream): void {
  let left = sizeBytes / piece.length;
  const more = () => {
    while (left > 0) {
      left--;
      if (!sink.write(piece)) {
        sink.once('drain', more);
        return;
      }
    }
    sink.end();
  };
  more();
}

class Measure {
  readonly rows: Transfers[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  async transfers(
    work: string,
    width: number,
    pids: () => readonly string[],
    once: (index: number) => Promise<void>,
  ): Promise<void> {
    for (let index = 0; index < warmUps; index++) await once(index);
    const count = width === 1 ? this.#count : Math.max(this.#count, width * 3);
    const times: number[] = [];
    const server = cpuMs(pids());
    const client = process.cpuUsage();
    const started = performance.now();
    let next = 0;
    const one = async () => {
      while (next < count) {
        const from = performance.now();
        await once(next++);
        times.push(performance.now() - from);
      }
    };
    await Promise.all(Array.from({ length: width }, one));
    const eachMs = (performance.now() - started) / count;
    const { user, system } = process.cpuUsage(client);
    times.sort((a, b) => a - b);
    this.rows.push({
      ...{ work, p50Ms: times[times.length >> 1]!, minMs: times[0]!, eachMs },
      ...{ serverCpuMs: (cpuMs(pids()) - server) / count, clientCpuMs: (user + system) / 1000 / count },
    });
  }
}

/** Asks the API for one image again and again, in a thread of its own. */
class Probe {
  readonly #data: Record<string, unknown>;

  constructor(openstack: OpenStack, url: string, ca: Buffer) {
    this.#data = { url, token: openstack.token, ca };
  }

  /** The 99th percentile of the answers' times, in milliseconds. */
  async during(work: () => Promise<unknown>): Promise<number> {
    const worker = new Worker(new URL('./bytes-probe.ts', import.meta.url), { workerData: this.#data });
    await new Promise((resolve) => worker.once('message', resolve));
    await work();
    const answered = new Promise<number>((resolve) => worker.once('message', resolve));
    worker.postMessage('end');
    return await answered;
  }
}

class HighWater {
  most = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(read: () => number) {
    this.#timer = setInterval(() => {
      this.most = Math.max(this.most, read());
    }, 100);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function table({ transfers, apiP99Ms, controlMiB }: BytesReport): string {
  const lines = [`${'64 MiB, TLS'.padEnd(34)}   p50   min  each   CPU: server  client   (ms)`];
  for (const row of transfers) {
    const figures = [row.p50Ms, row.minMs, row.eachMs].map((ms) => ms.toFixed(0).padStart(6)).join('');
    const cpu = [row.serverCpuMs.toFixed(0).padStart(12), row.clientCpuMs.toFixed(0).padStart(8)].join('');
    lines.push(`${row.work.padEnd(34)}${figures}${cpu}`);
  }
  const each = (work: string) => transfers.find((row) => row.work === work)!.eachMs;
  for (const way of ['down', 'up']) {
    const share = each(`${way}, s_server, ${atOnce} at once`) / each(`${way}, ${atOnce} at once`);
    lines.push(`${way}, ${atOnce} at once: ${(share * 100).toFixed(0)} % of what s_server moves`);
  }
  const ms = (value: number) => value.toFixed(1);
  lines.push(
    `GET one image, p99: ${ms(apiP99Ms.quiet)} ms alone, ${ms(apiP99Ms.besideOther)} beside as many downloads from s_server,`,
    `  ${ms(apiP99Ms.down)} beside ${atOnce} downloads, ${ms(apiP99Ms.up)} beside ${atOnce} uploads`,
    `control, resident: ${controlMiB.before.toFixed(0)} MiB before, ${controlMiB.most.toFixed(0)} at most, ${controlMiB.after.toFixed(0)} after`,
  );
  return lines.join('\n');
}
