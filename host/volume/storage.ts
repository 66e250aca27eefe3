/**
 * All that this host has to do with volumes, made and opened in its order: pools, what is remembered of layers, the layers themselves. Host
 * makes one and hands out its parts.
 */
import { join } from 'node:path';
import type { DeclaredPool, PoolLevel } from '../../contract/host/index.ts';
import type { LayerId } from '../../contract/ids.ts';
import { syncDirectory } from '../files.ts';
import type { GuestUsers } from '../guest/users.ts';
import type { OpenSource } from '../image/fetch.ts';
import { Together } from '../together.ts';
import { BackupDirectory } from './backups.ts';
import type { ChainKey } from './chain.ts';
import type { LayerContext } from './context.ts';
import { LayerCopies } from './copies.ts';
import { basesOf, largestOf } from './decide.ts';
import { Exports } from './export/exports.ts';
import type { LayerKeys } from './keys.ts';
import { LayerFiles } from './layer-files.ts';
import { Layers, type LayersOptions } from './layers.ts';
import { LayerLedger } from './ledger.ts';
import { ManagedFiles } from './managed.ts';
import type { BuildsOn } from './names.ts';
import { OutcomeStore } from './outcomes.ts';
import { defaultPool, Pools, type PoolsOptions, type StorageSetting } from './pool.ts';
import type { RbdStorage } from './rbd/index.ts';
import { storageDaemons } from './receive/daemon.ts';
import { type ReceiverEngine, Receivers, type ReceiversOptions } from './receive/receivers.ts';

type Shared =
  | 'tools'
  | 'images'
  | 'fetcher'
  | 'upload'
  | 'laterDigests'
  | 'lease'
  | 'durable'
  | 'limits'
  | 'log'
  | 'step';

export interface StorageOptions
  extends Pick<LayerContext, Shared>,
    Omit<PoolsOptions, 'settings' | 'percentages'>,
    Pick<LayersOptions, 'report' | 'died' | 'sweepIntervalMs'> {
  setting: StorageSetting;
  keys: LayerKeys;
  /** Pools that are no longer as they were told. */
  levels(pools: PoolLevel[]): void;
  /** Reads from another host's service. */
  openSource: OpenSource;
  /** Undefined (tests): all runs as this process. */
  guestUsers: GuestUsers | undefined;
  runDirectory: string;
  /** How writes to second copies are taken (undefined: by storage daemons), and where. */
  receiverEngine: ReceiverEngine | undefined;
  migrationPlace: ReceiversOptions['place'];
}

/** What a pool may gain or lose without its being news. */
const newsPart = 0.01;

export class Storage {
  readonly pools: Pools;
  readonly files: LayerFiles;
  readonly layers: Layers;
  readonly backups: BackupDirectory;
  readonly exports: Exports;
  readonly receivers: Receivers;
  readonly managed: ManagedFiles;
  readonly #context: LayerContext;
  readonly #dataDirectory: string;
  readonly #levels: StorageOptions['levels'];
  readonly #told = new Map<string, PoolLevel>();
  #rbd: RbdStorage | undefined;

  constructor(options: StorageOptions) {
    const { dataDirectory, hostId, cloudId, guestGid, durable, images, setting } = options;
    this.#dataDirectory = dataDirectory;
    const { percentages, pools: settings = [defaultPool(dataDirectory)] } = setting;
    this.pools = new Pools({ settings, percentages, dataDirectory, hostId, cloudId, guestGid });
    this.files = new LayerFiles({
      remoteLink: (id) => this.#rbd?.link(id),
      layerPath: (id) => this.#layerPath(id),
      whyAway: (id) => this.#poolProblem(this.layers.desired(id)?.pool),
      stores: () => [...this.pools.usable().map(({ path }) => path), images.paths.images],
      imageBase: (id) => images.base(id),
      basesOf: (id) => this.#basesOf(id),
      cacheOf: (id) => this.layers.desired(id)?.cache ?? undefined,
      momentOf: (id) => this.layers.desired(id)?.moment,
      iopsOf: (id) => this.pools.iopsPerVolume(this.layers.desired(id)?.pool ?? ''),
      keyOf: (id) => this.#keyOf(id, 'encryption'),
      imageKeyOf: (id) => this.#keyOf(id, 'imageEncryption'),
      largestOf: (id) => {
        const desired = this.layers.desired(id);
        return desired && largestOf(desired, this.#context.ledger);
      },
      mayBecome: (id, sizeBytes) => this.#context.ledger.mayBecome(id, sizeBytes),
      ...{ guestGid, keys: options.keys },
    });
    const directory = setting.backupDirectory ?? join(dataDirectory, 'backups');
    const { guestUsers: users, runDirectory, log } = options;
    const portal = setting.iscsiPortal;
    this.exports = new Exports({ portal, users, files: this.files, dataDirectory, runDirectory, log });
    this.receivers = new Receivers({
      ...{ engine: options.receiverEngine ?? storageDaemons, users, files: this.files, place: options.migrationPlace },
      ...{ dataDirectory, runDirectory, log },
    });
    this.managed = new ManagedFiles({
      ...{ pools: this.pools, hostId, durable, guestGid, inspect: options.upload.inspect },
      seal: (path) => this.files.seal(path),
    });
    this.backups = new BackupDirectory({ directory, hostId, durable, gid: guestGid });
    this.#context = {
      ...options,
      ...{ pools: this.pools, files: this.files },
      ledger: new LayerLedger(dataDirectory),
      outcomes: new OutcomeStore({ dataDirectory, durable }),
      backups: this.backups,
      exports: this.exports,
      receivers: this.receivers,
      managed: this.managed,
      copies: new LayerCopies(options.openSource),
      sync: new Together(async (directories) => {
        for (const each of new Set(directories)) await syncDirectory(each);
      }),
    };
    this.#levels = options.levels;
    this.layers = new Layers({
      rbd: () => this.#rbd,
      ...{ context: this.#context, report: options.report, died: options.died },
      sweepIntervalMs: options.sweepIntervalMs,
      swept: () => options.levels(this.#news()),
    });
  }

  async open(): Promise<void> {
    const { ledger, outcomes, backups, log } = this.#context;
    if (this.pools.hasRemote) await this.#openRemote();
    await Promise.all([this.pools.open(), ledger.open(), outcomes.open()]);
    // A share that is not there keeps nobody's volumes from their work.
    await backups.open().catch((err) => log.warn({ err }, 'the directory for backups can not be opened'));
    for (const { name, problem } of this.pools.facts()) {
      if (problem !== null) log.error({ pool: name, problem }, 'a storage pool can not be used');
    }
  }

  /** What others have of this host's volumes, before it is said that all is known. */
  async adopt(): Promise<void> {
    await this.exports.adopt();
    await this.receivers.adopt();
  }

  /** Ends all acting; what machines outside have they keep. */
  async close(): Promise<void> {
    await this.layers.close();
    this.exports.close();
    this.receivers.close();
  }

  abandon(): void {
    this.layers.abandon();
    this.exports.close();
    this.receivers.close();
  }

  /** A hello says it; reports say what has changed since. */
  told(pools: readonly PoolLevel[]): void {
    for (const pool of pools) this.#told.set(pool.name, pool);
  }

  /** All pools that control has declared for this host. */
  async declare(pools: readonly DeclaredPool[]): Promise<void> {
    await this.pools.declare(pools);
    // Not waited for: one that does not answer would keep what control says next.
    void this.pools.look().then(() => {
      this.#levels(this.#news());
      this.layers.wakeUnsettled();
    });
  }

  #news(): PoolLevel[] {
    const news = this.pools.facts().filter((pool) => {
      const told = this.#told.get(pool.name);
      if (told?.problem !== pool.problem || told.totalBytes !== pool.totalBytes) return true;
      return Math.abs(told.freeBytes - pool.freeBytes) > newsPart * pool.totalBytes;
    });
    this.told(news);
    return news.map(({ name, totalBytes, freeBytes, problem }) => ({ name, totalBytes, freeBytes, problem }));
  }

  #basesOf(id: LayerId): readonly BuildsOn[] {
    const desired = this.layers.desired(id);
    return desired ? basesOf(desired, this.#context.ledger) : [];
  }

  #keyOf(id: LayerId, of: 'encryption' | 'imageEncryption'): ChainKey | undefined {
    const keyId = this.layers.desired(id)?.[of]?.keyId;
    return keyId && { id: keyId, passphrase: this.files.keys.of(keyId) };
  }

  /** What a host without such a pool does not even read. */
  async #openRemote(): Promise<void> {
    const { RbdStorage } = await import('./rbd/index.ts');
    this.#rbd = new RbdStorage({
      ...{ pools: this.pools, dataDirectory: this.#dataDirectory },
      desired: (id) => this.layers.desired(id),
      children: (id) => this.layers.children(id),
    });
    await this.#rbd.open();
  }

  #poolProblem(name: string | undefined): string | undefined {
    const problem = this.pools.facts().find((pool) => pool.name === name)?.problem ?? null;
    return problem === null ? undefined : `the storage pool ${name} can't be used: ${problem}`;
  }

  #layerPath(id: LayerId): string | undefined {
    const pool = this.layers.desired(id)?.pool;
    return pool === undefined ? undefined : this.pools.layerPath(pool, id);
  }
}
