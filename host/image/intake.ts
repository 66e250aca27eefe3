/**
 * Bytes on their way into a file: through a few slots of shared memory that the disk and the digest threads read at the same
 * time. The file is written past the page cache where its file system can: an upload of any size evicts nothing that
 * guests read, nothing is left to be written back while somebody waits for a commit, and a copy of all bytes is saved.
 *
 * Owns the slots and threads while the bytes come, and a handle for direct writes; the file itself is the caller's. Whoever
 * fails or gives up calls `abandon`.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type DigestOptions, type DigestSet, DigestSets, type Digests } from './digests.ts';

const slotBytes = 1024 * 1024;
const slotCount = 6;
/** Direct writes are a multiple of this: the largest block or page that a file system may ask for. */
const alignment = 65_536;

export const intakeDigestSets = (options: Pick<DigestOptions, 'priority'> = {}): DigestSets =>
  new DigestSets({ memoryBytes: slotBytes * slotCount, ...options });

export interface IntakeOptions {
  path: string;
  /** Open at `path`, and empty. */
  file: FileHandle;
  sets: DigestSets;
}

export class Intake {
  readonly #options: IntakeOptions;
  /** The first slot's worth, in ordinary memory: what is not larger needs neither threads nor direct writes. */
  #head: Buffer | undefined = Buffer.allocUnsafe(slotBytes);
  readonly #direct: FileHandle;
  #set: DigestSet | undefined;
  /** Offsets in the set's memory. */
  readonly #free = Array.from({ length: slotCount }, (_, index) => index * slotBytes);
  #slot: number | undefined;
  #filled = 0;
  #dispatched = 0;
  #underWay = 0;
  #failure: { cause: unknown } | undefined;
  #wake = () => {};

  static async begin(options: IntakeOptions): Promise<Intake> {
    return new Intake(options, await openDirectly(options.path));
  }

  private constructor(options: IntakeOptions, direct: FileHandle) {
    this.#options = options;
    this.#direct = direct;
  }

  /** What came was taken, but the disk or the threads failed. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Copies the chunk. Undefined where it is done at once, which is nearly always: a promise for each of thousands of
   * chunks would cost more than the copying.
   * @throws (also by its promise) what the disk or the threads said of earlier ones
   */
  add(chunk: Buffer): Promise<void> | undefined {
    if (!this.#head) return this.#put(chunk);
    if (this.#filled + chunk.length > slotBytes) return this.#outgrow(chunk);
    this.#filled += chunk.copy(this.#head, this.#filled);
    return undefined;
  }

  /** Resolves when the file has all bytes, and no more. */
  async finish(): Promise<Digests> {
    if (this.#head) return this.#finishSmall(this.#head.subarray(0, this.#filled));
    const sizeBytes = this.#dispatched + this.#filled;
    if (this.#filled > 0) this.#dispatch();
    const digests = this.#set!.end();
    digests.catch(() => {}); // as the failure of a slot, if no sooner
    while (this.#underWay > 0) await this.#woken();
    // A slot may have failed before this was called, with none under way since.
    if (this.#failure) throw this.#failure.cause;
    await this.#direct.truncate(sizeBytes);
    const result = await digests;
    this.#options.sets.giveBack(this.#set!);
    this.#set = undefined;
    await this.#direct.close();
    return result;
  }

  /** The threads may be at work in the memory, so both are given up. */
  async abandon(): Promise<void> {
    this.#failure ??= { cause: new Error('the intake was abandoned') };
    this.#set?.close();
    this.#set = undefined;
    await this.#direct.close();
  }

  async #finishSmall(bytes: Buffer): Promise<Digests> {
    await this.#options.file.write(bytes, 0, bytes.length, 0);
    await this.#direct.close();
    return this.#options.sets.digest(bytes);
  }

  #outgrow(chunk: Buffer): Promise<void> | undefined {
    const head = this.#head!.subarray(0, this.#filled);
    this.#head = undefined;
    this.#filled = 0;
    this.#set = this.#options.sets.take();
    this.#put(head);
    return this.#put(chunk);
  }

  #put(chunk: Buffer): Promise<void> | undefined {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#failure) throw this.#failure.cause;
      this.#slot ??= this.#free.pop();
      if (this.#slot === undefined) return this.#woken().then(() => this.#put(rest));
      const part = rest.subarray(0, slotBytes - this.#filled);
      new Uint8Array(this.#set!.memory, this.#slot + this.#filled).set(part);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled === slotBytes) this.#dispatch();
    }
    return undefined;
  }

  /** Hands the slot to the disk and the threads; it is free again when all have done with it. */
  #dispatch(): void {
    const offset = this.#slot!;
    const bytes = this.#filled;
    const position = this.#dispatched;
    this.#slot = undefined;
    this.#filled = 0;
    this.#dispatched += bytes;
    this.#underWay++;
    Promise.all([this.#write(offset, bytes, position), this.#set!.add(offset, bytes)])
      .then(
        () => this.#free.push(offset),
        (cause) => {
          this.#failure ??= { cause };
        },
      )
      .finally(() => {
        this.#underWay--;
        this.#wake();
      });
  }

  async #write(offset: number, bytes: number, position: number): Promise<void> {
    // What stands behind the last bytes goes along; `finish` cuts it off.
    const whole = Math.ceil(bytes / alignment) * alignment;
    const memory = new Uint8Array(this.#set!.memory, offset, whole);
    const { bytesWritten } = await this.#direct.write(memory, 0, whole, position);
    if (bytesWritten < whole) throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' });
  }

  async #woken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#failure) throw this.#failure.cause;
  }
}

/** Past the page cache, where the file system can. */
async function openDirectly(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_DIRECT } = constants;
  try {
    return await open(path, O_WRONLY | O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return open(path, O_WRONLY);
  }
}
