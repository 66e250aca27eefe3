/**
 * The object disks of this host: directories named in its settings, by themselves one in the data directory. A disk that is gone (its file system
 * is not mounted), full, read-only, somebody else's, or back with what it held earlier is refused by name, and nothing on it is touched.
 *
 * On each disk `intents/` is ours, and the mark. If this process dies between a mark and what is remembered of it, the mark is found to be ours.
 */
import { access, chmod, chown, constants, mkdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type ObjectDiskLevel, objectIntentsDirectory } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { readIfThere, syncDirectory, writeWhole } from '../files.ts';
import { HostFault, isDiskFull } from '../host-error.ts';
import { newMark, type Owner, type Remembered, readRemembered, rememberedName, whoseDisk, writeMark } from './mark.ts';

export interface ObjectDiskSetting {
  name: string;
  path: string;
  /** It is ours from the first: made where it is not there. */
  own?: true;
}

export interface ObjectsSetting {
  disks?: readonly ObjectDiskSetting[];
  scrub?: { bytesPerSecond?: number; everyMs?: number };
}

export interface DisksOptions {
  settings: readonly ObjectDiskSetting[];
  dataDirectory: string;
  hostId: HostId;
  /** Null before the first control has said which. */
  cloudId(): string | null;
  /** The group of the control process on this machine, which reads files itself. Undefined: none, or this process's own (tests). */
  readerGid: number | undefined;
  durable: boolean;
  /** How many files of a disk are damaged. */
  faults(disk: string): number;
}

interface Disk {
  setting: ObjectDiskSetting;
  /** Counted among its uses by this process. */
  used: boolean;
  look: Promise<void> | null;
  totalBytes: number;
  freeBytes: number;
  /** Why nothing on it may be touched. */
  refused: string | null;
  /** Why nothing may be written, though what is there is ours. */
  closed: string | null;
}

/** With less the disk counts as full: a file system needs some for its own books, and removals some for theirs. */
const reserveBytes = 64 * 2 ** 20;
/** One that does not answer must not keep the others from their work. */
const answersWithinMs = 30_000;
/** So long a word on how full it is stands. */
const freshMs = 5_000;

export const defaultDisk = (dataDirectory: string): ObjectDiskSetting => ({
  ...{ name: 'default', path: join(dataDirectory, 'objects'), own: true },
});

export class ObjectDisks {
  readonly #options: DisksOptions;
  readonly #disks: ReadonlyMap<string, Disk>;
  #remembered = new Map<string, Remembered>();
  #saving: Promise<void> = Promise.resolve();
  #lookedAt = 0;

  constructor(options: DisksOptions) {
    this.#options = options;
    const unknown = { totalBytes: 0, freeBytes: 0, refused: 'it was not looked at yet', closed: null, look: null };
    this.#disks = new Map(options.settings.map((setting) => [setting.name, { setting, used: false, ...unknown }]));
  }

  async open(): Promise<void> {
    this.#remembered = readRemembered(await readIfThere(this.#rememberedFile));
    await this.look();
  }

  /** Looks at every disk again. */
  async look(): Promise<void> {
    this.#lookedAt = performance.now();
    await Promise.all([...this.#disks.values()].map((disk) => this.#lookAt(disk)));
  }

  levels(): ObjectDiskLevel[] {
    return [...this.#disks.values()].map(({ setting: { name, path }, totalBytes, freeBytes, refused, closed }) => ({
      ...{ name, path, totalBytes, freeBytes, problem: refused ?? closed, faults: this.#options.faults(name) },
    }));
  }

  /** Those whose files are ours. */
  usable(): string[] {
    return [...this.#disks].filter(([, { refused }]) => refused === null).map(([name]) => name);
  }

  /**
   * The directory of a disk whose files may be touched.
   * @throws HostFault that says by name what is wrong with it
   */
  async require(name: string, { toWrite }: { toWrite: boolean }): Promise<string> {
    const disk = this.#disks.get(name);
    if (!disk) throw new HostFault('not_found', `this host has no object disk ${name}`, { permanent: true });
    const wrong = () => disk.refused !== null || (toWrite && disk.closed !== null);
    if (wrong() && performance.now() - this.#lookedAt > freshMs) await this.look();
    if (disk.refused !== null) throw unusable(name, disk.refused);
    if (toWrite && disk.closed === full) throw new HostFault('no_capacity', `the object disk ${name} is full`);
    if (toWrite && disk.closed !== null) throw unusable(name, disk.closed);
    return disk.setting.path;
  }

  /** Something failed that the disk may be the reason of: it is looked at anew. */
  async doubt(name: string): Promise<void> {
    const disk = this.#disks.get(name);
    if (disk) await this.#lookAt(disk);
  }

  get #rememberedFile(): string {
    return join(this.#options.dataDirectory, rememberedName);
  }

  async #lookAt(disk: Disk): Promise<void> {
    disk.look ??= this.#see(disk).finally(() => {
      disk.look = null;
    });
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        disk.refused = 'it does not answer';
        resolve();
      }, answersWithinMs).unref();
    });
    await Promise.race([disk.look, silence]);
    clearTimeout(timer);
  }

  async #see(disk: Disk): Promise<void> {
    const { path } = disk.setting;
    try {
      disk.refused = await this.#take(disk);
      if (disk.refused !== null) return;
      const [{ bavail, blocks, bsize }, unwritable] = await Promise.all([statfs(path), whyUnwritable(path)]);
      disk.totalBytes = blocks * bsize;
      disk.freeBytes = bavail * bsize;
      disk.closed = unwritable ?? (disk.freeBytes < this.#reserve(disk) ? full : null);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      disk.refused = isReadOnly(error) ? readOnly : `it can't be looked at (${code ?? message})`;
    }
  }

  /** A tiny disk (a test's) keeps less. */
  #reserve = ({ totalBytes }: Disk): number => Math.min(reserveBytes, totalBytes / 16);

  /** Null: it is ours, from now on if it was nobody's. */
  async #take(disk: Disk): Promise<string | null> {
    const { setting } = disk;
    const { name, path } = setting;
    const remembered = this.#remembered.get(name);
    if (setting.own && remembered?.path !== path) await mkdir(path, { recursive: true, mode: 0o710 });
    const { hostId, durable } = this.#options;
    const owner: Owner = { hostId, cloudId: this.#options.cloudId(), disk: name, path, remembered };
    const whose = await whoseDisk(owner);
    if (typeof whose === 'object' && 'refusal' in whose) return whose.refusal;
    if (whose === "nobody's" && owner.cloudId === null) return 'this host has not heard from a control yet';
    if (whose !== "nobody's" && disk.used) return null;
    const mark = whose === "nobody's" ? newMark(owner, owner.cloudId!) : whose.ours;
    const uses = Math.max(mark.uses, remembered?.uses ?? 0) + 1;
    try {
      await this.#arrange(path);
      await writeMark(path, { ...mark, uses }, durable);
      await this.#remember(name, { path, id: mark.id, uses });
      disk.used = true;
    } catch (error) {
      // What is there can be read all the same.
      if (whose === "nobody's" || !(isReadOnly(error) || isDiskFull(error))) throw error;
    }
    return null;
  }

  /** Control's group passes through to files whose names it was told; what is made below has that group by itself. */
  async #arrange(path: string): Promise<void> {
    const { readerGid, durable } = this.#options;
    const intents = join(path, objectIntentsDirectory);
    await mkdir(intents, { mode: 0o710 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    if (durable) await syncDirectory(path);
    if (readerGid === undefined) return;
    for (const [each, mode] of [
      [path, 0o710],
      [intents, 0o2710],
    ] as const) {
      const { uid, gid } = await stat(each);
      if (uid !== 0 || gid !== readerGid) await chown(each, 0, readerGid);
      await chmod(each, mode);
    }
  }

  /** One after another: the file has all disks. */
  async #remember(name: string, remembered: Remembered): Promise<void> {
    this.#remembered.set(name, remembered);
    const { durable } = this.#options;
    this.#saving = this.#saving
      .catch(() => {})
      .then(() => writeWhole(this.#rememberedFile, JSON.stringify(Object.fromEntries(this.#remembered)), { durable }));
    await this.#saving;
  }
}

const full = 'it is full';
const readOnly = 'it is read-only';

const isReadOnly = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EROFS';

const unusable = (name: string, problem: string) =>
  new HostFault('unavailable', `the object disk ${name} can't be used: ${problem}`);

async function whyUnwritable(path: string): Promise<string | null> {
  try {
    await access(path, constants.W_OK);
    return null;
  } catch (error) {
    return isReadOnly(error) ? readOnly : 'it can not be written to';
  }
}
