/**
 * A guest's TPM: a process (swtpm) beside its QEMU, of the same user, that ends when QEMU lets go of it. It outlives this process as
 * QEMU does; what it knows lies in the server's directory. One that QEMU never reached is ended before the next, or with the server.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chown, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import type { GuestHardware } from '../../contract/host/index.ts';
import { identifyProcess } from '../../engine/process-identity.ts';
import { waitUntil } from '../../engine/wait.ts';
import { HostFault } from '../host-error.ts';
import type { ServerPaths } from '../paths.ts';
import { asGuestUser } from './launcher.ts';
import type { GuestUser } from './users.ts';

export interface TpmOfGuest {
  paths: Pick<ServerPaths, 'tpmState' | 'tpmSocket' | 'tpmPid' | 'qemuLog'>;
  version: NonNullable<GuestHardware['tpm']>['version'];
  user: GuestUser | undefined;
}

export interface TpmKeeper {
  /** Listens when this resolves. @throws HostFault */
  start(tpm: TpmOfGuest): Promise<void>;
  /** Where one is left over; safe to repeat. */
  end(paths: TpmOfGuest['paths'], user: GuestUser | undefined): Promise<void>;
}

const program = 'swtpm';
const startMs = 10_000;

export const tpmKeeper: TpmKeeper = { start, end };

async function start({ paths, version, user }: TpmOfGuest): Promise<void> {
  await end(paths, user);
  await mkdir(paths.tpmState, { recursive: true, mode: 0o700 });
  if (user) await chown(paths.tpmState, user.uid, user.gid);
  const [command, args] = asGuestUser(user, program, [
    ...['socket', '--tpmstate', `dir=${paths.tpmState},mode=0600`, '--ctrl', `type=unixio,path=${paths.tpmSocket}`],
    ...(version === '2.0' ? ['--tpm2'] : []),
    ...['--pid', `file=${paths.tpmPid}`, '--terminate'],
  ]);
  const log = openSync(paths.qemuLog, 'a', 0o600);
  const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  child.unref();
  let ended = false;
  child.once('error', () => (ended = true)).once('exit', () => (ended = true));
  const listens = () => lstat(paths.tpmSocket).then((found) => found.isSocket());
  await waitUntil('the TPM to listen', async () => ended || (await listens()), { timeoutMs: startMs }).catch(() => {});
  if (ended || !(await listens().catch(() => false))) {
    throw new HostFault('guest_start_failed', 'the TPM of the server could not be started');
  }
}

/** The pid file is the guest's to write: what is ended runs the program, as the guest. */
async function end({ tpmPid, tpmSocket }: TpmOfGuest['paths'], user: GuestUser | undefined): Promise<void> {
  const pid = Number((await readFile(tpmPid, 'utf8').catch(() => '')).trim());
  const found = Number.isSafeInteger(pid) && pid > 1 ? identifyProcess(pid) : undefined;
  if (found?.program === program && found.uid === (user?.uid ?? process.getuid?.())) process.kill(pid, 'SIGKILL');
  for (const path of [tpmPid, tpmSocket]) await rm(path, { force: true, recursive: true });
}
