/**
 * The directory for backups: a file each, which may be a share of several hosts. A full backup is a qcow2 that stands for itself; an
 * incremental one names the backup that it builds on, as any qcow2 in one directory does, so that `qemu-img convert` reads it without us, and
 * carries that one's digest in a header extension: who knows the digest of the last knows all of them. Nothing is read that does not match.
 *
 * Owns files of its own name while they are written (`<name>.<host>.new`); a finished one is in its place whole, and is never changed.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostId } from '../../contract/ids.ts';
import { isNoEntry, readPiece, syncDirectory, syncFile } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { type BackupHeader, backupHead, readBackupHead } from './backup-header.ts';
import type { BackupFile } from './tools.ts';

export interface BackupsOptions {
  directory: string;
  hostId: HostId;
  durable: boolean;
  /** Of who reads them for us; nobody else in it reaches the directory. Undefined: they are this process's own (tests). */
  gid: number | undefined;
}

export interface BackupWork {
  /** Into a file that is there and empty. */
  write(to: string): Promise<void>;
  written(): void | Promise<void>;
  signal: AbortSignal;
}

/** A name in one directory that is neither an option nor a protocol to any program. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const headBytes = 4096;
const maxBackups = 1000;

export class BackupDirectory {
  readonly #options: BackupsOptions;

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /** Removes what this host left half-made. */
  async open(): Promise<void> {
    const { directory, hostId } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      if (name.endsWith(`.${hostId}.new`)) await rm(join(directory, name), { force: true });
    }
  }

  /**
   * The backup and those that it builds on, the nearest first, each with the bytes that it had.
   * @param sha256 of the first; null: not known
   * @throws HostFault
   */
  async chain(name: string, sha256: string | null, signal: AbortSignal): Promise<BackupFile[]> {
    const files: BackupFile[] = [];
    let next: { name: string; sha256: string | null } | null = { name, sha256 };
    while (next !== null) {
      if (files.length === maxBackups) throw damaged(name);
      const path = this.#path(next.name);
      const head = await this.#head(path, next.name);
      if (next.sha256 !== null && (await digestOf(path, signal)) !== next.sha256) throw damaged(next.name);
      await this.#share(path);
      files.push({ name: next.name, path });
      next = head.parent;
    }
    return files;
  }

  /** @throws HostFault; what the work throws */
  async make(
    wish: { name: string },
    [parent]: readonly BackupFile[],
    { write, written, signal }: BackupWork,
  ): Promise<{ sizeBytes: number; sha256: string }> {
    const { hostId, durable, directory } = this.#options;
    const path = this.#path(wish.name);
    const beside = `${path}.${hostId}.new`;
    try {
      const below = parent && { name: parent.name, sha256: await digestOf(parent.path, signal) };
      await (await open(beside, 'w', 0o600)).close();
      await write(beside);
      await written();
      if (below) await nameParent(beside, below);
      await this.#share(beside);
      if (durable) await syncFile(beside);
      const sha256 = await digestOf(beside, signal);
      const { size: sizeBytes } = await stat(beside);
      signal.throwIfAborted();
      await rename(beside, path);
      if (durable) await syncDirectory(directory);
      return { sizeBytes, sha256 };
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }

  /** Those that build on it are read no more; whoever asks has seen to that. */
  async remove(name: string): Promise<void> {
    const { durable, directory } = this.#options;
    await rm(this.#path(name), { force: true });
    if (durable) await syncDirectory(directory);
  }

  /** @throws HostFault where the name is none of a file in this directory */
  #path(name: string): string {
    if (!plainName.test(name)) throw new HostFault('invalid', 'the backup has no usable name', { permanent: true });
    return join(this.#options.directory, name);
  }

  /** Root's, to be read by who works behind walls; it was made by such a one, or on another host. */
  async #share(path: string): Promise<void> {
    const { gid } = this.#options;
    if (gid === undefined) return;
    const found = await stat(path);
    if (found.uid === 0 && found.gid === gid && (found.mode & 0o777) === 0o440) return;
    await chown(path, 0, gid);
    await chmod(path, 0o440);
  }

  async #head(path: string, name: string): Promise<BackupHeader> {
    try {
      await using file = await open(path, 'r');
      const head = readBackupHead(await readPiece(file, 0, headBytes));
      if (head && (!head.parent || plainName.test(head.parent.name))) return head;
    } catch (error) {
      if (!isNoEntry(error)) throw error;
      throw new HostFault('backup_missing', `the backup ${name} is not in the directory for backups`);
    }
    throw damaged(name);
  }
}

const damaged = (name: string) =>
  new HostFault('backup_damaged', `the backup ${name} is not what it was`, { permanent: true });

async function nameParent(path: string, parent: { name: string; sha256: string }): Promise<void> {
  await using file = await open(path, 'r+');
  const head = backupHead(await readPiece(file, 0, headBytes), parent);
  await file.write(head, 0, head.length, 0);
}

/** By a process of its own: hundreds of megabytes a second would keep the event loop from everything else. */
function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const env = { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' };
  return new Promise((resolve, reject) => {
    execFile('nice', ['sha256sum', '--', path], { env, cwd: '/', signal }, (error, stdout) => {
      if (signal.aborted) reject(signal.reason);
      else if (error) reject(new HostFault('backup_unreadable', 'a backup could not be read', { cause: error }));
      else resolve(stdout.slice(0, 64));
    });
  });
}
