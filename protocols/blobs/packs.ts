/**
 * Reading records out of packs: one read each, out of files that stay open for a while. Owns those open files; one that was removed is kept on the
 * disk no longer than `keepMs`.
 */
import { close, constants, open, read } from 'node:fs';
import { corrupt, unopened, unread } from './fault.ts';
import { isRecord, recordHeaderBytes } from './record.ts';

export interface RecordPlace {
  blob: string;
  intent: string;
  /** Of its header. */
  offset: number;
  length: number;
}

interface OpenPack {
  fd: number;
  users: number;
  openedAt: number;
  /** Closed by its last user. */
  dropped: boolean;
  closed: boolean;
}

const maxOpen = 128;
const keepMs = 20_000;

export class PackReader {
  readonly #open = new Map<string, OpenPack>();
  readonly #opening = new Map<string, Promise<OpenPack>>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** A record's data, verified. @throws BlobFault */
  async read(path: string, place: RecordPlace): Promise<Buffer> {
    let pack = this.#open.get(path);
    // One that was dropped before its turn came.
    while (!pack || pack.closed) pack = await this.#opened(path);
    pack.users++;
    try {
      return await readRecord(pack.fd, path, place);
    } finally {
      if (--pack.users === 0 && pack.dropped) closeQuietly(pack);
    }
  }

  /** It is about to be removed. */
  drop(path: string): void {
    const pack = this.#open.get(path);
    if (!pack) return;
    this.#open.delete(path);
    pack.dropped = true;
    if (pack.users === 0) closeQuietly(pack);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const path of this.#open.keys()) this.drop(path);
  }

  #opened(path: string): Promise<OpenPack> {
    const under = this.#opening.get(path);
    if (under) return under;
    const opening = openPack(path)
      .then((pack) => this.#keep(path, pack))
      .finally(() => this.#opening.delete(path));
    this.#opening.set(path, opening);
    return opening;
  }

  #keep(path: string, pack: OpenPack): OpenPack {
    if (this.#closed) pack.dropped = true;
    else {
      this.#open.set(path, pack);
      for (const oldest of this.#open.keys()) {
        if (this.#open.size <= maxOpen) break;
        this.drop(oldest);
      }
      this.#timer ??= setTimeout(() => this.#sweep(), keepMs / 4).unref();
    }
    return pack;
  }

  #sweep(): void {
    const now = performance.now();
    for (const [path, { openedAt }] of this.#open) if (now - openedAt > keepMs) this.drop(path);
    this.#timer = this.#open.size > 0 ? setTimeout(() => this.#sweep(), keepMs / 4).unref() : undefined;
  }
}

function openPack(path: string): Promise<OpenPack> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return new Promise((resolve, reject) =>
    open(path, flags, (error, fd) => {
      if (error) reject(unopened(path, error));
      else resolve({ fd, users: 0, openedAt: performance.now(), dropped: false, closed: false });
    }),
  );
}

function closeQuietly(pack: OpenPack): void {
  pack.closed = true;
  close(pack.fd, () => {});
}

function readRecord(fd: number, path: string, place: RecordPlace): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + place.length);
  return new Promise((resolve, reject) =>
    read(fd, bytes, 0, bytes.length, place.offset, (error, bytesRead) => {
      if (error) reject(unread(path, error));
      else if (bytesRead < bytes.length || !isRecord(bytes, place))
        reject(corrupt(path, `the record at ${place.offset} is not what was written`));
      else resolve(bytes.subarray(recordHeaderBytes));
    }),
  );
}
