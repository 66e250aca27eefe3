/**
 * Breaks the connections by which a QEMU sends to another host's, whatever it does. It may do nothing: while it drains a disk, writes the last of a memory or
 * shakes hands (TLS) with a peer that stands still it answers nothing, and its guest stands still with it for as long as the peer's kernel says that it lives.
 * What was sent before may arrive all the same.
 */
import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { type Execute, QmpConnectionError, QmpError, QmpTimeoutError } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { remoteNode } from './names.ts';

/** Where the target's QEMU listens. */
export interface Way {
  address: string;
  ports: number[];
}

/** What QEMU can break of itself. */
interface Instance {
  type: 'block-node' | 'migration' | (string & {});
  'node-name'?: string;
}

/** QEMU says nothing, as it does where it waits for a peer, or it is not there to be asked. */
export const isSilence = (error: unknown): boolean =>
  error instanceof QmpTimeoutError ||
  error instanceof QmpConnectionError ||
  (error instanceof HostFault && error.code === 'guest_silent');

/**
 * First by QEMU itself; what that does not reach (a handshake, a QEMU that this process has not spoken with before it began to wait) by the kernel. Safe to repeat.
 * @param options.outOfBand asks QEMU out of band
 */
export const breakWay = (disks: readonly string[], way: Way | undefined, means: Means): Promise<void> =>
  breakConnections({ nodes: disks.map(remoteNode), memory: true }, way, means);

export interface Means {
  outOfBand: Execute;
  reset(way: Way): Promise<void>;
}

/** The same, of any nodes that are another host's. */
export async function breakConnections(
  { nodes, memory }: { nodes: readonly string[]; memory: boolean },
  way: Way | undefined,
  { outOfBand, reset }: Means,
): Promise<void> {
  try {
    for (const instance of await outOfBand<Instance[]>('query-yank')) {
      const ours = (memory && instance.type === 'migration') || nodes.includes(instance['node-name'] ?? '');
      if (ours) await outOfBand('yank', { instances: [instance] }).catch(unlessGone);
    }
  } catch (error) {
    if (!isSilence(error)) throw error;
  }
  if (way) await reset(way);
}

function unlessGone(error: unknown): void {
  if (!(error instanceof QmpError)) throw error;
}

/** By what connections are looked at and ended. */
interface Kernel {
  /** All to `address:port`, a line each, with the processes that have it. */
  list(to: string): Promise<string>;
  end(from: string, to: string): Promise<void>;
}

/**
 * The kernel ends the TCP connections of this process to there, and those that no process has (`ss -K`; Linux with CONFIG_INET_DIAG_DESTROY, as Debian's). Not another's: the other host may have
 * given the port to somebody else by now. A kernel that does not know how does nothing. The address is another host's word, and `ss` reads it as part of an expression (`any`, a network, `or`): it
 * gets one that is one.
 * @throws HostFault `way_unknown`
 */
export async function resetConnections({ address, ports }: Way, pid: number, kernel = ss): Promise<void> {
  const found = isIP(address) > 0 ? address : await lookup(address).then((known) => known.address, unknown(address));
  const host = found.includes(':') ? `[${found}]` : found;
  for (const port of ports) {
    const to = `${host}:${port}`;
    for (const line of (await kernel.list(to)).split('\n')) {
      const [, , , from] = line.trim().split(/\s+/);
      const owners = [...line.matchAll(/\bpid=(\d+)/g)].map(([, owner]) => Number(owner));
      if (from !== undefined && (owners.length === 0 || owners.includes(pid))) await kernel.end(from, to);
    }
  }
}

const unknown = (address: string) => (cause: Error) => {
  throw new HostFault('way_unknown', `there is no host ${JSON.stringify(address)}: ${cause.message}`, { cause });
};

const run = (args: string[]) => promisify(execFile)('ss', args, { timeout: 10_000, maxBuffer: 2 ** 24 });
const ss: Kernel = {
  list: async (to) => (await run(['-tnpH', 'dst', to])).stdout,
  end: async (from, to) => void (await run(['-K', '-tn', 'src', from, 'dst', to])),
};
