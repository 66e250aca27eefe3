/**
 * A whole cloud on this machine for live and conformance tests: real PostgreSQL, OVN, QEMU.
 *
 * With BOTHY_TEST_DATA set, the cloud that runs on that data directory is used and left alone (`bothy test` starts one for
 * all suites). Without it, a cloud of the test's own is started below the temporary folder and purged at the end.
 */
import { type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const repository = resolve(import.meta.dirname, '../..');
export const bothy = join(repository, 'bothy');

/** Why live tests can't run here; undefined when they can. */
export const notLive: string | undefined =
  process.getuid!() === 0 ? undefined : 'needs root: QEMU, Open vSwitch and network namespaces';

export interface Output {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end, with a deadline. Never throws for a failing command: look at `status`. */
export function run(
  command: string,
  args: string[],
  options: SpawnOptionsWithoutStdio & { deadlineMs?: number; input?: string } = {},
): Promise<Output> {
  const { deadlineMs = 120_000, input, ...rest } = options;
  return new Promise((done, failed) => {
    const child = spawn(command, args, rest);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', failed);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const late = signal === 'SIGKILL' ? `\n(ended after ${deadlineMs} ms)` : '';
      done({
        status: code ?? 128,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString() + late,
      });
    });
    // A command may end before it has read everything; its exit code tells.
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
}

/** Like {@link run}, but a failing command fails the test with everything that it said. */
export async function mustRun(
  command: string,
  args: string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: exit ${result.status}\n${result.stdout}\n${result.stderr}`);
  }
  return result.stdout;
}

export interface LiveCloud extends AsyncDisposable {
  data: string;
  /** OS_* variables of the administrator, as `<data>/openrc` sets them. */
  adminEnvironment: Record<string, string>;
  /** PEM file of the cloud's own CA. */
  caFile: string;
}

export async function liveCloud(): Promise<LiveCloud> {
  const given = process.env.BOTHY_TEST_DATA;
  const data = given ?? mkdtempSync(join(tmpdir(), 'bothy-live-'));
  if (!given) await mustRun(bothy, ['up', '--detach', '--data', data], { deadlineMs: 300_000 });
  return {
    data,
    adminEnvironment: environmentOf(join(data, 'openrc')),
    caFile: join(data, 'ca.pem'),
    async [Symbol.asyncDispose]() {
      if (!given) await mustRun(bothy, ['down', '--purge', '--yes', '--data', data], { deadlineMs: 180_000 });
    },
  };
}

/** `export NAME=value` and `export NAME='value'` lines of a shell file. */
export function environmentOf(file: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const match = /^export (\w+)=(?:'([^']*)'|"([^"]*)"|(.*))$/.exec(line.trim());
    if (match) found[match[1]!] = match[2] ?? match[3] ?? match[4] ?? '';
  }
  return found;
}

/** Waits until `probe` answers something other than undefined or false; a deadline, not a sleep, bounds it. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  deadlineMs = 60_000,
  everyMs = 100,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((next) => setTimeout(next, everyMs));
  }
}
