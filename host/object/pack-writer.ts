/**
 * Small blobs of one intent on one disk, appended to packs. What comes while a write is under way goes into the next one; each write is on the disk
 * before its blobs are answered for (O_DSYNC: one call, and one commit of the file system). A pack is written by the process that made it, and never
 * again after a write to it has failed: what is behind the last record of a pack is nobody's.
 *
 * Owns an open file. If the process dies in a write, the pack ends in records that nobody was told of, or in none.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlobPlace, objectLimits } from '../../contract/host/index.ts';
import { recordBytes, writeRecord } from '../../protocols/blobs/index.ts';
import { isNoEntry } from '../files.ts';

export interface PackedBlob {
  /** 16 bytes. */
  id: Buffer;
  data: Buffer;
}

export interface PackWriterOptions {
  /** Of the intent, 16 bytes. */
  intent: Buffer;
  /** The intent's directory, made where it is not there. */
  directory(): Promise<string>;
  /** It was found to be gone. */
  gone(directory: string): void;
  sync(directory: string): Promise<void>;
  durable: boolean;
  packBytes?: number;
  /** Called after each step with its name; a test ends the process there. */
  step?: ((name: string) => void) | undefined;
}

interface Waiting {
  blobs: readonly PackedBlob[];
  bytes: number;
  resolve(places: BlobPlace[]): void;
  reject(error: unknown): void;
}

interface Pack {
  name: string;
  file: FileHandle;
  /** Where the next record begins. */
  end: number;
  /** Behind the last record that is on the disk. */
  good: number;
  /** Writes under way. */
  writing: number;
  failed: boolean;
  /** No further record goes into it. */
  left: boolean;
  /** Its name is on the disk. */
  named: Promise<void>;
}

/** The file system commits both at once where it can, and nobody waits for a commit that has just begun. */
const writesAtOnce = 2;

export class PackWriter {
  readonly #options: PackWriterOptions;
  readonly #waiting: Waiting[] = [];
  #pack: Promise<Pack> | undefined;
  #writes = 0;
  #lastUsed = performance.now();

  constructor(options: PackWriterOptions) {
    this.#options = options;
  }

  /** Nothing is under way, since when. Undefined: something is. */
  get idleSince(): number | undefined {
    return this.#writes === 0 && this.#waiting.length === 0 ? this.#lastUsed : undefined;
  }

  /** The pack that is written to. */
  get open(): Promise<string | undefined> {
    return (this.#pack ?? Promise.resolve(undefined)).then(
      (pack) => pack?.name,
      () => undefined,
    );
  }

  /** Of each its place, once all are on the disk. @throws what the disk said; then none is ever answered for */
  append(blobs: readonly PackedBlob[]): Promise<BlobPlace[]> {
    const bytes = blobs.reduce((sum, { data }) => sum + recordBytes(data.length), 0);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ blobs, bytes, resolve, reject });
      this.#look();
    });
  }

  /** No further record goes into the pack that is open. */
  async close(): Promise<void> {
    const pack = await this.#pack?.catch(() => undefined);
    if (!pack) return;
    this.#leave(pack);
    await closeWhenDone(pack);
  }

  #look(): void {
    while (this.#waiting.length > 0 && this.#writes < writesAtOnce) {
      this.#writes++;
      void this.#write(this.#next()).finally(() => {
        this.#writes--;
        this.#lastUsed = performance.now();
        this.#look();
      });
    }
  }

  #next(): Waiting[] {
    const next = [this.#waiting.shift()!];
    let bytes = next[0]!.bytes;
    for (let each = this.#waiting[0]; each && bytes + each.bytes <= objectLimits.batchBytes; each = this.#waiting[0]) {
      bytes += each.bytes;
      next.push(this.#waiting.shift()!);
    }
    return next;
  }

  async #write(together: readonly Waiting[]): Promise<void> {
    try {
      const pack = await this.#openPack();
      const from = pack.end;
      const bytes = together.reduce((sum, each) => sum + each.bytes, 0);
      pack.end += bytes;
      if (pack.end >= (this.#options.packBytes ?? objectLimits.packBytes)) this.#leave(pack);
      const { records, places } = this.#records(together, bytes, pack.name, from);
      await this.#put(pack, records, from);
      for (const [index, each] of together.entries()) each.resolve(places[index]!);
    } catch (error) {
      for (const each of together) each.reject(error);
    }
  }

  #records(together: readonly Waiting[], bytes: number, file: string, from: number) {
    const records = Buffer.allocUnsafe(bytes);
    let at = 0;
    const places = together.map(({ blobs }) =>
      blobs.map(({ id, data }): BlobPlace => {
        const place = { file, offset: from + at };
        writeRecord(records, at, { blob: id, intent: this.#options.intent }, data);
        at += recordBytes(data.length);
        return place;
      }),
    );
    return { records, places };
  }

  async #put(pack: Pack, records: Buffer, from: number): Promise<void> {
    pack.writing++;
    try {
      const { bytesWritten } = await pack.file.write(records, 0, records.length, from);
      if (bytesWritten < records.length) throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' });
      this.#options.step?.('records written');
      await pack.named;
      this.#options.step?.('pack named');
      pack.good = Math.max(pack.good, from + records.length);
    } catch (error) {
      pack.failed = true;
      this.#leave(pack);
      throw error;
    } finally {
      pack.writing--;
      if (pack.left) await closeWhenDone(pack);
    }
  }

  /** The next record goes into a new one. */
  #leave(pack: Pack): void {
    // Only one that was not left is the one that is open.
    if (!pack.left) this.#pack = undefined;
    pack.left = true;
  }

  #openPack(): Promise<Pack> {
    if (!this.#pack) {
      const opening = this.#newPack();
      this.#pack = opening;
      opening.catch(() => {
        if (this.#pack === opening) this.#pack = undefined;
      });
    }
    return this.#pack;
  }

  async #newPack(): Promise<Pack> {
    const { durable, directory, gone, sync } = this.#options;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (durable ? constants.O_DSYNC : 0);
    const name = newPackName();
    const path = await directory();
    const file = await open(join(path, name), flags, 0o640).catch((error) => {
      if (isNoEntry(error)) gone(path);
      throw error;
    });
    const named = sync(path);
    named.catch(() => {}); // seen by whoever writes
    return { name, file, end: 0, good: 0, writing: 0, failed: false, left: false, named };
  }
}

/** No pack ever has the name of one before it: what was to be removed may be asked for again. */
const newPackName = (): string => `${Date.now().toString(36)}${randomBytes(5).toString('hex')}.pack`;

/** Its last writer closes it. */
async function closeWhenDone(pack: Pack): Promise<void> {
  if (pack.writing > 0) return;
  // A full disk gets back what a write has begun.
  if (pack.failed) await pack.file.truncate(pack.good).catch(() => {});
  await pack.file.close().catch(() => {});
}
