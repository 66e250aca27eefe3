/**
 * The pools of this host: directories where layers lie, or devices that are mounted on one (device/), named in its settings or declared by
 * control. Owns in each a mark, `bothy-pool.json`, that says whose it is,
 * and `<data>/pools.json`, which pools this host has marked. A pool that is gone (its file system is not mounted), full, read-only or
 * somebody else's is refused by name, and nothing in it is touched. If this process dies between the two files, the mark is found to be ours.
 */
import { access, constants, mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeclaredPool, HostFacts, IscsiPortal } from '../../contract/host/index.ts';
import type { HostId, LayerId } from '../../contract/ids.ts';
import { isNoEntry, readIfThere, writeWhole } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { forgetStore } from '../opened.ts';
import { type Declared, DeclaredPools, declaredNext } from './declared.ts';
import type { PoolDevice, PoolDevices } from './device/devices.ts';
import { arrange, isArranged, isOfLayer, layerPathIn, layersIn, layersName } from './pool-files.ts';
import type { RbdSetting } from './rbd/client.ts';
import type { RbdOwner, RbdPool } from './rbd/pool.ts';

type PoolFacts = NonNullable<HostFacts['pools']>[number];

export interface PoolSetting {
  name: string;
  tier: PoolFacts['tier'];
  /** Absent: where its device is mounted. */
  path?: string;
  /** Absent: it is a directory. */
  device?: PoolDevice;
  /** So many reads and writes a second the cache of one volume may ask it for. Absent: as many as it gives. */
  iopsPerVolume?: number;
  /** It is ours from the first: made where it is not there. */
  own?: true;
  /** It is no directory but a pool of a Ceph cluster. */
  rbd?: RbdSetting;
}

/** What the machine has for volumes. */
export interface StorageSetting {
  /** Absent: one pool, in the data directory. */
  pools?: readonly PoolSetting[];
  /** Of what they hold, how much may be promised and how much is kept free; absent: as control has it. */
  percentages?: { promised: number; reserved: number };
  /** Where backups lie; absent: in the data directory. */
  backupDirectory?: string;
  /** Where machines outside reach exported volumes; absent: nowhere. */
  iscsiPortal?: IscsiPortal;
}

export interface PoolsOptions {
  settings: readonly PoolSetting[];
  percentages?: StorageSetting['percentages'] | undefined;
  dataDirectory: string;
  hostId: HostId;
  /** Null before the first control has said which. */
  cloudId(): string | null;
  /** Guests pass through to files whose names they were given. Undefined: all is this process's own (tests). */
  guestGid: number | undefined;
}

interface Pool {
  setting: PoolSetting;
  /** By control, and so; absent: by the settings. */
  declared?: Declared;
  path: string;
  /** Of a pool of a cluster, once that is read which knows it. */
  rbd?: RbdPool;
  /** Under way; a look at a device that hangs may take any time. */
  look: Promise<void> | null;
  totalBytes: number;
  freeBytes: number;
  /** Why nothing of it may be touched. */
  refused: string | null;
  /** Why nothing may be made there, though what is there is ours. */
  closed: string | null;
}

export const markName = 'bothy-pool.json';
/** In the data directory: by name, the path of each pool that this host has marked. */
export const markedName = 'pools.json';
/** Where administrators lay what shall become volumes (managed.ts). */
export const manageDirectory = 'manage';
/** What may lie in a new pool: the file system's own, what shall become volumes, and a mark that this process died over before it was whole. */
const ofNobody: ReadonlySet<string> = new Set(['lost+found', manageDirectory, `${markName}.new`]);
/** With less the pool counts as full: a file system needs some for its own books. */
const reserveBytes = 64 * 2 ** 20;
/** One that does not answer must not keep the others from their work. */
const answersWithinMs = 30_000;

export const defaultPool = (dataDirectory: string): PoolSetting => ({
  ...{ name: 'local', tier: 'disk', path: join(dataDirectory, 'volumes'), own: true },
});

/** Where devices of pools are mounted. */
export const mountsOf = (dataDirectory: string): string => join(dataDirectory, 'pools');

export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #declared: DeclaredPools;
  /** By name, the path under which this host marked it. */
  #marked: Record<string, string> = {};
  #devices: Promise<PoolDevices> | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: PoolsOptions) {
    this.#options = options;
    this.#declared = new DeclaredPools(options.dataDirectory);
    for (const setting of options.settings) this.#add(setting);
  }

  #add(setting: PoolSetting, declared?: Declared): void {
    const unknown = { totalBytes: 0, freeBytes: 0, refused: 'it was not looked at yet', closed: null, look: null };
    const path = setting.path ?? join(mountsOf(this.#options.dataDirectory), setting.name);
    this.#pools.set(setting.name, { setting, path, ...unknown, ...(declared && { declared }) });
  }

  async open(): Promise<void> {
    this.#marked = readMarked(await readIfThere(this.#markedFile));
    for (const each of await this.#declared.load().catch(() => [])) this.#keep(each);
    await this.look();
  }

  /** Looks at every pool again. */
  async look(): Promise<void> {
    const pools = [...this.#pools.values()];
    await Promise.all(pools.map((pool) => this.#lookAt(pool)));
    if (pools.some(({ declared, path }) => declared?.leaving && this.#marked[declared.name] !== path))
      await this.#forget();
  }

  /** All that control has declared, to be looked at next. What it names no more goes when no layer lies in it. */
  async declare(wanted: readonly DeclaredPool[]): Promise<void> {
    const before = [...this.#pools.values()].flatMap(({ declared }) => declared ?? []);
    const next = declaredNext(before, wanted);
    // Before anything of a pool is undone, it is written down that it is leaving.
    await this.#declared.save(next);
    for (const each of next) this.#keep(each);
  }

  /** The settings go before: of their pools nothing is declared. */
  #keep(declared: Declared): void {
    const pool = this.#pools.get(declared.name);
    if (!pool) this.#add(settingOf(declared), declared);
    else if (pool.declared) Object.assign(pool, { declared, setting: settingOf(declared) });
  }

  /** Those that have left. */
  async #forget(): Promise<void> {
    for (const [name, { declared, path }] of this.#pools) {
      if (declared?.leaving && this.#marked[name] !== path) this.#pools.delete(name);
    }
    await this.#declared.save([...this.#pools.values()].flatMap(({ declared }) => declared ?? []));
  }

  /** False: layers lie in it, so it stays. */
  async #leave({ setting, path }: Pool): Promise<boolean> {
    const { name, device } = setting;
    const whose = await this.#whose(this.#pools.get(name)!, path).catch(() => undefined);
    if (whose === 'ours') {
      const names = [path, layersIn(path)].map(async (each) => (await namesIn(each)) ?? []);
      if ((await Promise.all(names)).flat().some(isOfLayer)) return false;
      await forgetStore(path, layersName);
      await rm(join(path, markName), { force: true });
    }
    if (device) await (await this.#deviced()).release(name, path);
    const { [name]: _, ...marked } = this.#marked;
    await this.#saveMarked(marked);
    return true;
  }

  facts(): PoolFacts[] {
    const { percentages } = this.#options;
    const levels = percentages && {
      promisedPercentage: percentages.promised,
      reservedPercentage: percentages.reserved,
    };
    return [...this.#pools.values()].map(({ setting, declared, totalBytes, freeBytes, refused, closed }) => ({
      ...{ name: setting.name, tier: setting.tier, kind: setting.rbd ? 'rbd' : (setting.device?.kind ?? 'directory') },
      ...{ totalBytes, freeBytes, ...(declared ? { declared: true } : levels), problem: refused ?? closed },
    }));
  }

  has(name: string): boolean {
    return this.#pools.has(name);
  }

  /** Directories whose files are ours. */
  usable(): { name: string; path: string }[] {
    const fine = [...this.#pools.values()].filter(({ refused, setting }) => refused === null && !setting.rbd);
    return fine.map(({ setting: { name }, path }) => ({ name, path }));
  }

  iopsPerVolume(name: string): number | undefined {
    return this.#pools.get(name)?.setting.iopsPerVolume;
  }

  get hasRemote(): boolean {
    return this.#options.settings.some(({ rbd }) => rbd);
  }

  /** Makes those that know the pools of Ceph clusters, by the pools' names here. */
  remote(make: (setting: RbdSetting, owner: RbdOwner) => RbdPool): ReadonlyMap<string, RbdPool> {
    const made = new Map<string, RbdPool>();
    for (const [name, pool] of this.#pools) {
      if (!pool.setting.rbd) continue;
      pool.rbd = make(pool.setting.rbd, this.#options);
      made.set(name, pool.rbd);
    }
    return made;
  }

  /** Where the layer's file lies in that pool, if it does. */
  layerPath(name: string, id: LayerId): string | undefined {
    const pool = this.#pools.get(name);
    return pool && !pool.setting.rbd ? layerPathIn(pool.path, id) : undefined;
  }

  /**
   * The directory of a pool whose files may be touched; where something shall be made there, its mark is looked at once more.
   * @throws HostFault that says by name what is wrong with it
   */
  async require(name: string, { toMake }: { toMake: boolean }): Promise<string> {
    const pool = this.#pools.get(name);
    if (!pool) throw new HostFault('pool_unknown', `this host has no storage pool ${name}`, { permanent: true });
    if ((toMake && !pool.rbd?.isFresh) || pool.refused !== null) await this.#lookAt(pool);
    const problem = pool.refused ?? (toMake ? pool.closed : null);
    if (problem !== null) throw new HostFault('pool_unavailable', `the storage pool ${name} can't be used: ${problem}`);
    return pool.path;
  }

  get #markedFile(): string {
    return join(this.#options.dataDirectory, markedName);
  }

  async #lookAt(pool: Pool): Promise<void> {
    pool.look ??= this.#see(pool).finally(() => {
      pool.look = null;
    });
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        pool.refused = 'it does not answer';
        resolve();
      }, answersWithinMs).unref();
    });
    await Promise.race([pool.look, silence]);
    clearTimeout(timer);
  }

  async #see(pool: Pool): Promise<void> {
    if (pool.rbd) {
      Object.assign(pool, await pool.rbd.look());
      return;
    }
    const { setting, path } = pool;
    try {
      if (pool.declared?.leaving && (await this.#leave(pool))) {
        pool.refused = 'it is no pool any more';
        return;
      }
      if (setting.device) pool.refused = await (await this.#deviced()).mount(setting.name, setting.device, path);
      if (!setting.device || pool.refused === null) pool.refused = await this.#take(pool);
      if (pool.refused !== null) return;
      const [{ bavail, blocks, bsize }, unwritable] = await Promise.all([statfs(path), whyUnwritable(path)]);
      pool.totalBytes = blocks * bsize;
      pool.freeBytes = bavail * bsize;
      pool.closed = pool.freeBytes < reserveBytes ? 'it is full' : unwritable;
    } catch (error) {
      pool.refused = `it can't be looked at (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
    }
  }

  /** Few machines have such a pool. */
  #deviced(): Promise<PoolDevices> {
    const { dataDirectory, cloudId } = this.#options;
    this.#devices ??= import('./device/devices.ts').then(({ PoolDevices: Devices }) => {
      const whose = (name: string, path: string) => this.#whose(this.#pools.get(name)!, path);
      return new Devices({ dataDirectory, mounts: mountsOf(dataDirectory), cloudId, whose });
    });
    return this.#devices;
  }

  /** Null: it is ours, from now on if it was nobody's. */
  async #take(pool: Pool): Promise<string | null> {
    const { path, setting } = pool;
    if (setting.own && this.#marked[setting.name] !== path) await mkdir(path, { recursive: true, mode: 0o710 });
    const whose = await this.#whose(pool, path);
    if (typeof whose === 'object') return whose.refusal;
    const cloud = this.#options.cloudId();
    if (whose === "nobody's" && cloud !== null) await this.#mark(setting.name, path, cloud);
    else if (whose === 'ours' && this.#marked[setting.name] !== path) await this.#remember(setting.name, path);
    if (whose !== 'ours' && cloud === null) return null;
    try {
      await arrange(path, this.#options.guestGid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
      // Were its files not where they are looked for, they would be taken for lost.
      if (!(await isArranged(path))) return readOnly;
    }
    return null;
  }

  /** Whose is what lies at `at`, which may be mounted elsewhere than the pool will be. */
  async #whose(
    { setting: { name, tier }, path }: Pool,
    at: string,
  ): Promise<'ours' | "nobody's" | { refusal: string }> {
    const { hostId, cloudId } = this.#options;
    const mark = await readIfThere(join(at, markName));
    const cloud = cloudId();
    if (mark) {
      const said = readMark(mark);
      if (!said) return { refusal: `its mark ${markName} can't be read` };
      if (said.hostId !== hostId || (cloud !== null && said.cloudId !== cloud))
        return { refusal: `it belongs to host ${said.hostId} of cloud ${said.cloudId}` };
      return said.pool === name ? 'ours' : { refusal: `it is the pool ${said.pool}` };
    }
    if (this.#marked[name] === path && !(tier === 'ram' && (await isEmptiedMemory(at))))
      return { refusal: `its mark ${markName} is gone; is its file system mounted?` };
    const names = await namesIn(at);
    if (!names) return { refusal: `there is no directory ${path}` };
    return names.every((each) => ofNobody.has(each))
      ? "nobody's"
      : { refusal: 'there are files of somebody else in it' };
  }

  async #mark(pool: string, path: string, cloudId: string): Promise<void> {
    const { hostId } = this.#options;
    await writeWhole(join(path, markName), JSON.stringify({ cloudId, hostId, pool }), { durable: true });
    await this.#remember(pool, path);
  }

  async #remember(name: string, path: string): Promise<void> {
    await this.#saveMarked({ ...this.#marked, [name]: path });
  }

  /** One after another: the file has all pools. */
  async #saveMarked(marked: Record<string, string>): Promise<void> {
    this.#marked = marked;
    this.#saving = this.#saving
      .catch(() => {})
      .then(() => writeWhole(this.#markedFile, JSON.stringify(this.#marked), { durable: true }));
    await this.#saving;
  }
}

/** TMPFS_MAGIC and RAMFS_MAGIC of statfs(2). */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** A file system in memory begins anew with its machine, without its mark; an empty directory below a mount that is missing lies on a disk. */
async function isEmptiedMemory(path: string): Promise<boolean> {
  return inMemory.has((await statfs(path)).type) && (await namesIn(path))?.length === 0;
}

const readOnly = 'it is read-only';

async function whyUnwritable(path: string): Promise<string | null> {
  try {
    await access(path, constants.W_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS' ? readOnly : 'it can not be written to';
  }
}

export function readMark(bytes: Buffer): { cloudId: string; hostId: string; pool: string } | undefined {
  try {
    const { cloudId, hostId, pool } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
    if (typeof cloudId !== 'string' || typeof hostId !== 'string' || typeof pool !== 'string') return undefined;
    return { cloudId, hostId, pool };
  } catch {
    return undefined;
  }
}

const settingOf = ({ name, tier, kind, source, iopsPerVolume }: Declared): PoolSetting => ({
  ...{ name, tier, ...(kind === 'directory' ? { path: source } : { device: { kind, source } }) },
  ...(iopsPerVolume !== undefined && { iopsPerVolume }),
});

/** Of the file of all marked pools; where it can't be read the marks themselves say whose the pools are. */
export function readMarked(bytes: Buffer | undefined): Record<string, string> {
  try {
    const saved: unknown = JSON.parse(bytes?.toString('utf8') ?? '{}');
    return typeof saved === 'object' && saved !== null ? (saved as Record<string, string>) : {};
  } catch {
    return {};
  }
}

async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
}
