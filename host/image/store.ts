/**
 * The images on this host: those that were uploaded to it and copies of others'. Owns <data>/images. A file at its final
 * name is whole and was inspected; its facts lie beside it and are written after it, so a file without facts is left from
 * a crash (or has lost them) and counts as absent. Files are never changed, only replaced or removed: guests read them, each those that its
 * disks build on (../opened.ts). What was adopted survives a power failure.
 */
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFormat } from '../../contract/host/index.ts';
import type { ImageId, ServerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { readIfThere, syncFile, writeWhole } from '../files.ts';
import type { GuestUser } from '../guest/users.ts';
import type { HostLogger } from '../logger.ts';
import { letGo, makeStore, openedAs } from '../opened.ts';
import { imageFilesName, imagePaths } from '../paths.ts';
import { Deletions } from './deletions.ts';
import type { Digests } from './digests.ts';

export interface ImageFacts {
  format: ImageFormat;
  sizeBytes: number;
  /** Null where the file is none of the formats: it is kept, and is no disk. */
  virtualSizeBytes: number | null;
  /** Null: not known yet, see later-digests.ts. */
  sha256: string | null;
  /** Null, or absent, where nobody has asked for them: of copies, and of what was taken in by an older process. */
  md5: string | null;
  sha512?: string | null;
  origin: 'uploaded' | 'copied';
  /** It was made of an encrypted volume, and no guest's disk builds on it: its content is copied into layers. Absent: it is in the clear. */
  encrypted?: boolean;
}

/** What a guest's disk builds on. */
export interface BaseFile {
  path: string;
  format: 'raw' | 'qcow2';
}

export interface ImageStoreOptions {
  dataDirectory: string;
  /** False in tests: nothing is lost but time. */
  durable: boolean;
  /** Group that QEMU reads images as; undefined: the process's own. */
  guestGid: number | undefined;
  /** Group of a control on this machine, which reads them by their names; absent: there is none. */
  controlGid?: number | undefined;
  log: HostLogger;
}

export class ImageStore {
  readonly paths: ReturnType<typeof imagePaths>;
  readonly deletions = new Deletions();
  readonly #options: ImageStoreOptions;
  readonly #facts = new Map<ImageId, ImageFacts>();
  /** Paths that an upload or a fetch of this process works on. */
  readonly #held = new Set<string>();
  #changing: Promise<unknown> = Promise.resolve();

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.paths = imagePaths(options.dataDirectory);
  }

  async open(): Promise<void> {
    await this.#makeDirectories();
    for (const name of await readdir(this.paths.incoming)) {
      if (isTemporary(name)) await rm(join(this.paths.incoming, name), { force: true });
    }
    await this.#bringIn();
    const names = await readdir(this.paths.files);
    for (const name of names) {
      const id = name.endsWith('.json') ? parseId<ImageId>(name.slice(0, -5)) : undefined;
      if (id) await this.#load(id);
    }
    for (const name of names) {
      const id = name.endsWith('.raw') ? parseId<ImageId>(name.slice(0, -4)) : undefined;
      // `remove` ended in its middle.
      if (id && !existsSync(this.paths.file(id))) await rm(this.paths.unpacked(id), { force: true });
    }
  }

  /**
   * A path for what comes in, the caller's until `letGo`. Its directory may have been removed, or a new disk mounted above it,
   * since the start.
   */
  async incoming(name: string): Promise<string> {
    const path = join(this.paths.incoming, name);
    this.#held.add(path);
    if (!existsSync(this.paths.incoming)) await this.#makeDirectories();
    return path;
  }

  /** The caller needs the path no more; what is left there may be swept. */
  letGo(path: string): void {
    this.#held.delete(path);
  }

  /**
   * Removes what uploads and fetches left behind: all that nobody works on, but the beginning of an image that is still
   * wanted, with which the next fetch goes on. Answers the names.
   */
  async sweepIncoming(wanted: (id: ImageId) => boolean): Promise<string[]> {
    const swept: string[] = [];
    for (const name of await readdir(this.paths.incoming)) {
      const path = join(this.paths.incoming, name);
      const part = name.endsWith('.part') ? parseId<ImageId>(name.slice(0, -5)) : undefined;
      if (this.#held.has(path) || (part === undefined && !isTemporary(name))) continue;
      if (part !== undefined && !this.#facts.has(part) && wanted(part)) continue;
      await rm(path, { force: true });
      swept.push(name);
    }
    return swept;
  }

  async #makeDirectories(): Promise<void> {
    const { guestGid, controlGid: readerGid } = this.#options;
    await mkdir(this.paths.images, { recursive: true, mode: 0o710 });
    await makeStore(this.paths.images, { kept: imageFilesName, guestGid, readerGid });
    await mkdir(this.paths.incoming, { recursive: true, mode: 0o700 });
    await chmod(this.paths.incoming, 0o700);
  }

  /** An older Bothy kept the files where any guest came that knew their names. Those that run have them open and go on. */
  async #bringIn(): Promise<void> {
    const { images, files } = this.paths;
    for (const name of await readdir(images)) {
      if (parseId(name.replace(/\.(json|raw)$/, ''))) await rename(join(images, name), join(files, name));
    }
  }

  /** Where the guest of the server opens what its disks build on. */
  async openFor(serverId: ServerId, { path }: BaseFile, user: GuestUser | undefined): Promise<string> {
    return user && this.#options.guestGid !== undefined ? openedAs(path, serverOpens(serverId), user.gid) : path;
  }

  /** No guest of the server runs. */
  async closeFor(serverId: ServerId): Promise<void> {
    await letGo(this.paths.images, serverOpens(serverId));
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

  /**
   * What guests read: the file itself, or the raw disk that was made of it. Undefined where the image is not here, is no disk, or
   * has not been unpacked (see unpack.ts).
   */
  base(id: ImageId): BaseFile | undefined {
    const facts = this.#facts.get(id);
    if (!facts || facts.virtualSizeBytes === null) return undefined;
    const { format } = facts;
    if (format === 'raw' || format === 'qcow2') return { path: this.paths.file(id), format };
    if (format === 'iso') return { path: this.paths.file(id), format: 'raw' };
    const path = this.paths.unpacked(id);
    return existsSync(path) ? { path, format: 'raw' } : undefined;
  }

  /** Puts the raw disk that was made of an image in its place. */
  async adoptUnpacked(id: ImageId, from: string): Promise<void> {
    if (this.#options.durable) await syncFile(from);
    await rename(from, this.paths.unpacked(id));
  }

  /** Makes the file readable to guests, before it is inspected. */
  async share(path: string): Promise<void> {
    if (this.#options.guestGid !== undefined) await chown(path, 0, this.#options.guestGid);
    await chmod(path, 0o440);
  }

  /** Puts an inspected file in its place. */
  async adopt(id: ImageId, from: string, facts: ImageFacts): Promise<void> {
    if (this.#options.durable) await syncFile(from);
    await this.#inTurn(async () => {
      await rename(from, this.paths.file(id));
      // Of other bytes, if there is one: guests may read the disk that was made of these.
      const same = facts.sha256 !== null && this.#facts.get(id)?.sha256 === facts.sha256;
      if (!same) await rm(this.paths.unpacked(id), { force: true });
      await this.#write(id, facts);
    });
  }

  async remove(id: ImageId): Promise<void> {
    this.#facts.delete(id);
    await this.#inTurn(async () => {
      this.#facts.delete(id);
      await rm(this.paths.facts(id), { force: true });
      await rm(this.paths.file(id), { force: true });
      await rm(this.paths.unpacked(id), { force: true });
    });
  }

  /** Control wants it no more, and guests still read it: from now on it is a copy, which goes when nobody needs it. */
  async release(id: ImageId): Promise<void> {
    await this.#inTurn(async () => {
      const facts = this.#facts.get(id);
      if (facts && facts.origin !== 'copied') await this.#write(id, { ...facts, origin: 'copied' });
    });
  }

  /** False where the image is not, or not as it was when its file was read. */
  async learn(id: ImageId, before: ImageFacts, digests: Digests): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#facts.get(id) !== before) return false;
      await this.#write(id, { ...before, ...digests });
      return true;
    });
  }

  async #write(id: ImageId, facts: ImageFacts): Promise<void> {
    await writeWhole(this.paths.facts(id), JSON.stringify(facts), { durable: this.#options.durable });
    this.#facts.set(id, facts);
  }

  /** Changes one after the other: each is of the facts that the one before has left. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(change);
    this.#changing = done.catch(() => {});
    return done;
  }

  async lastUsedMs(id: ImageId): Promise<number> {
    return (await stat(this.paths.facts(id))).mtimeMs;
  }

  async #load(id: ImageId): Promise<void> {
    const bytes = await readIfThere(this.paths.facts(id));
    const file = await stat(this.paths.file(id)).catch(() => undefined);
    try {
      const facts = JSON.parse(String(bytes)) as ImageFacts;
      if (file?.size === facts.sizeBytes) this.#facts.set(id, facts);
    } catch {}
    // The file stays: a guest's disk may build on it. It counts as absent, and the next fetch or upload takes its place.
    if (!this.#facts.has(id)) this.#options.log.error({ imageId: id }, 'an image has no usable facts and is not used');
  }
}

/** Beside those of volumes (../volume/volume-links.ts). */
const serverOpens = (serverId: ServerId): string => `server-${serverId}`;

/** Of an upload, or of an image that is being unpacked: worth nothing once this process is gone. */
const isTemporary = (name: string): boolean => name.startsWith('upload-') || name.startsWith('unpack-');
