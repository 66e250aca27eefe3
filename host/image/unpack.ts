/**
 * Images of formats that guests do not read themselves, made into raw disks: once an image, however many servers wait for it.
 * Owns the file while it is written; it is in its place whole, or not there. What a guest reads was the work of a walled-in
 * qemu-img, so QEMU never opens any format but raw and qcow2.
 */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { ImageId } from '../../contract/ids.ts';
import { abortable } from '../abortable.ts';
import { HostFault } from '../host-error.ts';
import { inspectImage } from './format.ts';
import { bytesOfFile } from './formats/bytes.ts';
import type { ImageConverter } from './inspect.ts';
import { ImageRefused } from './qcow2.ts';
import type { ImageFacts, ImageStore } from './store.ts';

export interface UnpackOptions {
  store: ImageStore;
  convert: ImageConverter;
  maxVirtualBytes: number;
}

interface Work {
  done: Promise<void>;
  waiters: number;
  stop: AbortController;
}

export class ImageUnpacker {
  readonly #options: UnpackOptions;
  readonly #work = new Map<ImageId, Work>();

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  isAtWork(id: ImageId): boolean {
    return this.#work.has(id);
  }

  /** Until guests can read the image. @throws HostFault; the signal's reason where the caller no longer waits */
  async ensure(id: ImageId, facts: ImageFacts, signal: AbortSignal): Promise<void> {
    if (facts.virtualSizeBytes === null) {
      throw new HostFault('image_refused', `the image is no ${facts.format}`, { permanent: true });
    }
    if (this.#options.store.base(id)) return;
    let work = this.#work.get(id);
    if (!work) {
      const stop = new AbortController();
      const done = this.#unpack(id, facts, stop.signal).finally(() => this.#work.delete(id));
      done.catch(() => {});
      work = { done, waiters: 0, stop };
      this.#work.set(id, work);
    }
    work.waiters++;
    try {
      await abortable(work.done, signal);
    } finally {
      if (--work.waiters === 0) work.stop.abort();
    }
  }

  async #unpack(id: ImageId, facts: ImageFacts, signal: AbortSignal): Promise<void> {
    const { store, convert } = this.#options;
    const to = await store.incoming(`unpack-${randomUUID()}`);
    try {
      await (await open(to, 'wx', 0o600)).close();
      await convert({ path: store.path(id), ...(await this.#inspect(store.path(id), facts)) }, to, signal);
      await store.share(to);
      await store.adoptUnpacked(id, to);
    } finally {
      await rm(to, { force: true });
      store.letGo(to);
    }
  }

  /** Again, for where the disk lies in the file is not kept: and what was checked is what is opened. */
  async #inspect(path: string, { format, sizeBytes }: ImageFacts) {
    const file = await open(path, 'r');
    try {
      const { disk, virtualSizeBytes } = await inspectImage(format, bytesOfFile(file, sizeBytes), this.#options);
      if (!disk || virtualSizeBytes === null) throw new ImageRefused(`the image is no ${format}`);
      return { disk, virtualSizeBytes };
    } catch (error) {
      if (error instanceof ImageRefused) throw new HostFault('image_refused', error.message, { permanent: true });
      throw error;
    } finally {
      await file.close();
    }
  }
}
