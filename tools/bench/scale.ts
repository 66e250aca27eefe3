/**
 * `npm run bench -- scale [--quick]`: what growth costs. For each size a cloud of its own: PostgreSQL filled by SQL, one control process,
 * and hosts on the wire (wire-hosts.ts), which answer with reports and have no guests. Prints each figure by size and the ratio of the top
 * to the bottom. OVN has its own bench (projection.ts): here control finds no northbound database.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { until } from '../../test/support/until.ts';
import { unpackCommit } from './beside.ts';
import { treeCpuMs } from './processor.ts';
import { fill, type Size } from './scale-fill.ts';
import { type Figures, quantile, timed, Work } from './scale-work.ts';
import type { WireHosts } from './wire-hosts.ts';

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
  loop: 'event loop of control, p99.9 ms',
  longest: 'event loop of control, longest ms',
  rss: 'RSS of control, MiB',
  heap: 'its heap in use, and memory outside, MiB',
};

export interface ScaleOptions {
  rounds: number;
  /** Another commit, measured beside this work tree. */
  beside?: string | undefined;
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
      for (const [index, version] of versions.entries()) {
        console.log(`# ${size.hosts} hosts, ${size.servers} servers, ${version.name}`);
        const figures = await measure(size, version, options);
        for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(44)} ${shown(value)}`);
        columns[index]!.push(figures);
      }
    }
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
  const wire = startWire(stack, cloud);
  const figures: Figures = {};
  const step = async (work: () => Promise<Figures>) => {
    try {
      Object.assign(figures, await work());
    } catch (error) {
      console.log(`  could not be done: ${(error as Error).message}`);
    }
  };
  await step(async () => ({ [names.first]: (await timed(() => wire.allInStep(120_000))) / 1000 }));
  const opened: Work[] = [];
  await step(async () => {
    opened.push(await Work.open(stack, cloud));
    return {};
  });
  for (const work of opened) {
    // The control that is measured is warm.
    await step(() => work.round(3).then(() => ({})));
    await loopDelay(cloud, delayFile);
    await step(() => work.round(options.rounds));
    await step(async () => placements(cloud, work));
    const { p999, longest } = await loopDelay(cloud, delayFile);
    Object.assign(figures, { [names.loop]: p999, [names.longest]: longest });
    await step(() => restart(cloud, wire, work));
  }
  const rss = cloud.memoryMiB().control!;
  const { heapUsed, external } = (await loopDelay(cloud, delayFile)).memory;
  return { ...figures, [names.rss]: rss, [names.heap]: (heapUsed + external) / 2 ** 20 };
}

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

/** Another control in the place of this one: until every host has its snapshot and has answered, and how the API does meanwhile. */
async function restart(cloud: CloudProcesses, wire: ReturnType<typeof startWire>, work: Work): Promise<Figures> {
  const gone = wire.gone();
  await cloud.restartControl();
  await gone.catch(() => {});
  const answers: number[] = [];
  let over = false;
  const asking = (async () => {
    // A steady caller: how often it asks must not depend on how long all takes.
    while (!over) {
      const pause = new Promise((resolve) => setTimeout(resolve, 50));
      answers.push(await timed(work.list));
      await pause;
    }
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

function table(all: readonly Size[], columns: readonly Figures[][], versions: readonly Version[]): string {
  const head = ['', ...all.map(({ hosts, servers }) => `${hosts} / ${servers}`), 'top / bottom'];
  const rows = Object.keys(columns[0]![0]!).flatMap((name) =>
    columns.map((figures, index) => {
      const values = figures.map((of) => of[name]);
      const [bottom, top] = [values[0], values.at(-1)];
      const ratio = bottom === undefined || top === undefined ? undefined : top / bottom;
      return [index === 0 ? name : `  ${versions[index]!.name}`.slice(0, 42), ...values.map(shown), shown(ratio)];
    }),
  );
  return [head, ...rows]
    .map(([name, ...cells]) => [name!.padEnd(44), ...cells.map((cell) => cell.padStart(15))].join(''))
    .join('\n');
}
