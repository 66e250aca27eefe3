/**
 * Reads everything on the object disks again, slowly and past the page cache, and tells what is not what was written: the disk may have lost it long
 * before somebody asks. Changes nothing but its own note, `scrub.json` on the disk, from which the next process goes on.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { blobFilePattern, objectIntentsDirectory } from '../../contract/host/index.ts';
import { type ObjectIntentId, parseId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import type { HostLogger } from '../logger.ts';
import type { ObjectDisks } from './disks.ts';
import type { Fault } from './faults.ts';
import { namesIn } from './intents.ts';
import { type Damage, scrubFile, scrubPack } from './scrub-file.ts';

export interface ScrubOptions {
  disks: Pick<ObjectDisks, 'usable' | 'require'>;
  /** Somebody still writes to it. */
  isOpen(path: string): Promise<boolean>;
  found(disk: string, fault: Fault): void;
  log: HostLogger;
  /** Of each disk. */
  bytesPerSecond?: number;
  /** From the beginning of one time through to that of the next. */
  everyMs?: number;
}

export const scrubNoteName = 'scrub.json';
const pieceBytes = 1024 * 1024;
const isBlobFile = new RegExp(blobFilePattern);
/** A disk that can't be used is looked for again. */
const againMs = 60_000;

interface Note {
  /** When this time through began, and when the last one that came to its end did; milliseconds since 1970. */
  beganAt: number;
  doneAt: number | null;
  /** The last intent that was read whole in this one. */
  through: string;
}

export class Scrub {
  readonly #options: ScrubOptions;
  readonly #doneAt = new Map<string, number | null>();
  readonly #ending = new AbortController();
  readonly #running = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ScrubOptions) {
    this.#options = options;
  }

  start(): void {
    const look = () => {
      for (const disk of this.#options.disks.usable()) void this.#begin(disk);
      this.#timer = setTimeout(look, againMs).unref();
    };
    this.#timer = setTimeout(look, 1000).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#ending.abort();
  }

  doneAt(disk: string): number | null {
    return this.#doneAt.get(disk) ?? null;
  }

  /** Once through the disk, or on from where the last process stopped. Also for tests: resolves at its end. */
  async once(disk: string): Promise<void> {
    const path = await this.#options.disks.require(disk, { toWrite: false });
    const note = await readNote(path);
    const last = note ?? { beganAt: Date.now(), doneAt: null, through: '' };
    for (const intent of (await namesIn(join(path, objectIntentsDirectory))).sort()) {
      if (this.#ending.signal.aborted) return;
      if (intent <= last.through || parseId(intent) !== intent) continue;
      await this.#readIntent(disk, join(path, objectIntentsDirectory, intent), intent as ObjectIntentId);
      await keepNote(path, { ...last, through: intent });
    }
    const doneAt = Date.now();
    this.#doneAt.set(disk, last.beganAt);
    await keepNote(path, { beganAt: last.beganAt, doneAt, through: '' });
  }

  async #begin(disk: string): Promise<void> {
    if (this.#running.has(disk)) return;
    this.#running.add(disk);
    try {
      const path = await this.#options.disks.require(disk, { toWrite: false });
      const note = await readNote(path);
      if (note?.doneAt != null && note.through === '') {
        this.#doneAt.set(disk, note.beganAt);
        if (Date.now() < note.beganAt + (this.#options.everyMs ?? 7 * 86_400_000)) return;
        await keepNote(path, { beganAt: Date.now(), doneAt: note.doneAt, through: '' });
      }
      await this.once(disk);
    } catch (err) {
      if (!this.#ending.signal.aborted)
        this.#options.log.warn({ err, disk }, 'an object disk could not be read through');
    } finally {
      this.#running.delete(disk);
    }
  }

  async #readIntent(disk: string, directory: string, intent: ObjectIntentId): Promise<void> {
    for (const file of (await namesIn(directory)).sort()) {
      const path = join(directory, file);
      if (!isBlobFile.test(file) || (await this.#options.isOpen(path))) continue;
      for await (const { offset, length } of this.#damages(path, intent, file)) {
        // It may have been removed, or its disk may have gone, while it was read.
        await this.#options.disks.require(disk, { toWrite: false });
        this.#options.found(disk, { intent, file, kind: 'corrupt', offset, length });
      }
      if (this.#ending.signal.aborted) return;
    }
  }

  async *#damages(path: string, intent: ObjectIntentId, file: string): AsyncGenerator<Damage> {
    const handle = await openPast(path);
    if (!handle) return;
    try {
      const read = this.#reader(handle);
      const sizeBytes = (await handle.stat()).size;
      if (file.endsWith('.pack')) yield* scrubPack(read, sizeBytes, intent);
      else yield* scrubFile(read, sizeBytes, { blob: file, intent });
    } finally {
      await handle.close();
    }
  }

  /** Reads whole pages, and no faster than it may. */
  #reader(handle: FileHandle): (offset: number) => Promise<Buffer | undefined> {
    const { bytesPerSecond = 8 * 2 ** 20 } = this.#options;
    return async (offset) => {
      const { signal } = this.#ending;
      signal.throwIfAborted();
      const began = performance.now();
      const bytes = await readPages(handle, offset);
      const restMs = ((bytes?.length ?? pieceBytes) / bytesPerSecond) * 1000 - (performance.now() - began);
      if (restMs > 1) await pause(restMs, undefined, { signal, ref: false });
      return bytes;
    };
  }
}

/** Undefined where the disk can't give them back. */
async function readPages(handle: FileHandle, offset: number): Promise<Buffer | undefined> {
  // Of several disks that are read at once each has its own.
  const memory = pages.pop() ?? pageMemory();
  try {
    const { bytesRead } = await handle.read(memory, 0, pieceBytes, offset);
    return Buffer.from(memory.subarray(0, bytesRead));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EIO' || code === 'EUCLEAN') return undefined;
    throw error;
  } finally {
    pages.push(memory);
  }
}

declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** On page boundaries, as reads past the page cache want it; what was read is copied out. */
const pageMemory = (): Uint8Array =>
  new Uint8Array(new WebAssembly.Memory({ initial: pieceBytes / 65_536, maximum: pieceBytes / 65_536 }).buffer);
/** That nobody reads into now. */
const pages: Uint8Array[] = [];

/** Past the page cache, where the file system can: what is in memory says nothing about the disk. Undefined: it has gone. */
async function openPast(path: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return await open(path, flags | constants.O_DIRECT);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code !== 'EINVAL') throw error;
    return open(path, flags);
  }
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    const bytes = await readIfThere(join(path, scrubNoteName));
    const { beganAt, doneAt, through } = JSON.parse(bytes!.toString('utf8')) as Note;
    return typeof through === 'string' && typeof beganAt === 'number'
      ? { beganAt, doneAt: doneAt ?? null, through }
      : undefined;
  } catch {
    return undefined;
  }
}

/** A disk that takes no writes is read all the same. */
const keepNote = (path: string, note: Note): Promise<void> =>
  writeWhole(join(path, scrubNoteName), JSON.stringify(note)).catch(() => {});
