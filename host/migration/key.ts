/**
 * The key by which the two QEMUs of a migration know each other (TLS-PSK): a file that the guest's user alone reads, made before its QEMU is told of
 * it and removed with the migration, or with the directory of the guest's sockets.
 */
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Execute, QmpError } from '../../protocols/qmp/index.ts';
import { removeTree } from '../files.ts';
import { credentials } from '../guest/migration-parameters.ts';
import type { GuestUser } from '../guest/users.ts';
import type { ServerPaths } from '../paths.ts';
import { keyDirectory } from './names.ts';

/** @param key in hex, 256 bits */
export async function giveKey(
  execute: Execute,
  options: { paths: Pick<ServerPaths, 'run'>; user: GuestUser | undefined; key: string; endpoint: 'server' | 'client' },
): Promise<void> {
  await giveKeyAs(execute, { ...options, id: credentials, directory: keyDirectory(options.paths) });
}

/** The same, of another key that its QEMU has. @param options.id of the object in it, @param options.directory of the file */
export async function giveKeyAs(
  execute: Execute,
  options: { id: string; directory: string; user: GuestUser | undefined; key: string; endpoint: 'server' | 'client' },
): Promise<void> {
  const { id, directory, user, key, endpoint } = options;
  await removeTree(directory);
  await mkdir(directory, { mode: 0o700 });
  const file = join(directory, 'keys.psk');
  await writeFile(file, `qemu:${key}\n`, { mode: 0o600 });
  if (user) {
    await chown(file, user.uid, user.gid);
    await chown(directory, 0, user.gid);
    await chmod(directory, 0o710);
  }
  await forgetKey(execute, id);
  await execute('object-add', { 'qom-type': 'tls-creds-psk', id, dir: directory, endpoint });
}

/** QEMU knows it no more. One that never did says so, and one whose connections still stand keeps it. */
async function forgetKey(execute: Execute, id: string): Promise<void> {
  await execute('object-del', { id }).catch(unlessRefused);
}

/** Safe to repeat. */
export async function dropKey(execute: Execute | undefined, paths: Pick<ServerPaths, 'run'>): Promise<void> {
  await dropKeyAs(execute, { id: credentials, directory: keyDirectory(paths) });
}

/** Safe to repeat. */
export async function dropKeyAs(
  execute: Execute | undefined,
  { id, directory }: { id: string; directory: string },
): Promise<void> {
  if (execute) await forgetKey(execute, id);
  await removeTree(directory);
}

function unlessRefused(error: unknown): void {
  if (!(error instanceof QmpError)) throw error;
}
