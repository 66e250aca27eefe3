import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Command, CommandError } from '../command.ts';
import { sourceRoot } from '../process/definitions.ts';
import { tryRun } from '../run.ts';
import { loadSettings } from '../settings.ts';
import { bold, green, red, say, seconds, step } from '../terminal.ts';

export const command: Command = {
  summary: 'install what is missing and run the whole test suite',
  usage: '[fast] [live] [conformance] [alone]',
  description: `Runs, in this order: format, lint, types and the fast tests (npm run check, simulated hosts included), the live tests (real
QEMU, OVN and PostgreSQL), the conformance tests (the unmodified openstack client), and those that start, break and purge
clouds of their own. Words choose among them; none means all. The clouds lie in temporary directories and are removed.
A network namespace carries one cloud: stop yours first, or run this in a namespace of its own. The last suite runs beside the two before
it, which get namespaces of their own then.`,
  options: { 'no-install': { type: 'boolean', help: 'take the machine as it is' } },
  positionals: { min: 0, max: 4 },
  async run(args) {
    const chosen = args.positionals.length === 0 ? Object.keys(suites) : args.positionals;
    const unknown = chosen.find((name) => suites[name] === undefined);
    if (unknown !== undefined)
      throw new CommandError(`there is no suite '${unknown}'`, `known are: ${Object.keys(suites).join(', ')}`);
    if (chosen.some((name) => name !== 'fast')) {
      // Said now, not after the minutes of installing and of the fast tests.
      const { requireAlone } = await import('../cloud/namespace.ts');
      requireAlone(loadSettings(join(tmpdir(), 'bothy-test')));
    }
    if (!args.flag('no-install')) {
      const { requireRoot } = await import('../cloud/preflight.ts');
      requireRoot('installing what the tests need');
      const { ensureInstalled } = await import('../install/index.ts');
      await ensureInstalled('test');
    }
    const stop = new StopSignal();
    const code = summarize(await runSuites(chosen, stop));
    stop.passOn();
    return code;
  },
};

/**
 * The first signal that asks this process to end. It ends the suite that runs, no further one begins, what was started is removed, and then the process
 * ends by it; a second one ends it at once. A suite is a process group of its own, so that it gets each signal once, whether a terminal sends it to all or somebody
 * to this process alone.
 */
class StopSignal {
  #signal: NodeJS.Signals | undefined;
  readonly #groups = new Set<number>();

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        this.#signal ??= signal;
        for (const group of this.#groups) this.#tell(group);
      });
    }
  }

  get given(): boolean {
    return this.#signal !== undefined;
  }

  /** @param group runs from now until what this answers is called */
  follow(group: number): () => void {
    this.#groups.add(group);
    if (this.given) this.#tell(group);
    return () => this.#groups.delete(group);
  }

  /** To this process, where it was given: its parent shall see what ended it. */
  passOn(): void {
    if (this.#signal === undefined) return;
    process.removeAllListeners(this.#signal);
    process.kill(process.pid, this.#signal);
  }

  #tell(group: number): void {
    try {
      process.kill(-group, this.#signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** Command lines of the suites; undefined where the repository has no test of that kind. */
const suites: Record<string, () => string[] | undefined> = {
  fast: () => [join(sourceRoot, 'tools/check.ts')],
  live: () => testFiles('test/live/*.test.ts'),
  alone: () => testFiles('test/live/alone/*.test.ts'),
  conformance: () => testFiles('test/conformance/**/*.test.ts'),
};

/** One file after the other: each has a cloud of its own, and two cores carry one at a time. */
function testFiles(pattern: string): string[] | undefined {
  const files = globSync(pattern, { cwd: sourceRoot }).sort();
  return files.length === 0 ? undefined : ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files];
}

/**
 * The fast ones first, for what fails there need not be waited for. Live and conformance tests share one cloud; those of the last suite start, break and purge
 * clouds of their own, and wait most of their time: they run beside the first, each in a network namespace of its own.
 */
async function runSuites(chosen: readonly string[], stop: StopSignal): Promise<Result[]> {
  const there = chosen.filter((name) => suites[name]?.() !== undefined);
  const results: Result[] = [];
  if (there.includes('fast')) results.push(await runSuite('fast', { environment: { BOTHY_LISTS: 'whole' } }, stop));
  const onCloud = there.filter((name) => ['live', 'conformance'].includes(name));
  const alone = async () => (there.includes('alone') && !stop.given ? [await runSuite('alone', {}, stop)] : []);
  if (onCloud.length === 0 || stop.given) return [...results, ...(await alone())];
  if (!there.includes('alone') || !(await mayUnshare())) {
    results.push(...(await runOnCloud(onCloud, stop)));
    return [...results, ...(await alone())];
  }
  // Made of packages, which are fetched by the machine's own network; and two would make it at the same time.
  await buildGuest();
  // This command again, for the two that share a cloud: who makes a cloud has to be in its namespace.
  const [node, main] = process.argv;
  const command = inNamespaces([node!, ...process.execArgv, main!, 'test', ...onCloud, '--no-install']);
  const besides = await Promise.all([
    runSuite(onCloud.join('+'), { command, prefix: true }, stop),
    runSuite('alone', { prefix: true }, stop),
  ]);
  return [...results, ...besides];
}

async function buildGuest(): Promise<void> {
  const { testCache } = await import('../cloud/throw-away.ts');
  const { ensureGuestImage } = await import('../demo/guest-image.ts');
  await step('a guest for the tests', (progress) => ensureGuestImage(testCache, progress));
}

/** The command line in a network of its own, with what it starts: when it ends, so does all of that. */
function inNamespaces(command: readonly string[]): string[] {
  const prepare = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && "$@"';
  // A shell is the first process there, for one has to wait for those that nobody waits for.
  return [...unshare, 'sh', '-c', `${prepare}; exit $?`, 'sh', ...command];
}

const unshare = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** In some containers nobody may, or not all of it. */
async function mayUnshare(): Promise<boolean> {
  const [program, ...args] = inNamespaces(['true']);
  return (await tryRun(program!, args)).code === 0;
}

/** One cloud for several suites. */
async function runOnCloud(names: readonly string[], stop: StopSignal): Promise<Result[]> {
  const { startThrowAwayCloud } = await import('../cloud/throw-away.ts');
  const cloud = await step(
    'a cloud for the tests',
    () => startThrowAwayCloud(),
    ({ data }) => data,
  );
  const results: Result[] = [];
  try {
    for (const name of names) {
      if (!stop.given) results.push(await runSuite(name, { environment: { BOTHY_TEST_DATA: cloud.data } }, stop));
    }
  } finally {
    await step('removing that cloud', async () => cloud[Symbol.asyncDispose]());
  }
  return results;
}

interface Result {
  name: string;
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
  ms: number;
}

/** @param how `command`: instead of the suite's own; `prefix`: each line says whose it is */
async function runSuite(
  name: string,
  how: { command?: string[]; environment?: Record<string, string>; prefix?: boolean },
  stop: StopSignal,
): Promise<Result> {
  say(bold(`\n== ${name} ==`));
  const started = performance.now();
  const [program, ...args] = how.command ?? [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...suites[name]!()!,
  ];
  const child = spawn(program!, args, {
    cwd: sourceRoot,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...how.environment, PATH: `${join(process.execPath, '..')}:${process.env.PATH}` },
  });
  const ended = child.pid === undefined ? () => {} : stop.follow(child.pid);
  let output = '';
  const prefix = how.prefix ? `${name} | ` : '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    output += `${line}\n`;
    process.stdout.write(`${prefix}${line}\n`);
  });
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  ended();
  // node:test's own summary lines, e.g. "ℹ pass 12".
  const count = (word: string) =>
    [...output.matchAll(new RegExp(`^\\S+ ${word} (\\d+)$`, 'gm'))].reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = count('fail') + count('cancelled');
  // A suite that fails without a failing test (lint, types, a crash) counts as one failure.
  const ok = code === 0 && failed === 0;
  return {
    name,
    ok,
    passed: count('pass'),
    failed: ok ? 0 : Math.max(1, failed),
    skipped: count('skipped'),
    ms: performance.now() - started,
  };
}

function summarize(results: readonly Result[]): number {
  say('');
  for (const result of results) {
    const verdict = result.ok ? green('ok') : red('FAILED');
    const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : '';
    say(
      `${result.name.padEnd(12)} ${verdict}  ${result.passed} passed, ${result.failed} failed${skipped}  (${seconds(result.ms)})`,
    );
  }
  const sum = (key: 'passed' | 'failed' | 'skipped') => results.reduce((total, result) => total + result[key], 0);
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
  say(`${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
  return results.every((result) => result.ok) ? 0 : 1;
}
