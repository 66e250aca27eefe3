/**
 * Pools that have a device of their own: a file system that is mounted below the data directory, or a blank device that gets one first. Owns
 * `<data>/pools/` (a directory for each to be mounted on) and `<data>/pool-devices.json`: which file system is which pool's, and what is
 * being made. What is not known to be ours is looked at without a byte being written to it, a journal's replay included, and left alone.
 *
 * If this process dies: before a file system is made its id is written down, so one that is half made is made again, and one that is whole
 * is found to be ours. What is mounted stays so; guests go on with it.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../../contract/ids.ts';
import { readIfThere, writeWhole } from '../../files.ts';
import { order } from './commands.ts';
import { type Content, contentOf, type Device, findDevice, isAlive, isBlank, isInUse, mountAt } from './look.ts';
import { lookedAt } from './mounts.ts';

export interface PoolDevice {
  kind: 'file-system' | 'block-device';
  /** A path, or UUID=… or LABEL=… of a file system. */
  source: string;
}

interface Known {
  source: string;
  /** Of its file system. */
  uuid: string;
  /** It is being made. */
  half?: true;
}

export interface DevicesOptions {
  dataDirectory: string;
  /** Where they are mounted, a directory for each. */
  mounts: string;
  /** Null before it is known whose a new file system would be. */
  cloudId(): string | null;
  /** Whose it is, what is mounted there for a look: the pool's already, nobody's, or why it is no pool of ours. */
  whose(name: string, path: string): Promise<'ours' | "nobody's" | { refusal: string }>;
}

/** Those that keep users and modes, and how each is looked at without a write. */
const readable: Readonly<Record<string, string>> = {
  ext2: 'ro',
  ext3: 'ro,noload',
  ext4: 'ro,noload',
  xfs: 'ro,norecovery',
  btrfs: 'ro,rescue=nologreplay',
};
const walls = 'nodev,nosuid,noexec,noatime';

export class PoolDevices {
  readonly #options: DevicesOptions;
  #known: Record<string, Known> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /** Sees to it that the device is mounted there. Null: it is; else why not. */
  async mount(name: string, { kind, source }: PoolDevice, path: string): Promise<string | null> {
    await this.#open();
    const mounted = await mountAt(path);
    if (mounted && (await isAlive(mounted))) return null;
    // What is left of a device that is gone would keep it from coming back.
    if (mounted) await order('umount', '-l', path);
    const device = await findDevice(source);
    if (!device) return `its device ${source} is not there`;
    if (await isInUse(device)) return `its device ${source} is in use by somebody else`;
    const content = await contentOf(device);
    if (content.kind === 'else') return `there is ${content.what} on ${source}`;
    const known = this.#known![name];
    const isNew = known === undefined || (known.half && known.source !== source);
    if (content.kind === 'unknown') {
      if (kind === 'file-system') return `there is no file system on ${source}`;
      if (!isNew && !known.half) return `its file system on ${source} is gone`;
      if (isNew && !(await isBlank(device))) return `${source} is not blank, and nothing on it is known`;
      return this.#format(name, source, { device, path, uuid: isNew ? newId() : known.uuid });
    }
    if (kind === 'block-device' && content.type !== 'ext4')
      return `there is a file system (${content.type}) on ${source}`;
    return this.#take(name, { kind, source }, { device, path, content });
  }

  /** It is nobody's pool any more. Nothing of it is in use. */
  async release(name: string, path: string): Promise<void> {
    await this.#open();
    if (await mountAt(path)) await order('umount', path);
    // Empty, or something is wrong: then it stays.
    await rmdir(path).catch(() => {});
    const { [name]: _, ...others } = this.#known!;
    await this.#save(others);
  }

  async #format(
    name: string,
    source: string,
    { device, path, uuid }: { device: Device; path: string; uuid: string },
  ): Promise<string | null> {
    if (this.#options.cloudId() === null) return 'whose it will be is not known yet';
    await this.#remember(name, { source, uuid, half: true });
    // Large files, and no blocks that only root may take. Without -F: what somebody has taken meanwhile it refuses.
    const how = ['-q', '-m', '0', '-T', 'largefile', '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1'];
    await order('mkfs.ext4', ...how, '-U', uuid, device.path);
    return this.#mountWhole(name, { source, uuid }, { device, path });
  }

  async #take(
    name: string,
    { kind, source }: PoolDevice,
    { device, path, content }: { device: Device; path: string; content: Content & { kind: 'file system' } },
  ): Promise<string | null> {
    const { uuid, type } = content;
    const looked = Object.hasOwn(readable, type) ? readable[type] : undefined;
    if (looked === undefined) return `a file system of type ${type} holds no layers`;
    if (this.#known![name]?.uuid !== uuid) {
      const whose = await this.#look(name, device, looked);
      if (typeof whose === 'object') return whose.refusal;
      if (whose === "nobody's" && kind === 'block-device') return `there is a file system (${type}) on ${source}`;
    }
    return this.#mountWhole(name, { source, uuid }, { device, path });
  }

  /** Mounted where no pool is, so that what this leaves when it dies is taken for none. */
  async #look(name: string, device: Device, options: string): ReturnType<DevicesOptions['whose']> {
    const aside = join(this.#options.mounts, `${name}${lookedAt}`);
    await mkdir(aside, { recursive: true, mode: 0o711 });
    if (await mountAt(aside)) await order('umount', '-l', aside);
    await order('mount', '-o', `${options},${walls}${device.isFile ? ',loop' : ''}`, device.path, aside);
    try {
      return await this.#options.whose(name, aside);
    } finally {
      await order('umount', aside);
      await rmdir(aside);
    }
  }

  async #mountWhole(name: string, known: Known, { device, path }: { device: Device; path: string }): Promise<null> {
    await mkdir(path, { recursive: true, mode: 0o711 });
    await order('mount', '-o', `${walls}${device.isFile ? ',loop' : ''}`, device.path, path);
    await this.#remember(name, known);
    return null;
  }

  get #file(): string {
    return join(this.#options.dataDirectory, 'pool-devices.json');
  }

  async #open(): Promise<void> {
    if (this.#known) return;
    const text = (await readIfThere(this.#file))?.toString('utf8') ?? '{}';
    try {
      this.#known ??= JSON.parse(text) as Record<string, Known>;
    } catch {
      // Marks say whose file systems are; one that was half made is refused.
      this.#known ??= {};
    }
  }

  #remember(name: string, known: Known): Promise<void> {
    return this.#save({ ...this.#known, [name]: known });
  }

  /** One after another: the file has all pools. */
  async #save(known: Record<string, Known>): Promise<void> {
    this.#known = known;
    this.#writing = this.#writing
      .catch(() => {})
      .then(() => writeWhole(this.#file, JSON.stringify(this.#known), { durable: true }));
    await this.#writing;
  }
}
