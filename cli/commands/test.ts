import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, CommandError } from '../command.ts';
import { sourceRoot } from '../process/definitions.ts';
import { loadSettings } from '../settings.ts';
import { bold, green, red, say, seconds, step } from '../terminal.ts';

export const command: Command = {
  summary: 'install what is missing and run the whole test suite',
  usage: '[fast] [live] [conformance] [alone]',
  description: `Runs, in this order: format, lint, types and the fast tests (npm run check, simulated hosts included), the live tests (real
QEMU, OVN and PostgreSQL), the conformance tests (the unmodified openstack client), and those that start, break and purge
clouds of their own. Words choose among them; none means all. The clouds lie in temporary directories and are removed.
A machine carries one cloud in a network namespace: stop yours first, or run this in a namespace of its own.`,
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
  #group: number | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        this.#signal ??= signal;
        this.#tell();
      });
    }
  }

  get given(): boolean {
    return this.#signal !== undefined;
  }

  /** @param group undefined: nothing runs now */
  runs(group: number | undefined): void {
    this.#group = group;
    if (this.given) this.#tell();
  }

  /** To this process, where it was given: its parent shall see what ended it. */
  passOn(): void {
    if (this.#signal === undefined) return;
    process.removeAllListeners(this.#signal);
    process.kill(process.pid, this.#signal);
  }

  #tell(): void {
    if (this.#group === undefined) return;
    try {
      process.kill(-this.#group, this.#signal);
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

/** Live and conformance tests share one cloud beside whatever runs on this machine; it is gone at the end, come what may. */
async function runSuites(chosen: readonly string[], stop: StopSignal): Promise<Result[]> {
  const results: Result[] = [];
  for (const name of chosen.filter((suite) => suite === 'fast'))
    results.push(await runSuite(name, { BOTHY_LISTS: 'whole' }, stop));
  const onCloud = chosen.filter((suite) => ['live', 'conformance'].includes(suite) && suites[suite]?.() !== undefined);
  if (onCloud.length > 0 && !stop.given) results.push(...(await runOnCloud(onCloud, stop)));
  // These start, break and purge clouds of their own, and a machine carries one at a time.
  if (chosen.includes('alone') && !stop.given) results.push(await runSuite('alone', {}, stop));
  return results;
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
      if (!stop.given) results.push(await runSuite(name, { BOTHY_TEST_DATA: cloud.data }, stop));
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

async function runSuite(name: string, environment: Record<string, string>, stop: StopSignal): Promise<Result> {
  const args = suites[name]?.();
  if (args === undefined) return { name, ok: true, passed: 0, failed: 0, skipped: 0, ms: 0 };
  say(bold(`\n== ${name} ==`));
  const started = performance.now();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    cwd: sourceRoot,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment, PATH: `${join(process.execPath, '..')}:${process.env.PATH}` },
  });
  stop.runs(child.pid);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  stop.runs(undefined);
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
