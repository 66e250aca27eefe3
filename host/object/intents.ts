/**
 * The directories of intents on a disk: `<disk>/intents/<intent>/`, in each packs and files of blobs, nothing else. Owns them and their being on
 * the disk: a name that was answered for is there after a power failure.
 */
import { mkdir, readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { blobFilePattern, type IntentFiles, objectIntentsDirectory } from '../../contract/host/index.ts';
import type { ObjectIntentId } from '../../contract/ids.ts';
import { isNoEntry, syncDirectory } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { Together } from '../together.ts';

const isBlobFile = new RegExp(blobFilePattern);
/** More are forgotten: then the directory is looked for again. */
const maxKnown = 10_000;

export const intentDirectory = (disk: string, intent: ObjectIntentId): string =>
  join(disk, objectIntentsDirectory, intent);

/** @throws HostFault where the name is none that a pack or a blob has */
export function blobPath(disk: string, intent: ObjectIntentId, file: string): string {
  if (!isBlobFile.test(file))
    throw new HostFault('invalid', 'that is no name of a pack or a blob', { permanent: true });
  return join(intentDirectory(disk, intent), file);
}

export class Intents {
  readonly #durable: boolean;
  /** Directories that are there, durably. */
  readonly #made = new Map<string, Promise<void>>();
  /** Directories of intents that are over: control forgets them, and what came late would lie there for ever. */
  readonly #over = new Set<string>();
  readonly #sync: Together<string>;

  constructor({ durable }: { durable: boolean }) {
    this.#durable = durable;
    this.#sync = new Together(async (paths) => {
      await Promise.all([...new Set(paths)].map(syncDirectory));
    });
  }

  /** The directory of an intent, made where it is not there. */
  async make(disk: string, intent: ObjectIntentId): Promise<string> {
    const path = intentDirectory(disk, intent);
    if (this.#over.has(path)) throw new HostFault('conflict', `intent ${intent} is over`, { permanent: true });
    let made = this.#made.get(path);
    if (!made) {
      made = this.#make(disk, path);
      this.#made.set(path, made);
      made.catch(() => this.#made.delete(path));
      forgetOldest(this.#made);
    }
    await made;
    return path;
  }

  /** Names in it are on the disk. Who asks while that is under way shares the next. */
  async sync(path: string): Promise<void> {
    if (this.#durable) await this.#sync.ask(path);
  }

  /** Of a directory that was found to be gone: it is made again. */
  forget(path: string): void {
    this.#made.delete(path);
  }

  async list(disk: string, intent: ObjectIntentId): Promise<IntentFiles['files']> {
    const path = intentDirectory(disk, intent);
    const files: IntentFiles['files'] = [];
    for (const name of await namesIn(path)) {
      // Who lays something else there may see to it.
      if (!isBlobFile.test(name)) continue;
      const found = await stat(join(path, name)).catch(unlessThere);
      if (found) files.push({ name, sizeBytes: found.size });
    }
    return files;
  }

  /** Idempotent. */
  async removeFile(path: string, directory: string): Promise<void> {
    await unlink(path).catch(unlessThere);
    await this.sync(directory).catch(unlessThere);
  }

  /** Idempotent. @throws HostFault where it is not empty */
  async remove(disk: string, intent: ObjectIntentId): Promise<void> {
    const path = intentDirectory(disk, intent);
    this.#made.delete(path);
    try {
      await rmdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST')
        throw new HostFault('conflict', `there are still blobs of intent ${intent}`, { cause: error });
      unlessThere(error);
    }
    this.#over.add(path);
    forgetOldest(this.#over);
    await this.sync(join(disk, objectIntentsDirectory));
  }

  async #make(disk: string, path: string): Promise<void> {
    await mkdir(path, { mode: 0o710 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    // Also where it was there: who made it may have died before this.
    await this.sync(join(disk, objectIntentsDirectory));
  }
}

function forgetOldest(known: Pick<Set<string>, 'size' | 'keys' | 'delete'>): void {
  for (const oldest of known.keys()) {
    if (known.size <= maxKnown) break;
    known.delete(oldest);
  }
}

export const namesIn = async (path: string): Promise<string[]> => (await readdir(path).catch(unlessThere)) ?? [];

function unlessThere(error: unknown): undefined {
  if (!isNoEntry(error)) throw error;
}
