/**
 * The directory `manage` of a pool: files that an administrator lays there become volumes, and content that leaves the cloud is laid there. Owns
 * in it what it has taken (`.<layer id>.<name>`), from the rename that takes a file to the one that gives it back or its end; all else is
 * the administrator's. Whoever dies in between leaves the file in one of the two places, whole.
 *
 * Nothing in a file is believed: our own reader judges it (../image/format.ts), then qemu-img behind walls, and what is kept is a copy.
 */
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredLayer, ManageableFiles } from '../../contract/host/index.ts';
import type { HostId, LayerId } from '../../contract/ids.ts';
import { isNoEntry, syncDirectory } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { inspectImage } from '../image/format.ts';
import { bytesOfFile } from '../image/formats/bytes.ts';
import type { ImageInspector } from '../image/inspect.ts';
import { ImageRefused, qcow2Magic } from '../image/qcow2.ts';
import { isOpenElsewhere } from '../open-elsewhere.ts';
import { BackupDirectory } from './backups.ts';
import { manageDirectory, type Pools } from './pool.ts';
import type { ManagedFile } from './tools.ts';

export interface ManagedFilesOptions {
  pools: Pick<Pools, 'has' | 'require' | 'usable'>;
  hostId: HostId;
  durable: boolean;
  guestGid: number | undefined;
  /** Gives a file to those who read it behind walls. */
  seal(path: string): Promise<void>;
  inspect: ImageInspector;
}

const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const mostListed = 1000;
const takenPrefix = (id: LayerId): string => `.${id}.`;

export class ManagedFiles {
  readonly #options: ManagedFilesOptions;

  constructor(options: ManagedFilesOptions) {
    this.#options = options;
  }

  /** What lies there, by name. @throws HostFault where the pool can't be used */
  async list(pool: string): Promise<ManageableFiles> {
    const { pools } = this.#options;
    if (!pools.has(pool)) throw new HostFault('not_found', `this host has no storage pool ${pool}`);
    await pools.require(pool, { toMake: false });
    const place = this.#placeIn(pool);
    const names = place === undefined ? [] : await readdir(place).catch(noneWhereMissing);
    const files: ManageableFiles['files'] = [];
    for (const name of names.filter((each) => plainName.test(each) && !each.endsWith('.new')).toSorted()) {
      if (files.length === mostListed) break;
      files.push(await this.#described(join(place!, name), name));
    }
    return { files };
  }

  /**
   * The file is this layer's from now on, and nobody finds it under its name. Safe to repeat.
   * @throws HostFault where there is none
   */
  async take(pool: string, name: string, id: LayerId): Promise<string> {
    await this.#options.pools.require(pool, { toMake: true });
    const place = this.#placeIn(pool);
    if (place === undefined) throw refused('a pool of a Ceph cluster has no directory for files to be taken over');
    if (!plainName.test(name)) throw refused('the file has no usable name');
    const taken = join(place, takenPrefix(id) + name);
    if (await isThere(taken)) return taken;
    await rename(join(place, name), taken).catch((error) => {
      throw isNoEntry(error)
        ? refused(`there is no file ${name} in the directory ${manageDirectory} of the pool`)
        : error;
    });
    return taken;
  }

  /** What is to be copied of a file that was taken. @throws HostFault where it is no disk that a volume may be made of */
  async judge(path: string, maxVirtualBytes: number): Promise<ManagedFile> {
    const { seal, inspect } = this.#options;
    if (!(await lstat(path)).isFile()) throw refused('it is no plain file');
    await seal(path);
    if ((await isOpenElsewhere([{ path, open: 'write' }])) === 'yes') throw refused('somebody has it open to write');
    try {
      const { sizeBytes, format, disk } = await look(path, maxVirtualBytes);
      if (disk.driver !== 'raw') await inspect({ path, disk, virtualSizeBytes: sizeBytes });
      return { path, format, sizeBytes };
    } catch (error) {
      throw error instanceof ImageRefused ? refused(error.message) : error;
    }
  }

  /** It is where it was; where another one is in its place it stays under the name that says whose it was. */
  async giveBack(id: LayerId): Promise<void> {
    for (const { place, file, name } of await this.#takenFor(id)) {
      const free = !(await isThere(join(place, name)));
      await rename(join(place, file), join(place, free ? name : `${id}.${name}`));
    }
  }

  /** Its content is a layer's. */
  async drop(id: LayerId): Promise<void> {
    for (const { place, file } of await this.#takenFor(id)) {
      await rm(join(place, file), { force: true });
      if (this.#options.durable) await syncDirectory(place);
    }
  }

  /** A file was taken for it. */
  async isTaken(id: LayerId): Promise<boolean> {
    return (await this.#takenFor(id)).length > 0;
  }

  async #takenFor(id: LayerId): Promise<{ place: string; file: string; name: string }[]> {
    const prefix = takenPrefix(id);
    const found = this.#places().map(async (place) => {
      const files = (await readdir(place).catch(noneWhereMissing)).filter((each) => each.startsWith(prefix));
      return files.map((file) => ({ place, file, name: file.slice(prefix.length) }));
    });
    return (await Promise.all(found)).flat();
  }

  /** For content that leaves the cloud. @throws HostFault where the pool has no such place */
  async outbox({ pool }: DesiredLayer): Promise<BackupDirectory> {
    await this.#options.pools.require(pool, { toMake: true });
    const directory = this.#placeIn(pool);
    if (directory === undefined) throw refused('a pool of a Ceph cluster has no directory for what leaves the cloud');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { hostId, durable, guestGid: gid } = this.#options;
    return new BackupDirectory({ directory, hostId, durable, gid });
  }

  #placeIn(pool: string): string | undefined {
    const found = this.#options.pools.usable().find(({ name }) => name === pool);
    return found && join(found.path, manageDirectory);
  }

  #places(): string[] {
    return this.#options.pools.usable().map(({ path }) => join(path, manageDirectory));
  }

  async #described(path: string, name: string): Promise<ManageableFiles['files'][number]> {
    const unfit = (problem: string, fileBytes = 0) => ({ name, fileBytes, sizeBytes: null, format: null, problem });
    try {
      const found = await lstat(path);
      if (!found.isFile()) return unfit('it is no plain file');
      try {
        const { sizeBytes, format } = await look(path, Number.MAX_SAFE_INTEGER);
        return { name, fileBytes: found.size, sizeBytes, format, problem: null };
      } catch (error) {
        if (error instanceof ImageRefused) return unfit(error.message.slice(0, 1000), found.size);
        throw error;
      }
    } catch (error) {
      return unfit(`it can't be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  }
}

/** By its own word; qcow2 is what calls itself so. @throws ImageRefused */
async function look(path: string, maxVirtualBytes: number) {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const bytes = bytesOfFile(file, size);
  const format = (await bytes.read(0, 4)).equals(qcow2Magic) ? ('qcow2' as const) : ('raw' as const);
  const { virtualSizeBytes, disk } = await inspectImage(format, bytes, { maxVirtualBytes });
  if (virtualSizeBytes === null || !disk || virtualSizeBytes === 0) throw new ImageRefused('it is no disk');
  return { sizeBytes: virtualSizeBytes, format, disk };
}

const refused = (message: string) => new HostFault('managed_refused', message, { permanent: true });

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error) => {
      if (isNoEntry(error)) return false;
      throw error;
    },
  );

function noneWhereMissing(error: unknown): string[] {
  if (isNoEntry(error)) return [];
  throw error;
}
