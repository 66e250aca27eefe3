/**
 * The start of an export: its jail, the file in it, then the machine that is let in. Read only where one is started. What it began ends by
 * itself where this process dies before the machine is in; what fails is ended by the caller.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { chapSecretOf } from '../../../contract/host/index.ts';
import type { Secret } from '../../../contract/secret.ts';
import { waitUntil } from '../../../engine/wait.ts';
import { QmpClient } from '../../../protocols/qmp/index.ts';
import type { GuestUser } from '../../guest/users.ts';
import { HostFault } from '../../host-error.ts';
import { walledEnvironment } from '../../image/walls.ts';
import { chainNodes, type LayerChain, secretObjects } from '../chain.ts';
import { jailCommand, jailPaths, type LetIn, letInLines, placesOf } from './jail.ts';
import { type ExportRecord, iqnOf, qmpName } from './record.ts';
import { exportThrottle } from './throttle.ts';

export interface ExportLaunch {
  record: ExportRecord;
  chain: LayerChain;
  /** As control told it. */
  secret: Secret;
  user: GuestUser;
  /** Made anew. */
  runDirectory: string;
  /** address:port */
  portal: string;
  logFile: string;
  /** Gives the files to the user. */
  prepare(user: GuestUser, chain: LayerChain): Promise<void>;
}

const startMs = 20_000;

/** SCSI's serial number: as much of the volume's id as tgtd keeps. */
const serialOf = (volumeId: string): string => volumeId.replaceAll('-', '').slice(-16);

/** @throws HostFault */
export async function launchExport(launch: ExportLaunch): Promise<QmpClient> {
  const { record, chain, secret, user, runDirectory, portal, prepare } = launch;
  await rm(runDirectory, { recursive: true, force: true });
  await mkdir(runDirectory, { recursive: true, mode: 0o700 });
  await chown(runDirectory, user.uid, user.gid);
  await prepare(user, chain);
  const child = start(launch.logFile, jailCommand({ user, runDirectory, chain, readOnly: record.readOnly, portal }));
  let client: QmpClient | undefined;
  try {
    client = await reach(launch, () => child.exitCode !== null || child.signalCode !== null);
    await serve(client, chain, record);
    const { volumeId, readOnly, initiator, user: name } = record;
    const who = { iqn: iqnOf(volumeId), serial: serialOf(volumeId), readOnly, initiator, user: name };
    await letIn(child, { ...who, secret: chapSecretOf(secret.reveal()) });
    // From now on it can put nothing else in the place of its sockets.
    await chown(runDirectory, 0, 0);
    return client;
  } catch (cause) {
    client?.close();
    child.kill('SIGKILL');
    throw cause instanceof HostFault
      ? cause
      : new HostFault('export_failed', `the volume can't be exported: ${(cause as Error).message}`, { cause });
  } finally {
    child.stdin!.destroy();
    child.stdout!.destroy();
    child.unref();
  }
}

function start(logFile: string, [program, args]: [string, string[]]): ChildProcess {
  const log = openSync(logFile, 'w', 0o600);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['pipe', 'pipe', log],
      env: walledEnvironment,
      cwd: '/',
    });
    child.on('error', () => {});
    child.stdin!.on('error', () => {});
    return child;
  } finally {
    closeSync(log);
  }
}

async function reach({ runDirectory, logFile }: ExportLaunch, ended: () => boolean): Promise<QmpClient> {
  const path = join(runDirectory, qmpName);
  const listens = () => lstat(path).then((found) => found.isSocket());
  await waitUntil('the storage daemon to listen', async () => ended() || (await listens()), { timeoutMs: startMs });
  if (ended()) throw new Error(`its jail ended at once, see ${logFile}`);
  return QmpClient.connect({ path, timeoutMs: startMs });
}

/** The volume as one file, at the size that it has, behind its limits, or what may become such. */
async function serve(client: QmpClient, chain: LayerChain, record: ExportRecord): Promise<void> {
  const { volumeId, readOnly } = record;
  for (const secret of secretObjects(chain)) await client.execute('object-add', secret);
  const places = placesOf(chain);
  const placeOf = (path: string) => `/volume/${places.get(path)}`;
  await client.execute('object-add', {
    'qom-type': 'throttle-group',
    id: exportThrottle.group,
    limits: exportThrottle.of(record),
  });
  await client.execute('blockdev-add', {
    ...{ driver: 'throttle', 'node-name': exportThrottle.node, 'throttle-group': exportThrottle.group },
    ...{ 'read-only': readOnly, discard: 'unmap', file: chainNodes(chain, { volumeId, placeOf, readOnly }) },
  });
  await client.execute('block-export-add', {
    ...{ type: 'fuse', id: 'disk', 'node-name': exportThrottle.node, writable: !readOnly },
    ...{ mountpoint: jailPaths.disk, growable: false },
  });
}

async function letIn(child: ChildProcess, who: LetIn): Promise<void> {
  const said = new Promise<string>((resolve) => {
    (child.stdout as Readable).once('data', (data: Buffer) => resolve(data.toString('utf8')));
    child.stdout!.once('close', () => resolve('')).once('error', () => resolve(''));
  });
  child.stdin!.end(letInLines(who));
  const answer = await Promise.race([said, sleep(startMs, '', { ref: false })]);
  if (answer !== 'ready\n') throw new Error('tgtd does not let its machine in');
}
