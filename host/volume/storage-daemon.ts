/**
 * A storage daemon for one piece of work on files of layers, behind walls as qemu-img. Owns its process: it ends with the work, and with
 * this process too, however that dies, for a daemon that is left would keep the file locked for hours. Its standard input is the lifeline.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Execute, QmpClient } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { type Walls, walledEnvironment, walledIn } from '../image/walls.ts';
import type { BlockNode, secretObjects } from './chain.ts';

/** Behind walls the daemon is in a group of its own, which `timeout` makes. */
const lifeline = '"$@" </dev/null & exec 3>&-; cat >/dev/null; kill -9 -$! $! 2>/dev/null';
const startMs = 20_000;
const maxWords = 4096;
/** How long it may take to write what it has in memory. */
const closingMs = 60_000;

/** @throws HostFault where it can't open the node; what the work throws */
export async function withStorageDaemon<T>(
  node: BlockNode,
  walls: Walls,
  work: (execute: Execute) => Promise<T>,
  secrets: ReturnType<typeof secretObjects> = [],
): Promise<T> {
  // Secrets are on no command line, and the node needs them first.
  const daemon = ['qemu-storage-daemon', ...(secrets.length === 0 ? ['--blockdev', JSON.stringify(node)] : [])];
  const monitor = ['--chardev', 'socket,id=monitor,fd=3', '--monitor', 'chardev=monitor'];
  const { program, args } = walledIn([...daemon, ...monitor], walls);
  const child = spawn('sh', ['-c', lifeline, 'sh', program, ...args], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    env: walledEnvironment,
    cwd: '/',
  });
  const ended = once(child, 'close').catch(() => {});
  let words = '';
  child.stderr!.on('data', (data: Buffer) => {
    if (words.length < maxWords) words += data.toString('utf8');
  });
  child.stdin!.on('error', () => {});
  const socket = child.stdio[3] as Socket;
  let client: QmpClient | undefined;
  try {
    client = await QmpClient.connect({ path: socket, timeoutMs: startMs }).catch((cause) => {
      const said = words.trim().slice(-300);
      throw new HostFault('layer_unreadable', `the chain of a layer can't be opened: ${said || cause.message}`, {
        cause,
      });
    });
    const qmp = client;
    try {
      if (secrets.length > 0) await openEncrypted(qmp, node, secrets);
      return await work((command, options) => qmp.execute(command, options));
    } finally {
      // Also after a failure: killed, it would leave what it has written so far as clusters that nobody knows.
      await qmp.execute('quit').catch(() => {});
      await Promise.race([qmp.closed, sleep(closingMs, undefined, { ref: false })]);
    }
  } finally {
    client?.close();
    child.stdin!.end();
    await ended;
  }
}

async function openEncrypted(
  qmp: QmpClient,
  node: BlockNode,
  secrets: ReturnType<typeof secretObjects>,
): Promise<void> {
  for (const secret of secrets) await qmp.execute('object-add', secret);
  await qmp.execute('blockdev-add', node).catch((cause) => {
    throw new HostFault('layer_unreadable', `the chain of a layer can't be opened: ${cause.message}`, { cause });
  });
}
