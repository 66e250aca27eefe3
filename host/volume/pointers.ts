/**
 * Encrypted backups that build on each other, for a program that is told of the nearest alone (`qemu-img rebase -b`) and finds the others by the names in
 * the files: no such name says with which secret its file is opened. So what the program finds under the name of a backup is an empty file
 * in the clear, a pointer, that builds on the backup and says so. Behind walls:
 *
 *   /sealed/<name of the nearest>  →  /sealed/0, which names  →  /sealed/<name of the next>  →  /sealed/1 …
 *
 * Owns the pointers while the work is under way. They lie beside the file that is written, under names that the directory for backups takes for half-made ones
 * (backups.ts), so they go where this process dies.
 */
import { chown, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { qcow2Overlay } from '../image/qcow2.ts';
import { type ChainKey, encryption } from './chain.ts';
import type { BackupFile } from './tools.ts';

export interface Pointers {
  /** The name of the nearest, behind the walls. */
  first: string;
  files: readonly { path: string; at: string }[];
}

interface Reader {
  user: GuestUser | undefined;
  /** What is written. */
  to: string;
  sizeBytes: number;
  key: ChainKey;
}

/** @throws HostFault where there are no walls */
export async function withPointers(
  { user, to, sizeBytes, key }: Reader,
  backups: readonly BackupFile[],
  work: (pointers: Pointers) => Promise<void>,
): Promise<void> {
  if (!user)
    throw new HostFault('encrypted', 'without walls nothing is made of encrypted backups', { permanent: true });
  const place = (name: string) => `/sealed/${name}`;
  const files: { path: string; at: string }[] = [];
  const made: string[] = [];
  try {
    for (const [at, { name, path }] of backups.entries()) {
      const pointer = join(dirname(to), `below${at}-${basename(to)}`);
      made.push(pointer);
      const file = { driver: 'file', filename: place(String(at)) };
      await writePointer(
        pointer,
        sizeBytes,
        `json:${JSON.stringify({ driver: 'qcow2', ...encryption({ key }), file })}`,
      );
      await chown(pointer, 0, user.gid);
      files.push({ path, at: place(String(at)) }, { path: pointer, at: place(name) });
    }
    await work({ first: place(backups[0]!.name), files });
  } finally {
    for (const pointer of made) await rm(pointer, { force: true });
  }
}

async function writePointer(path: string, sizeBytes: number, to: string): Promise<void> {
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes, backing: { path: to, format: 'qcow2' } });
  await using file = await open(path, 'w', 0o640);
  for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset);
  await file.truncate(fileBytes);
}
