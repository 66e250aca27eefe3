/**
 * The images on this host: those that were uploaded to it and copies of others'. Owns <data>/images. A file at its final
 * name is whole and was inspected; its facts lie beside it and are written after it, so a file without facts is left from
 * a crash and counts as absent. Files are never changed, only replaced or removed: guests read them.
 *
 * A stored image is synced to the disk after the answer. Until then a power failure may tear it; facts remember the boot
 * in which they were written, and a later boot verifies the checksum before the first use.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, chown, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import type { HostLogger } from '../logger.ts';
import { imagePaths } from '../paths.ts';

export interface ImageFacts {
  format: 'raw' | 'qcow2';
  sizeBytes: number;
  virtualSizeBytes: number;
  sha256: string;
  /** Null for a copy: nobody asks for it. */
  md5: string | null;
  origin: 'uploaded' | 'copied';
  /** The boot in which the file was written, until it is known to be on the disk. */
  unsyncedBoot: string | null;
}

export interface ImageStoreOptions {
  dataDirectory: string;
  bootId: string;
  /** Group that QEMU reads images as; undefined: the process's own. */
  guestGid: number | undefined;
  log: HostLogger;
}

export class ImageStore {
  readonly paths: ReturnType<typeof imagePaths>;
  readonly #options: ImageStoreOptions;
  readonly #facts = new Map<ImageId, ImageFacts>();
  readonly #syncing = new Set<Promise<void>>();

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.paths = imagePaths(options.dataDirectory);
  }

  async open(): Promise<void> {
    for (const path of [this.paths.images, this.paths.incoming]) {
      await mkdir(path, { recursive: true, mode: 0o750 });
      if (this.#options.guestGid !== undefined) await chown(path, 0, this.#options.guestGid);
    }
    for (const name of await readdir(this.paths.incoming)) {
      if (name.startsWith('upload-')) await rm(join(this.paths.incoming, name), { force: true });
    }
    for (const name of await readdir(this.paths.images)) {
      const id = name.endsWith('.json') ? parseId<ImageId>(name.slice(0, -5)) : undefined;
      if (id) await this.#load(id);
    }
  }

  /** Waits until what was stored is on the disk. */
  async close(): Promise<void> {
    await Promise.all(this.#syncing);
  }

  facts(id: ImageId): ImageFacts | undefined {
    return this.#facts.get(id);
  }

  ids(): ImageId[] {
    return [...this.#facts.keys()];
  }

  path(id: ImageId): string {
    return this.paths.file(id);
  }

  /** Makes the file readable to guests, before it is inspected. */
  async share(path: string): Promise<void> {
    if (this.#options.guestGid !== undefined) await chown(path, 0, this.#options.guestGid);
    await chmod(path, 0o440);
  }

  /** Puts an inspected file in its place. */
  async adopt(id: ImageId, from: string, given: Omit<ImageFacts, 'unsyncedBoot'>): Promise<void> {
    const facts: ImageFacts = { ...given, unsyncedBoot: this.#options.bootId };
    await rename(from, this.paths.file(id));
    await writeWhole(this.paths.facts(id), JSON.stringify(facts));
    this.#facts.set(id, facts);
    const syncing = this.#sync(id, facts).catch((err) =>
      this.#options.log.warn({ err, imageId: id }, 'an image could not be synced to the disk'),
    );
    this.#syncing.add(syncing);
    void syncing.then(() => this.#syncing.delete(syncing));
  }

  async remove(id: ImageId): Promise<void> {
    this.#facts.delete(id);
    await rm(this.paths.facts(id), { force: true });
    await rm(this.paths.file(id), { force: true });
  }

  async lastUsedMs(id: ImageId): Promise<number> {
    return (await stat(this.paths.facts(id))).mtimeMs;
  }

  /**
   * The facts of an image that is fit for use. After a power failure the file is read once; what does not match is gone.
   */
  async usable(id: ImageId): Promise<ImageFacts | undefined> {
    const facts = this.#facts.get(id);
    if (!facts || facts.unsyncedBoot === null || facts.unsyncedBoot === this.#options.bootId) return facts;
    if ((await sha256Of(this.paths.file(id))) !== facts.sha256) {
      this.#options.log.error({ imageId: id }, 'a stored image was torn by a power failure; removed');
      await this.remove(id);
      return undefined;
    }
    await this.#sync(id, facts);
    return this.#facts.get(id);
  }

  async #load(id: ImageId): Promise<void> {
    const bytes = await readIfThere(this.paths.facts(id));
    const file = await stat(this.paths.file(id)).catch(() => undefined);
    try {
      const facts = JSON.parse(String(bytes)) as ImageFacts;
      if (file?.size === facts.sizeBytes) this.#facts.set(id, facts);
    } catch {}
    if (!this.#facts.has(id)) {
      this.#options.log.warn({ imageId: id }, 'an image without usable facts was removed');
      await this.remove(id);
    }
  }

  async #sync(id: ImageId, facts: ImageFacts): Promise<void> {
    const file = await open(this.paths.file(id), 'r');
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
    if (this.#facts.get(id) !== facts) return;
    const synced = { ...facts, unsyncedBoot: null };
    this.#facts.set(id, synced);
    await writeWhole(this.paths.facts(id), JSON.stringify(synced), { durable: true });
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
