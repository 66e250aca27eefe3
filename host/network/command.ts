/**
 * Runs ip, nft and ethtool, and sets kernel variables, in a network namespace where one is given. No argument ever goes
 * through a shell. A simulated machine carries the commands out itself (`machine`).
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { PortStatistics } from '../host-network.ts';

/** What stands in for the kernel and its tools: the simulator's. `run` fails with CommandError, as the tools do. */
export interface CommandMachine {
  run(
    command: string,
    args: string[],
    options: { netns?: string | undefined; input?: string | undefined },
  ): Promise<string>;
  setKernel(values: Record<string, string>, netns: string | undefined): Promise<void>;
  getKernel(path: string, netns: string | undefined): Promise<string>;
}

export interface CommandOptions {
  netns?: string | undefined;
  /** Absent: this machine. */
  machine?: CommandMachine | undefined;
  input?: string;
  timeoutMs?: number;
}

export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly stderr: string;
  constructor(command: string, stderr: string, cause: unknown) {
    super(`${command} failed: ${stderr.trim().slice(0, 500)}`, { cause });
    this.stderr = stderr;
  }
}

/** Answers stdout. */
export function run(command: string, args: string[], options: CommandOptions = {}): Promise<string> {
  if (options.machine) return options.machine.run(command, args, options);
  const [file, all] = inNamespace(command, args, options.netns);
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      all,
      { timeout: options.timeoutMs ?? 20_000, maxBuffer: 64 << 20 },
      (cause, stdout, stderr) => {
        if (cause) reject(new CommandError([file, ...all].join(' ').slice(0, 200), stderr, cause));
        else resolve(stdout);
      },
    );
    child.stdin?.on('error', () => {}); // the command may end before it read everything; its exit code tells
    child.stdin?.end(options.input ?? '');
  });
}

function inNamespace(command: string, args: string[], netns: string | undefined): [string, string[]] {
  if (netns === undefined) return [command, args];
  // `ip` enters by itself, which saves a process and the mounts of `netns exec`.
  if (command === 'ip') return ['ip', ['-n', netns, ...args]];
  return ['ip', ['netns', 'exec', netns, command, ...args]];
}

/** Several `ip` commands in one process; it stops at the first that fails. */
export async function ipBatch(lines: string[], options: CommandOptions = {}): Promise<void> {
  if (lines.length > 0) await run('ip', ['-batch', '-'], { ...options, input: `${lines.join('\n')}\n` });
}

/** One nft transaction. */
export async function nft(script: string, options: CommandOptions = {}): Promise<void> {
  if (script !== '') await run('nft', ['-f', '-'], { ...options, input: script });
}

/** Variables below /proc/sys, e.g. 'net/ipv4/ip_forward'. A bare machine has no sysctl(8). */
export async function setKernel(values: Record<string, string>, options: CommandOptions = {}): Promise<void> {
  if (options.machine) return options.machine.setKernel(values, options.netns);
  const entries = Object.entries(values);
  if (options.netns === undefined) {
    for (const [path, value] of entries) writeFileSync(`/proc/sys/${path}`, value);
    return;
  }
  const script = 'while read -r path value; do echo "$value" > "/proc/sys/$path" || exit 1; done';
  const input = entries.map(([path, value]) => `${path} ${value}\n`).join('');
  await run('sh', ['-c', script], { ...options, input });
}

export async function getKernel(path: string, options: CommandOptions = {}): Promise<string> {
  if (options.machine) return options.machine.getKernel(path, options.netns);
  const file = `/proc/sys/${path}`;
  return (options.netns === undefined ? readFileSync(file, 'utf8') : await run('cat', [file], options)).trim();
}

export interface Link {
  ifname: string;
  ifalias?: string;
  mtu: number;
  address?: string;
  flags: string[];
  operstate: string;
  linkinfo?: { info_kind?: string; info_data?: { user?: string; type?: string } };
}

export async function listLinks(options: CommandOptions = {}): Promise<Link[]> {
  return JSON.parse((await run('ip', ['-j', '-d', 'link', 'show'], options)) || '[]') as Link[];
}

/** What passed each link since it was made. */
export async function listStatistics(options: CommandOptions = {}): Promise<Map<string, PortStatistics>> {
  const text = await run('ip', ['-j', '-s', 'link', 'show'], options);
  const links = JSON.parse(text || '[]') as { ifname: string; stats64?: PortStatistics }[];
  return new Map(links.flatMap(({ ifname, stats64 }) => (stats64 ? [[ifname, stats64] as const] : [])));
}

export async function findLink(name: string, options: CommandOptions = {}): Promise<Link | undefined> {
  try {
    const links = JSON.parse(await run('ip', ['-j', '-d', 'link', 'show', 'dev', name], options)) as Link[];
    return links[0];
  } catch (error) {
    if (error instanceof CommandError && /does not exist|Cannot find device/.test(error.stderr)) return undefined;
    throw error;
  }
}

export async function listNamespaces(options: Pick<CommandOptions, 'machine'> = {}): Promise<string[]> {
  const text = await run('ip', ['netns', 'list'], { machine: options.machine });
  return text
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name !== '');
}
