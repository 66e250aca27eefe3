/**
 * Digests of images that are in their place without them: what was made of a disk is whole and durable long before its bytes are read
 * again. One image at a time, by threads of the lowest priority and through a few megabytes of memory.
 *
 * Owns nothing on disk: facts without digests say what is left to do. If the process dies the next one begins that image anew.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import type { ImageId } from '../../contract/ids.ts';
import { readPiece } from '../files.ts';
import { HostFault } from '../host-error.ts';
import type { HostLogger } from '../logger.ts';
import type { DigestSets, Digests } from './digests.ts';
import { intakeDigestSets } from './intake.ts';
import type { ImageFacts, ImageStore } from './store.ts';

/** To wake threads for less would take longer. */
const smallBytes = 2 ** 20;

export interface LaterDigestsOptions {
  store: ImageStore;
  /** The digests of an image are known now. */
  found(): void;
  log: HostLogger;
}

export class LaterDigests {
  readonly #options: LaterDigestsOptions;
  readonly #sets = intakeDigestSets({ priority: constants.priority.PRIORITY_LOW });
  readonly #waiting = new Set<ImageId>();
  /** Facts that their file contradicts. */
  readonly #damaged = new WeakSet<ImageFacts>();
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(options: LaterDigestsOptions) {
    this.#options = options;
  }

  /** Goes on where an earlier process ended. */
  start(): void {
    const { store } = this.#options;
    for (const id of store.ids()) if (store.facts(id)!.sha256 === null) this.find(id);
  }

  /**
   * Undefined where they are not known: then they will be.
   * @throws HostFault where the image is not here, or its file is not what it was
   */
  find(id: ImageId): Digests | undefined {
    const facts = this.#options.store.facts(id);
    if (!facts) throw new HostFault('not_found', `image ${id} is not on this host`);
    if (this.#damaged.has(facts)) {
      throw new HostFault('image_damaged', `the bytes of image ${id} do not match its checksum`, { permanent: true });
    }
    const known = digestsAmong(facts);
    if (known || this.#closed) return known;
    this.#waiting.add(id);
    this.#begin();
    return undefined;
  }

  /** Breaks off what is being read. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    await this.#working;
    this.#sets.close();
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      // One that was asked for between the loop's last look and here.
      if (this.#waiting.size > 0 && !this.#closed) this.#begin();
    });
  }

  async #work(): Promise<void> {
    const { log } = this.#options;
    for (const id of this.#waiting) {
      await this.#one(id).catch((err) => log.warn({ err, imageId: id }, 'the digests of an image were not found'));
      this.#waiting.delete(id);
    }
  }

  async #one(id: ImageId): Promise<void> {
    const { store, found, log } = this.#options;
    for (let facts = store.facts(id); facts && !this.#closed && !digestsAmong(facts); facts = store.facts(id)) {
      const digests = await this.#read(store.path(id), facts.sizeBytes, () => store.facts(id) !== facts);
      if (this.#closed || !digests) continue;
      if (facts.sha256 !== null && facts.sha256 !== digests.sha256) {
        this.#damaged.add(facts);
        log.error({ imageId: id }, 'the bytes of an image are not what they were');
        return;
      }
      if (await store.learn(id, facts, digests)) found();
    }
  }

  /** Undefined where it was broken off, for the image has gone or become another. */
  async #read(path: string, sizeBytes: number, over: () => boolean): Promise<Digests | undefined> {
    await using file = await open(path, 'r');
    if (sizeBytes <= smallBytes) return this.#sets.digest(await readPiece(file, 0, sizeBytes));
    return await digestFile(file, { sizeBytes, sets: this.#sets, over: () => this.#closed || over() });
  }
}

const digestsAmong = ({ md5, sha256, sha512 }: ImageFacts): Digests | undefined =>
  md5 !== null && sha256 !== null && sha512 != null ? { md5, sha256, sha512 } : undefined;

/** One half of the set's memory is filled while its threads read the other. */
async function digestFile(
  file: FileHandle,
  { sizeBytes, sets, over }: { sizeBytes: number; sets: DigestSets; over: () => boolean },
): Promise<Digests | undefined> {
  const set = sets.take();
  try {
    const half = set.memory.byteLength / 2;
    let digested = Promise.resolve();
    for (let at = 0, offset = 0; at < sizeBytes; offset = half - offset) {
      if (over()) {
        set.close();
        return undefined;
      }
      const { bytesRead } = await file.read(new Uint8Array(set.memory, offset, half), 0, half, at);
      if (bytesRead === 0) throw new HostFault('invalid', 'the file became shorter while it was read');
      await digested;
      digested = set.add(offset, bytesRead);
      digested.catch(() => {}); // seen by whoever awaits it next
      at += bytesRead;
    }
    await digested;
    const digests = await set.end();
    sets.giveBack(set);
    return digests;
  } catch (error) {
    set.close();
    throw error;
  }
}
