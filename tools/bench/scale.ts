/**
 * `npm run bench -- scale [--quick]`: what growth costs. For each size a cloud of its own: PostgreSQL filled by SQL, one control process,
 * and hosts on the wire (wire-hosts.ts), which answer with reports, ask for leases and have no guests. A rack of them is lost and comes back (scale-rack.ts). Prints each
 * figure by size, the ratio of the top to the bottom, and to the size with ten hosts; all four sizes together are drawn in docs/scale.svg and written in docs/scale.json.
 * OVN has its own bench (projection.ts): here control finds no northbound database.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { until } from '../../test/support/until.ts';
import { unpackCommit } from './beside.ts';
import { treeCpuMs } from './processor.ts';
import { scaleCurve } from './scale-curve.ts';
import { fill, hostMemoryMiB, type Size } from './scale-fill.ts';
import { loseRack, steadyCaller } from './scale-rack.ts';
import { type Figures, quantile, timed, Work } from './scale-work.ts';
import type { WireHosts, WirePower, WireState } from './wire-hosts.ts';

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

interface Version {
  name: string;
  /** The folder of its code; this work tree where there is none. */
  source?: string;
}

const names = {
  first: 'all in step at first, s',
  rss: 'RSS of control, MiB',
  rssAfter: 'RSS of control after the restart, MiB',
  heap: 'its heap in use, and memory outside, MiB',
};

export interface ScaleOptions {
  rounds: number;
  /** Another commit, measured beside this work tree. */
  beside?: string | undefined;
  /** Ends it behind the step that is under way. */
  signal?: AbortSignal;
  /** Options of Node.js for control, by size. */
  controlFlags?(name: string): string[];
}

/** @returns the table; with another commit's figures under each row where one was asked for */
export async function benchScale(all: readonly Size[], options: ScaleOptions): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'bothy-bench-'));
  try {
    const versions: Version[] = [{ name: 'this work tree' }];
    if (options.beside) {
      const source = join(scratch, 'beside');
      versions.push({ name: unpackCommit(options.beside, source), source });
    }
    const columns: Figures[][] = versions.map(() => []);
    for (const size of all) {
      if (options.signal?.aborted) break;
      for (const [index, version] of versions.entries()) {
        console.log(`# ${size.hosts} hosts, ${size.servers} servers, ${version.name}`);
        const figures = await measure(size, version, options);
        for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(52)} ${shown(value)}`);
        columns[index]!.push(figures);
      }
    }
    if (all === sizes && !options.signal?.aborted) writeCurve(columns[0]!);
    return table(all, columns, versions);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What the code can't do, or not in time, has no figure. */
async function measure(size: Size, { source }: Version, options: ScaleOptions): Promise<Figures> {
  const delayFile = join(tmpdir(), `bothy-loop-${process.pid}.json`);
  process.env.BENCH_LOOP_DELAY = delayFile;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(delayFile, { force: true }));
  const flags = options.controlFlags?.(`control-${size.hosts}`) ?? [];
  const cloud = stack.use(
    await startCloudProcesses({
      ...{ hosts: size.hosts, fleetHosts: 0, logLevel: 'warn', ...(source && { source }) },
      prepare: (url, hosts) => fill(url, hosts, size),
      controlFlags: ['--import', join(import.meta.dirname, 'loop-delay.ts'), ...flags],
    }),
  );
  const wire = startWire(stack, cloud, hostMemoryMiB(size));
  const figures: Figures = {};
  const step = async (work: () => Promise<Figures>) => {
    if (options.signal?.aborted) return;
    try {
      Object.assign(figures, await work());
    } catch (error) {
      console.log(`  could not be done: ${(error as Error).message}`);
    }
  };
  await step(async () => ({ [names.first]: (await timed(() => wire.allInStep(300_000))) / 1000 }));
  const opened: Work[] = [];
  await step(async () => {
    opened.push(await Work.open(stack, cloud));
    return {};
  });
  const cpu = () => ({ control: treeCpuMs(cloud.pid('control')), postgres: treeCpuMs(cloud.pid('postgres')) });
  for (const work of opened) {
    // The control that is measured is warm.
    await step(() => work.round(1, cpu).then(() => ({})));
    await loopDelay(cloud, delayFile);
    await step(() => work.round(options.rounds, cpu));
    await step(async () => placements(cloud, work));
    Object.assign(figures, delayFigures('event loop of control', await loopDelay(cloud, delayFile)));
    await step(() => loseRack(size, { wire, work, cpu }));
    Object.assign(figures, delayFigures('rack: event loop', await loopDelay(cloud, delayFile)));
    figures[names.rss] = cloud.memoryMiB().control!;
    await step(() => restart(cloud, wire, work));
    Object.assign(figures, delayFigures('restart: event loop', await loopDelay(cloud, delayFile)));
  }
  const { heapUsed, external } = (await loopDelay(cloud, delayFile)).memory;
  const after = { [names.rssAfter]: cloud.memoryMiB().control!, [names.heap]: (heapUsed + external) / 2 ** 20 };
  return { ...figures, ...after };
}

const delayFigures = (name: string, { p999, longest }: LoopDelay): Figures => ({
  [`${name}, p99.9 ms`]: p999,
  [`${name}, longest ms`]: longest,
});

async function placements(cloud: CloudProcesses, work: Work): Promise<Figures> {
  const cpu = () => [treeCpuMs(cloud.pid('control')), treeCpuMs(cloud.pid('postgres'))] as const;
  let before = cpu();
  const { count, ms } = await work.placements(5, () => {
    before = cpu();
  });
  const after = cpu();
  return {
    'placements a second': count / (ms / 1000),
    'processor time of control for one, ms': (after[0] - before[0]) / count,
    'of PostgreSQL for one, ms': (after[1] - before[1]) / count,
  };
}

function startWire(stack: AsyncDisposableStack, cloud: CloudProcesses, memoryMiB: number) {
  const child = fork(join(import.meta.dirname, 'wire-hosts.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  stack.defer(() => void child.kill());
  let state: WireState = { inStep: 0, twice: 0 };
  child.on('message', (told: WireState) => {
    state = told;
  });
  const { controlUrl, hosts } = cloud;
  child.send({ controlUrl, hosts, memoryMiB } satisfies WireHosts);
  return {
    pid: child.pid!,
    hosts,
    twice: () => state.twice,
    lose: (lose: readonly string[]) => void child.send({ lose } satisfies WirePower),
    regain: (regain: readonly string[]) => void child.send({ regain } satisfies WirePower),
    gone: () => until('the streams to end', () => state.inStep === 0, { timeoutMs: 30_000 }),
    allInStep: (timeoutMs: number) =>
      until('all hosts to be in step', () => state.inStep === hosts.length, { timeoutMs }),
  };
}

/** Another control in the place of this one: until every host has its snapshot and has answered, and how the API does meanwhile. */
async function restart(cloud: CloudProcesses, wire: ReturnType<typeof startWire>, work: Work): Promise<Figures> {
  const gone = wire.gone();
  await cloud.restartControl();
  await gone.catch(() => {});
  const caller = steadyCaller(work);
  const cpu = () => ({ postgres: treeCpuMs(cloud.pid('postgres')), hosts: treeCpuMs(wire.pid) });
  const before = cpu();
  const ms = await timed(() => wire.allInStep(300_000)).catch(async (error) => {
    await caller.end();
    throw error;
  });
  const after = cpu();
  const answers = await caller.end();
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

interface LoopDelay {
  p999: number;
  longest: number;
  memory: NodeJS.MemoryUsage;
}

async function loopDelay(cloud: CloudProcesses, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true });
  process.kill(Number(readFileSync(join(cloud.pidDirectory, 'control.pid'), 'utf8')), 'SIGUSR2');
  let answer: LoopDelay | undefined;
  await until('the delay of the event loop', () => {
    try {
      answer = JSON.parse(readFileSync(file, 'utf8'));
    } catch {}
    return answer !== undefined;
  });
  return answer!;
}

const shown = (value: number | undefined): string => (value === undefined ? 'n/a' : value.toFixed(2));

function writeCurve(figures: readonly Figures[]): void {
  const docs = join(import.meta.dirname, '../../docs');
  const points = sizes.map((size, index) => ({ ...size, figures: figures[index]! }));
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
  writeFileSync(join(docs, 'scale.json'), `${JSON.stringify(points, rounded, 2)}\n`);
  writeFileSync(join(docs, 'scale.svg'), scaleCurve(points));
}

function table(all: readonly Size[], columns: readonly Figures[][], versions: readonly Version[]): string {
  const tenth = all.findIndex(({ hosts }) => hosts === 10);
  const head = ['', ...all.map(({ hosts, servers }) => `${hosts} / ${servers}`), 'top / bottom', 'top / 10'];
  const rowNames = new Set(columns[0]!.flatMap((figures) => Object.keys(figures)));
  const rows = [...rowNames].flatMap((name) =>
    columns.map((figures, index) => {
      const values = figures.map((of) => of[name]);
      const top = values.at(-1);
      const to = (bottom: number | undefined) => (bottom === undefined || top === undefined ? undefined : top / bottom);
      const ratios = [to(values[0]), to(values[tenth])];
      return [index === 0 ? name : `  ${versions[index]!.name}`.slice(0, 50), ...[...values, ...ratios].map(shown)];
    }),
  );
  return [head, ...rows]
    .map(([name, ...cells]) => [name!.padEnd(52), ...cells.map((cell) => cell.padStart(14))].join(''))
    .join('\n');
}
