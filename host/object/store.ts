/**
 * The object store of this host: blobs in and out of its disks. Knows no object and no name: which blob is whose, and which is nobody's any more,
 * control knows; nothing is ever removed here but what control names.
 *
 * Owns the writers of packs, open packs, and what is remembered of damage. If the process dies: what was answered for is on the disk; of the rest
 * there is nothing, the torn end of a pack, or a file without a footer, in the directory of an intent that control will have looked through.
 */
import type {
  BlobDigestName,
  BlobPlace,
  IntentFiles,
  ObjectDiskLevel,
  StoredBlob,
  StoredPlace,
} from '../../contract/host/index.ts';
import type { BlobId, ObjectIntentId } from '../../contract/ids.ts';
import { BlobFault, type BlobRange, idBytes, openBlob, PackReader } from '../../protocols/blobs/index.ts';
import type { Bytes } from '../../protocols/bytes/index.ts';
import { HostFault, isDiskFull } from '../host-error.ts';
import type { HostLogger } from '../logger.ts';
import { writeBlobFile } from './blob-file.ts';
import { type DisksOptions, ObjectDisks } from './disks.ts';
import { Faults } from './faults.ts';
import { Grants } from './grants.ts';
import { blobPath, Intents, intentDirectory } from './intents.ts';
import { LaneKeeper } from './lanes.ts';
import { type PackedBlob, PackWriter } from './pack-writer.ts';
import { Scrub, type ScrubOptions } from './scrub.ts';

export interface ObjectStoreOptions extends Omit<DisksOptions, 'faults'> {
  log: HostLogger;
  scrub?: Partial<Pick<ScrubOptions, 'bytesPerSecond' | 'everyMs'>>;
  /** Disks that are not as they were told. */
  levels(levels: ObjectDiskLevel[]): void;
  lookEveryMs?: number;
  packBytes?: number;
  /** Called after each step with its name; a test ends the process there. */
  step?: (name: string) => void;
}

export interface WriteFileOptions {
  digests: readonly BlobDigestName[];
  maxBytes: number;
  sizeBytes?: number | undefined;
}

/** A pack that nobody has written to for so long is closed. */
const idlePackMs = 60_000;
/** What a disk may gain or lose without its being news. */
const newsPart = 0.01;
const silenceMs = 60_000;

export class ObjectStore {
  readonly disks: ObjectDisks;
  readonly faults = new Faults();
  readonly grants = new Grants();
  readonly #options: ObjectStoreOptions;
  readonly #intents: Intents;
  readonly #packs = new PackReader();
  readonly #lanes = new LaneKeeper();
  readonly #writers = new Map<string, PackWriter>();
  /** Files that are being written. */
  readonly #incoming = new Set<string>();
  readonly #scrub: Scrub;
  readonly #told = new Map<string, ObjectDiskLevel>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ObjectStoreOptions) {
    this.#options = options;
    const { durable } = options;
    this.disks = new ObjectDisks({ ...options, faults: (disk) => this.faults.count(disk) });
    this.#intents = new Intents({ durable });
    this.#scrub = new Scrub({
      ...options.scrub,
      disks: this.disks,
      isOpen: (path) => this.#isOpen(path),
      found: (disk, fault) => this.#found(disk, fault),
      log: options.log,
    });
  }

  async open(): Promise<void> {
    await this.disks.open();
    for (const { name, problem } of this.disks.levels()) {
      if (problem !== null) this.#options.log.error({ disk: name, problem }, 'an object disk can not be used');
    }
    this.#timer = setInterval(() => void this.#sweep(), this.#options.lookEveryMs ?? 30_000).unref();
    this.#scrub.start();
  }

  /** Ends all acting; writes that are under way end by themselves. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#scrub.stop();
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
    this.#writers.clear();
    this.#packs.close();
    this.#lanes.close();
  }

  /** A hello says it; reports say what has changed since. */
  told(levels: readonly ObjectDiskLevel[]): void {
    for (const level of levels) this.#told.set(level.name, level);
  }

  /** Small blobs; of each its place once all are on the disk. @throws HostFault */
  async writePacked(disk: string, intent: ObjectIntentId, blobs: readonly PackedBlob[]): Promise<BlobPlace[]> {
    const path = await this.disks.require(disk, { toWrite: true });
    return this.#doubting(disk, () => this.#writer(path, intent).append(blobs));
  }

  /** One large blob. @throws HostFault */
  async writeFile(
    disk: string,
    intent: ObjectIntentId,
    blob: BlobId,
    source: AsyncIterable<Buffer>,
    wish: WriteFileOptions,
  ): Promise<StoredBlob> {
    const root = await this.disks.require(disk, { toWrite: true });
    const path = blobPath(root, intent, blob);
    if (this.#incoming.has(path)) throw new HostFault('conflict', 'there is such a blob already', { permanent: true });
    this.#incoming.add(path);
    try {
      return await this.#doubting(disk, async () => {
        const directory = await this.#intents.make(root, intent);
        const { durable, step } = this.#options;
        const named = () => this.#intents.sync(directory);
        const lanes = this.#lanes.get();
        const stored = await writeBlobFile(source, { ...wish, path, blob, intent, lanes, durable, named, step });
        return { ...stored, file: blob };
      });
    } finally {
      this.#incoming.delete(path);
    }
  }

  /** The whole of a small blob, verified. @throws HostFault */
  async readPacked(disk: string, place: StoredPlace): Promise<Buffer> {
    const path = blobPath(await this.disks.require(disk, { toWrite: false }), place.intent, place.file);
    return this.#verified(disk, place, () => this.#packs.read(path, place));
  }

  /** A large blob or a range of it, verified on its way; it has to be sent or destroyed. @throws HostFault */
  async readFile(disk: string, place: StoredPlace, range?: BlobRange): Promise<Bytes> {
    const path = blobPath(await this.disks.require(disk, { toWrite: false }), place.intent, place.file);
    const bytes = await this.#verified(disk, place, () => openBlob({ path, name: place, range, silenceMs }));
    return {
      length: bytes.length,
      destroy: () => bytes.destroy(),
      sendTo: (sink) => this.#verified(disk, place, () => bytes.sendTo(sink)),
    };
  }

  /** Idempotent. @throws HostFault */
  async removeFile(disk: string, intent: ObjectIntentId, file: string): Promise<void> {
    const root = await this.disks.require(disk, { toWrite: false });
    const path = blobPath(root, intent, file);
    this.#packs.drop(path);
    const writer = this.#writers.get(intentDirectory(root, intent));
    if ((await writer?.open) === file) await writer!.close();
    await this.#doubting(disk, () => this.#intents.removeFile(path, intentDirectory(root, intent)));
    this.faults.forget(disk, intent, file);
  }

  async listIntent(disk: string, intent: ObjectIntentId): Promise<IntentFiles['files']> {
    return this.#intents.list(await this.disks.require(disk, { toWrite: false }), intent);
  }

  /** Idempotent. @throws HostFault */
  async removeIntent(disk: string, intent: ObjectIntentId): Promise<void> {
    const root = await this.disks.require(disk, { toWrite: false });
    const key = intentDirectory(root, intent);
    await this.#writers.get(key)?.close();
    this.#writers.delete(key);
    await this.#doubting(disk, () => this.#intents.remove(root, intent));
  }

  /** Once through the disk. For tests, which do not wait for its turn. */
  scrub(disk: string): Promise<void> {
    return this.#scrub.once(disk);
  }

  /** When a scrub has last been through the whole disk. */
  scrubbedAt(disk: string): number | null {
    return this.#scrub.doneAt(disk);
  }

  #writer(root: string, intent: ObjectIntentId): PackWriter {
    const key = intentDirectory(root, intent);
    let writer = this.#writers.get(key);
    if (!writer) {
      const { durable, packBytes, step } = this.#options;
      writer = new PackWriter({
        intent: idBytes(intent),
        directory: () => this.#intents.make(root, intent),
        gone: (directory) => this.#intents.forget(directory),
        sync: (directory) => this.#intents.sync(directory),
        ...{ durable, step, ...(packBytes !== undefined && { packBytes }) },
      });
      this.#writers.set(key, writer);
    }
    return writer;
  }

  async #isOpen(path: string): Promise<boolean> {
    if (this.#incoming.has(path)) return true;
    const at = path.lastIndexOf('/');
    return (await this.#writers.get(path.slice(0, at))?.open) === path.slice(at + 1);
  }

  async #sweep(): Promise<void> {
    const now = performance.now();
    for (const [key, writer] of this.#writers) {
      const since = writer.idleSince;
      if (since === undefined || now - since < idlePackMs) continue;
      this.#writers.delete(key);
      await writer.close();
    }
    await this.lookAgain();
  }

  /** At the disks; what has changed is told. */
  async lookAgain(): Promise<void> {
    await this.disks.look();
    if (!this.#closed) this.#tell();
  }

  #tell(): void {
    const news = this.disks.levels().filter((level) => {
      const told = this.#told.get(level.name);
      if (told?.problem !== level.problem || told.totalBytes !== level.totalBytes) return true;
      if (told.faults !== level.faults) return true;
      return Math.abs(told.freeBytes - level.freeBytes) > newsPart * level.totalBytes;
    });
    this.told(news);
    if (news.length > 0) this.#options.levels(news);
  }

  /** What a disk says of itself by failing is found out. */
  async #doubting<T>(disk: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof HostFault) throw error;
      if (error instanceof BlobFault) throw error;
      void this.disks.doubt(disk);
      if (isDiskFull(error)) throw new HostFault('no_capacity', `the object disk ${disk} is full`, { cause: error });
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new HostFault('unavailable', `the object disk ${disk} failed (${code})`, { cause: error });
    }
  }

  async #verified<T>(disk: string, place: StoredPlace, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#doubting(disk, work);
    } catch (error) {
      const fault = error instanceof BlobFault ? error : error instanceof HostFault && error.cause;
      if (!(fault instanceof BlobFault)) throw error;
      const { intent, file, offset, length } = place;
      // Whose file system is gone has lost nothing.
      await this.disks.doubt(disk);
      await this.disks.require(disk, { toWrite: false });
      this.#found(disk, { intent, file, kind: fault.kind, offset, length });
      const code = fault.kind === 'corrupt' ? 'corrupt' : 'not_found';
      throw new HostFault(code, `blob ${place.blob} on the object disk ${disk} is ${fault.kind}`, { cause: error });
    }
  }

  #found(disk: string, fault: Parameters<Faults['add']>[1]): void {
    if (this.faults.add(disk, fault)) this.#options.log.error({ disk, ...fault }, 'a blob is not what was written');
  }
}
