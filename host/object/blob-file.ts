/**
 * A large blob on its way into a file of its own: past the page cache where its file system can (what is stored evicts nothing that guests read, and
 * nothing is left to be written back at the end), while threads compute its checksums. Its footer is written last and the whole is on the disk before
 * anybody is told. Whatever goes wrong, the file is removed; of one that this process dies in there is no valid footer, and no row.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { BlobDigestName, StoredBlob } from '../../contract/host/index.ts';
import { blockBytes, footerOf } from '../../protocols/blobs/index.ts';
import { freeBuffer } from '../../protocols/bytes/index.ts';
import { isNoEntry } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { type Lanes, type StreamSums, slotBytes } from './lanes.ts';

export interface BlobFileOptions {
  path: string;
  blob: string;
  intent: string;
  lanes: Lanes;
  digests: readonly BlobDigestName[];
  maxBytes: number;
  /** When the sender said so; a body of any other length is refused. */
  sizeBytes?: number | undefined;
  durable: boolean;
  /** Its name in the directory; begun when the file is there. */
  named(): Promise<void>;
  step?: ((name: string) => void) | undefined;
}

/** Direct writes are a multiple of this; what stands behind the footer is of no meaning. */
const alignment = 4096;
/** Of one stream. */
const slotsAtOnce = 4;

/** @throws HostFault; what the disk said */
export async function writeBlobFile(
  source: AsyncIterable<Buffer>,
  options: BlobFileOptions,
): Promise<Omit<StoredBlob, 'file'>> {
  if ((options.sizeBytes ?? 0) > options.maxBytes) throw tooLarge(options.maxBytes);
  const file = await create(options.path);
  const named = options.named();
  named.catch(() => {}); // awaited below, if it comes to that
  const writer = new Writer(file, options);
  try {
    const sizeBytes = await takeIn(source, writer, options);
    options.step?.('blob taken in');
    const digests = await writer.finish(sizeBytes);
    options.step?.('blob written');
    if (options.durable) await file.datasync();
    options.step?.('blob synced');
    await named;
    options.step?.('blob named');
    await file.close();
    return { sizeBytes, digests };
  } catch (error) {
    await writer.abandon();
    await unlink(options.path).catch(() => {});
    await file.close().catch(() => {});
    throw error;
  }
}

async function takeIn(source: AsyncIterable<Buffer>, writer: Writer, options: BlobFileOptions): Promise<number> {
  const { maxBytes, sizeBytes } = options;
  let size = 0;
  try {
    for await (const chunk of source) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      const wait = writer.add(chunk);
      if (wait) await wait;
    }
  } catch (cause) {
    if (writer.failed || cause instanceof HostFault) throw cause;
    throw new HostFault('invalid', 'the blob was cut off before its end', { cause });
  }
  if (sizeBytes !== undefined && size !== sizeBytes)
    throw new HostFault('invalid', `the blob ended after ${size} of ${sizeBytes} bytes`);
  return size;
}

class Writer {
  readonly #file: FileHandle;
  readonly #options: BlobFileOptions;
  readonly #sums: StreamSums;
  readonly #gathered: Buffer[] = [];
  /** Of the first, what went already. */
  #gone = 0;
  /** Gathered. */
  #bytes = 0;
  /** Of the file, handed to the disk. */
  #position = 0;
  readonly #crcs: number[][] = [];
  readonly #underWay = new Set<Promise<void>>();
  #failure: { cause: unknown } | undefined;
  #over = false;

  constructor(file: FileHandle, options: BlobFileOptions) {
    this.#file = file;
    this.#options = options;
    this.#sums = options.lanes.begin(options.digests, options.sizeBytes);
  }

  /** What came was taken, but the disk or the threads failed. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** The chunk is given away. Undefined where it is done at once. @throws (also by its promise) what the disk said of earlier ones */
  add(chunk: Buffer): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.cause;
    this.#gathered.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes >= this.#options.lanes.gatherBytes ? this.#dispatch() : undefined;
  }

  async finish(sizeBytes: number): Promise<StoredBlob['digests']> {
    const { lanes, blob, intent } = this.#options;
    while (this.#bytes >= slotBytes) await this.#dispatch();
    const slot = await lanes.takeSlot();
    try {
      const bytes = this.#fill(slot, slotBytes);
      const last = bytes > 0 ? await this.#sums.add(slot, bytes) : [];
      await this.#idle();
      const table = tableOf([...this.#crcs.flat(), ...last]);
      const tail = Buffer.concat([table, footerOf({ blob, intent, length: sizeBytes }, table)]);
      await this.#writeTail(slot, bytes, tail);
    } finally {
      lanes.giveBack(slot);
    }
    const digests = await this.#sums.end();
    this.#over = true;
    return digests;
  }

  /** The disk and the threads may be at work in its slots; it waits for them. */
  async abandon(): Promise<void> {
    this.#failure ??= { cause: new Error('the blob was given up') };
    await Promise.allSettled(this.#underWay);
    if (!this.#over) this.#sums.drop();
    this.#over = true;
  }

  async #idle(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.cause;
  }

  /** A slot's worth to the disk and the threads, which give it back. */
  async #dispatch(): Promise<void> {
    const { lanes } = this.#options;
    while (this.#underWay.size >= slotsAtOnce) await Promise.race(this.#underWay);
    if (this.#failure) throw this.#failure.cause;
    const slot = await lanes.takeSlot();
    // Only the last piece may end within a block.
    const whole = Math.floor(this.#bytes / blockBytes) * blockBytes;
    const bytes = this.#fill(slot, Math.min(slotBytes, whole));
    const position = this.#position;
    this.#position += bytes;
    const index = this.#crcs.push([]) - 1;
    const summed = this.#sums.add(slot, bytes).then((crcs) => {
      this.#crcs[index] = crcs;
    });
    const work = Promise.allSettled([this.#write(slot, bytes, position), summed]).then((results) => {
      lanes.giveBack(slot);
      this.#underWay.delete(work);
      for (const result of results) if (result.status === 'rejected') this.#failure ??= { cause: result.reason };
    });
    this.#underWay.add(work);
  }

  /** As much of what was gathered as fits. */
  #fill(slot: number, most: number): number {
    const into = new Uint8Array(this.#options.lanes.memory, slot, most);
    let filled = 0;
    for (let chunk = this.#gathered[0]; chunk && filled < most; chunk = this.#gathered[0]) {
      const part = chunk.subarray(this.#gone, this.#gone + most - filled);
      into.set(part, filled);
      filled += part.length;
      this.#gone += part.length;
      if (this.#gone < chunk.length) break;
      this.#gathered.shift();
      this.#gone = 0;
      freeBuffer(chunk);
    }
    this.#bytes -= filled;
    return filled;
  }

  /** What is left of the data, in the slot, and the tail behind it, in as many writes as it takes. */
  async #writeTail(slot: number, bytes: number, tail: Buffer): Promise<void> {
    const memory = new Uint8Array(this.#options.lanes.memory, slot, slotBytes);
    let filled = bytes;
    for (let rest = tail; rest.length > 0; ) {
      const part = rest.subarray(0, slotBytes - filled);
      memory.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
      if (rest.length > 0 && filled < slotBytes) continue;
      await this.#write(slot, filled, this.#position);
      this.#position += filled;
      filled = 0;
    }
  }

  async #write(slot: number, bytes: number, position: number): Promise<void> {
    const whole = Math.ceil(bytes / alignment) * alignment;
    const memory = new Uint8Array(this.#options.lanes.memory, slot, whole);
    // Whatever stands there is another stream's.
    memory.fill(0, bytes);
    const { bytesWritten } = await this.#file.write(memory, 0, whole, position);
    if (bytesWritten < whole) throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' });
  }
}

function tableOf(crcs: readonly number[]): Buffer {
  const table = Buffer.allocUnsafe(crcs.length * 4);
  for (const [index, crc] of crcs.entries()) table.writeUInt32BE(crc, index * 4);
  return table;
}

/** Past the page cache, where the file system can. @throws HostFault where there is a blob of that name */
async function create(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_DIRECT } = constants;
  try {
    return await open(path, O_WRONLY | O_CREAT | O_EXCL | O_DIRECT, 0o640);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It has been made all the same.
    if (code === 'EINVAL') return open(path, O_WRONLY | O_CREAT, 0o640);
    if (code === 'EEXIST') throw new HostFault('conflict', 'there is such a blob already', { permanent: true });
    if (isNoEntry(error)) throw new HostFault('unavailable', 'the directory of the intent is gone', { cause: error });
    throw error;
  }
}

const tooLarge = (maxBytes: number) =>
  new HostFault('too_large', `the blob has more than ${maxBytes} bytes`, { permanent: true });

/** For who reads the file: all but the last piece are whole blocks. */
if (slotBytes % blockBytes !== 0) throw new Error('a slot is not made of whole blocks');
