/**
 * A guest's memory as a file. QEMU may neither run a program nor open a file of the host's (its sandbox, its user), so it sends the
 * memory to a socket of ours, which only its user may connect to, and we write it down. It is the guest's word: bounded, and
 * never read here.
 */
import { createWriteStream } from 'node:fs';
import { chmod, chown, rename, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { syncDirectory, syncFile } from '../files.ts';
import { HostFault } from '../host-error.ts';
import type { Guest } from './guest.ts';
import { toFile } from './migration-parameters.ts';
import type { GuestUser } from './users.ts';

export interface SaveOptions {
  path: string;
  socketPath: string;
  user: GuestUser | undefined;
  durable: boolean;
  /** More than the machine has: a QEMU that its guest has taken over may send without end. */
  limitBytes: number;
  /** @throws where it is wanted no longer: asked again and again, for nothing else ends it before its end */
  stillWanted(): void;
  progress(percent: number): void;
}

interface Migration {
  status?: string;
  'error-desc'?: string;
  ram?: { total?: number; transferred?: number; remaining?: number };
}

const lookMs = 50;

/** The guest stands still. Afterwards QEMU is in state `postmigrate`, and the file is there and whole. @throws HostFault */
export async function receiveMemory(guest: Guest, options: SaveOptions): Promise<void> {
  const { path, socketPath } = options;
  const beside = `${path}.new`;
  const { server, connection } = await listen(socketPath, options.user);
  try {
    await toFile((command, args) => guest.execute(command, args));
    await guest.execute('migrate', { uri: `unix:${socketPath}` });
    const written = connection.then((socket) =>
      pipeline(socket, bounded(options.limitBytes), createWriteStream(beside, { mode: 0o600, highWaterMark: 2 ** 20 })),
    );
    await Promise.all([written, sent(guest, options)]);
    if (options.durable) await syncFile(beside);
    options.stillWanted();
    await rename(beside, path);
    if (options.durable) await syncDirectory(dirname(path));
  } catch (error) {
    await guest.execute('migrate_cancel').catch(() => {});
    // QEMU may have come to its end all the same, and tells nobody.
    await guest.look();
    throw error;
  } finally {
    server.close();
    await connection.then(
      (socket) => socket.destroy(),
      () => {},
    );
  }
}

async function listen(
  path: string,
  user: GuestUser | undefined,
): Promise<{ server: Server; connection: Promise<Socket> }> {
  await rm(path, { force: true, recursive: true });
  const server = createServer();
  const connection = new Promise<Socket>((resolve, reject) => {
    server.once('connection', (socket) => {
      server.close();
      resolve(socket);
    });
    server.once('close', () => reject(new HostFault('suspend_failed', 'QEMU did not send the memory')));
  });
  connection.catch(() => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  if (user) await chown(path, user.uid, user.gid);
  await chmod(path, 0o600);
  return { server, connection };
}

function bounded(limitBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= limitBytes) done(null, chunk);
      else done(new HostFault('suspend_failed', 'QEMU sends more than the machine has', { permanent: true }));
    },
  });
}

/** Until QEMU says that it has sent everything. */
async function sent(guest: Guest, { stillWanted, progress }: SaveOptions): Promise<void> {
  for (;;) {
    stillWanted();
    if (guest.state === 'gone') throw new HostFault('guest_died', 'QEMU ended while its memory was saved');
    const { status, ram, ...rest } = await guest.execute<Migration>('query-migrate');
    if (status === 'completed') break;
    if (status === 'failed' || status === 'cancelled') {
      throw new HostFault('suspend_failed', `the memory could not be saved: ${rest['error-desc'] ?? status}`);
    }
    if (ram?.total) progress(Math.floor((100 * (ram.total - (ram.remaining ?? ram.total))) / ram.total));
    await guest.changed(lookMs);
  }
  await guest.look();
}
