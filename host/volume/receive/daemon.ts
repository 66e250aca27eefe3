/**
 * The storage daemon of a second copy: as a user of its own, with the copy's chain open and one export of it, by TLS with the copy's key. Each write is on the disk before it is answered
 * (`writethrough`): a mirror does not pass its guest's flushes on (QEMU 7.2, bdrv_mirror_top_flush()), and what the guest was told is written has to outlive both machines.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { waitUntil } from '../../../engine/wait.ts';
import { QmpClient } from '../../../protocols/qmp/index.ts';
import { asGuestUser } from '../../guest/launcher.ts';
import { HostFault } from '../../host-error.ts';
import { walledEnvironment } from '../../image/walls.ts';
import { atSomePort } from '../../ports-for-hosts.ts';
import { chainNodes, secretObjects } from '../chain.ts';
import { endProcesses } from '../export/processes.ts';
import { layerNode } from '../names.ts';
import type { ReceiverEngine, ReceiverLaunch, ReceiverProcess } from './receivers.ts';

const startMs = 20_000;
const answersMs = 10_000;
const credentials = 'copy';
const qmpOf = (runDirectory: string): string => join(runDirectory, 'qmp.sock');

export const storageDaemons: ReceiverEngine = {
  async launch(launch) {
    const { runDirectory, user, key } = launch;
    await rm(runDirectory, { recursive: true, force: true });
    // Its user passes through, and sees nobody else's.
    await mkdir(dirname(runDirectory), { recursive: true, mode: 0o711 });
    await mkdir(runDirectory, { mode: 0o700 });
    const file = join(runDirectory, 'keys.psk');
    await writeFile(file, `qemu:${key}\n`, { mode: 0o600 });
    if (user) for (const path of [file, runDirectory]) await chown(path, user.uid, user.gid);
    const child = begin(launch);
    let client: QmpClient | undefined;
    try {
      client = await reachNew(runDirectory, () => child.exitCode !== null || child.signalCode !== null);
      const port = await serve(client, launch);
      return { process: processOf(client), port };
    } catch (cause) {
      client?.close();
      child.kill('SIGKILL');
      throw cause instanceof HostFault
        ? cause
        : new HostFault('receive_failed', `writes to the second copy can't be taken: ${(cause as Error).message}`, {
            cause,
          });
    } finally {
      child.unref();
    }
  },
  async reach(_record, runDirectory) {
    return processOf(await QmpClient.connect({ path: qmpOf(runDirectory), timeoutMs: answersMs }));
  },
  async end({ uid }) {
    if (uid !== null) await endProcesses({ uid });
  },
};

const processOf = (client: QmpClient): ReceiverProcess => ({
  closed: client.closed,
  execute: (command, args) => client.execute(command, args),
  release: () => client.close(),
});

function begin({ user, runDirectory }: ReceiverLaunch) {
  const monitor = `socket,id=m,path=${qmpOf(runDirectory)},server=on,wait=off`;
  const [program, args] = asGuestUser(user, 'qemu-storage-daemon', ['--chardev', monitor, '--monitor', 'chardev=m']);
  const log = openSync(join(runDirectory, 'log'), 'w', 0o600);
  try {
    const child = spawn(program, args, {
      ...{ detached: true, stdio: ['ignore', log, log], env: walledEnvironment, cwd: '/' },
    });
    child.on('error', () => {});
    return child;
  } finally {
    closeSync(log);
  }
}

async function reachNew(runDirectory: string, ended: () => boolean): Promise<QmpClient> {
  const path = qmpOf(runDirectory);
  const listens = () => lstat(path).then((found) => found.isSocket());
  await waitUntil('the storage daemon to listen', async () => ended() || (await listens()), { timeoutMs: startMs });
  if (ended()) {
    const words = await readFile(join(runDirectory, 'log'), 'utf8').catch(() => '');
    throw new Error(`the storage daemon ended at once: ${words.trim().slice(-300)}`);
  }
  return QmpClient.connect({ path, timeoutMs: startMs });
}

/** @returns the port */
async function serve(client: QmpClient, { record, chain, place, runDirectory }: ReceiverLaunch): Promise<number> {
  const { volumeId, layerId } = record;
  for (const secret of secretObjects(chain)) await client.execute('object-add', secret);
  const tls = { 'qom-type': 'tls-creds-psk', id: credentials, dir: runDirectory, endpoint: 'server' };
  await client.execute('object-add', tls);
  await client.execute('blockdev-add', chainNodes(chain, { volumeId, readOnly: false }));
  const port = await atSomePort(place, (each) => {
    const data = { host: place.address, port: String(each) };
    return client.execute('nbd-server-start', { addr: { type: 'inet', data }, 'tls-creds': credentials });
  });
  await client.execute('block-export-add', {
    ...{ type: 'nbd', id: 'copy', 'node-name': layerNode(volumeId, layerId), name: layerId },
    ...{ writable: true, writethrough: true },
  });
  return port;
}
