/** Objects: what dialects may call. Rights are asked before bytes are taken and again in the transaction that makes them visible. */
import { type Readable, Transform } from 'node:stream';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError, hasReason } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import type { Bytes } from '../../protocols/bytes/index.ts';
import type { Database } from '../kit/database/database.ts';
import { mayAccess } from './access.ts';
import type { Blobs } from './blobs.ts';
import type { Bodies, Stored } from './bodies.ts';
import { type Commits, sequenceOf, versionName } from './commit.ts';
import { requireRead } from './conditions.ts';
import { admitted } from './containers.ts';
import { type Finder, type Found, type FoundContainer, KnownContainers, namedObjects } from './find.ts';
import { Leads, readLead } from './lead.ts';
import { isObjectName, isStorable, objectStoreLimits as limits } from './limits.ts';
import { checkContentType, checkMetadata } from './metadata.ts';
import { listNames } from './names.ts';
import {
  type Checksums,
  type Conditions,
  type LedObject,
  type Listed,
  type ListWish,
  type ObjectInfo,
  type ObjectSource,
  type ObjectWish,
  type OpenedObject,
  type OpenOptions,
  type PartInfo,
  type Right,
  type Visitor,
  visitOf,
  type Where,
} from './object.ts';
import { type NewObject, notThere, type UpdateChange } from './plan.ts';
import { requireRoom } from './room.ts';
import { run } from './statements.ts';
import { containerRow } from './store.ts';
import {
  deleteVersion,
  isMarker,
  listVersions,
  updateVersion,
  type VersionListWish,
  type VersionWish,
} from './versions.ts';

export interface PutResult {
  /** As if read now. */
  etag: string;
  sizeBytes: number;
  checksums: Checksums;
  versionId: string;
  /** The container keeps versions. */
  versioned: boolean;
  updatedAt: Date;
  replaced: boolean;
}

export interface ObjectServiceOptions {
  database: Database;
  blobs: Blobs;
  bodies: Bodies;
  finder: Finder;
  commits: Commits;
  log: Logger;
}

export class ObjectService {
  readonly #database: Database;
  readonly #bodies: Bodies;
  readonly #finder: Finder;
  readonly #commits: Commits;
  readonly #leads: Leads;
  readonly #known = new KnownContainers();

  constructor(options: ObjectServiceOptions) {
    this.#database = options.database;
    this.#bodies = options.bodies;
    this.#finder = options.finder;
    this.#commits = options.commits;
    this.#leads = new Leads(options);
  }

  /**
   * Takes a body and makes it the object of that name, whole or not at all.
   * @throws CloudError `unauthenticated`, `forbidden`, `not_found` (container), `invalid` (cut off, a checksum), `conflict` (a condition, a lock), `too_large`,
   *   `quota_exceeded`, `no_capacity`, `unavailable`
   */
  async put(visitor: Visitor, where: Where, name: string, source: ObjectSource, wish: ObjectWish): Promise<PutResult> {
    checkWish(name, wish);
    const container = await this.#container(visitor, where, 'write');
    const place = { projectId: where.projectId, containerId: container.id, name };
    await requireRoom(this.#database.query, place, source);
    return this.#put({ visitor, where, container, name, wish }, source);
  }

  async #put(putting: Putting, given: ObjectSource): Promise<PutResult> {
    const { where, wish } = putting;
    let source = given;
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#bodies.store(source, wish);
      try {
        return await this.#commitPut(putting, stored);
      } catch (error) {
        this.#bodies.discard(stored, error);
        // Its bytes may still be in memory; a stream is over.
        const other = hasReason(error, 'container_not_found');
        if (other) this.#known.forget(where);
        if (attempt === 1 && (other || hasReason(error, 'object_intent_closed')) && stored.again) {
          if (other) putting.container = await this.#container(putting.visitor, where, 'write');
          source = { bytes: stored.again(), sizeBytes: stored.sizeBytes };
          continue;
        }
        throw error;
      }
    }
  }

  async #commitPut({ visitor, where, container, name, wish }: Putting, stored: Stored): Promise<PutResult> {
    const object = newObject(visitor, stored, wish);
    const done = await this.#commits.ask({
      ...{ kind: 'put', visitor, name, object, blob: stored.blob, conditions: wish },
      ...{ containerId: container.id, projectId: where.projectId, container: where.container },
    });
    stored.blob?.hold.release();
    return {
      ...{ etag: object.etag, sizeBytes: stored.sizeBytes, checksums: stored.checksums ?? {} },
      ...{ versionId: done.versionId, versioned: done.versioned },
      ...{ updatedAt: done.at, replaced: done.replaced },
    };
  }

  /** @throws CloudError as {@link open} */
  async head(visitor: Visitor, where: Where, name: string, options: OpenOptions = {}): Promise<LedObject> {
    const { object, sizeBytes, etag, resolved } = await this.open(visitor, where, name, options);
    return { object, sizeBytes, etag, ...(resolved && { resolved }) };
  }

  /**
   * What a name leads to.
   * @throws CloudError `unauthenticated`, `forbidden`, `not_found`, `conflict` (a condition, not modified, a broken manifest)
   */
  async open(visitor: Visitor, where: Where, name: string, options: OpenOptions = {}): Promise<OpenedObject> {
    const lead = await this.#leads.follow(visitor, where, name, {
      ...options,
      find: (wish) => this.find(visitor, wish, wish.name, options.versionId),
    });
    const { object, sizeBytes, etag, resolved } = lead;
    const part = options.part === undefined ? undefined : await this.#leads.part(lead, options.part);
    if (options.conditions) requireRead(options.conditions, { etag, updatedAt: object.updatedAt });
    return {
      ...{ object, sizeBytes, etag, ...(resolved && { resolved }) },
      ...(part && { part }),
      read: (range) => readLead(lead, range ?? part),
    };
  }

  /** @throws CloudError as {@link open} */
  async find(
    visitor: Visitor,
    where: Where,
    name: string,
    versionId?: string,
  ): Promise<Found & { object: ObjectInfo; objectId: string }> {
    const wish = { projectId: where.projectId, container: where.container, name };
    if (!isObjectName(name)) throw notThere(wish);
    const found =
      versionId === undefined ? await this.#finder.current(wish) : await this.#version({ ...wish, versionId });
    if (!found) throw missing(visitor, where, 'read');
    admitted(visitor, where, found.container, 'read');
    const { object, objectId } = found;
    if (object?.deleteMarker) throw isMarker(name, object.versionId);
    if (object && objectId) return { ...found, object, objectId };
    if (versionId !== undefined)
      throw new CloudError('not_found', 'object_version_not_found', { name, version: versionId });
    throw (await this.#deleted(found.container, where, name)) ?? notThere(wish);
  }

  async #version({ versionId, ...wish }: { projectId: string; container: string; name: string; versionId: string }) {
    const sequence = versionId === 'null' ? null : sequenceOf(versionId);
    if (sequence === undefined) {
      throw new CloudError('not_found', 'object_version_not_found', { name: wish.name, version: versionId });
    }
    return this.#finder.version(wish, sequence);
  }

  /** Where the newest version is a delete marker, that is told. */
  async #deleted({ id, versioning }: FoundContainer, { container }: Where, name: string) {
    if (versioning === 'none') return undefined;
    const { rows } = await sql<{ sequence: number; delete_marker: boolean; null_version: boolean }>`
      select sequence, delete_marker, null_version from object where container_id = ${id} and name = ${name}
      order by sequence desc limit 1`.execute(this.#database.query);
    const [newest] = rows;
    if (!newest?.delete_marker) return undefined;
    const version = newest.null_version ? 'null' : versionName(newest.sequence);
    return new CloudError('not_found', 'object_deleted', { container, name, version });
  }

  /** What is given replaces what was; the bytes stay. Of a version by its name tags and locks. @throws CloudError as {@link put} */
  async update(
    visitor: Visitor,
    where: Where,
    name: string,
    set: UpdateChange['set'],
    options: VersionOptions = {},
  ): Promise<{ updatedAt: Date }> {
    if (set.metadata) checkMetadata(set.metadata);
    if (set.contentType !== undefined) checkContentType(set.contentType);
    const container = await this.#container(visitor, where, 'write');
    if (options.versionId !== undefined || set.lock !== undefined) {
      const versionId = options.versionId ?? (await this.find(visitor, where, name)).object.versionId;
      return updateVersion(this.#database, versionWish({ visitor, where, container, name, versionId, options }), set);
    }
    const done = await this.#commits.ask({
      ...{ kind: 'update', visitor, name, set, conditions: options },
      ...{ containerId: container.id, projectId: where.projectId, container: where.container },
    });
    return { updatedAt: done.at };
  }

  /** Where the container keeps versions a delete marker is what is left; a version by its name goes for good. @throws CloudError as {@link put} */
  async delete(
    visitor: Visitor,
    where: Where,
    name: string,
    options: VersionOptions = {},
  ): Promise<{ versionId: string; deleteMarker: boolean }> {
    const container = await this.#container(visitor, where, 'write');
    if (!isObjectName(name)) throw notThere({ container: where.container, name });
    const { versionId } = options;
    if (versionId !== undefined) {
      return deleteVersion(this.#database, versionWish({ visitor, where, container, name, versionId, options }));
    }
    return this.#commits.ask({
      ...{ kind: 'delete', visitor, name, markerId: newOrderedId(), conditions: options },
      ...{ containerId: container.id, projectId: where.projectId, container: where.container },
    });
  }

  /** All versions, delete markers too: by name, then the newest first. @throws CloudError as {@link list} */
  async listVersions(visitor: Visitor, where: Where, wish: VersionListWish): Promise<Listed<ObjectInfo>> {
    const container = await this.#container(visitor, where, 'list');
    const limit = Math.min(wish.limit ?? limits.listing, limits.listing);
    return listVersions(this.#database.query, container.id, { ...wish, limit });
  }

  /** Of what it was made. @throws CloudError as {@link open} */
  async parts(
    visitor: Visitor,
    where: Where,
    name: string,
    options: { versionId?: string | undefined; marker?: number | undefined; limit?: number | undefined } = {},
  ): Promise<{ object: ObjectInfo; parts: PartInfo[]; more: boolean }> {
    const { versionId, marker = 0, limit = 1000 } = options;
    const { object, objectId } = await this.find(visitor, where, name, versionId);
    const rows = await run<PartInfo>(this.#database.query, partsText, [objectId, marker, limit + 1]);
    return { object, parts: rows.slice(0, limit), more: rows.length > limit };
  }

  /**
   * Makes a copy, of the bytes as they are read.
   * @param make what it shall be, as that is known of what it is made of
   * @throws CloudError as {@link open} and {@link put}
   */
  async copy(
    visitor: Visitor,
    from: CopySource,
    to: { where: Where; name: string },
    make: (source: LedObject) => ObjectWish,
  ): Promise<PutResult & { source: LedObject }> {
    const { where, name, ...options } = from;
    const source = await this.open(visitor, where, name, options);
    const wish = make(source);
    const put = await withBytes(await source.read(), (bytes) =>
      this.put(visitor, to.where, to.name, { bytes, sizeBytes: source.sizeBytes }, wish),
    );
    return { ...put, source };
  }

  /** In UTF-8's order of bytes. @throws CloudError `unauthenticated`, `forbidden`, `not_found` */
  async list(visitor: Visitor, where: Where, wish: ListWish): Promise<Listed<ObjectInfo>> {
    const container = await this.#container(visitor, where, 'list');
    const limit = Math.min(wish.limit ?? limits.listing, limits.listing);
    const db = this.#database.query;
    const names = { from: sql`object`, where: sql`container_id = ${container.id} and current` };
    const { entries, more } = await listNames(db, names, { ...wish, limit });
    const found = await namedObjects(
      db,
      container.id,
      entries.flatMap((entry) => ('name' in entry ? entry.name : [])),
    );
    return { entries: entries.flatMap((entry) => ('name' in entry ? (found.get(entry.name) ?? []) : entry)), more };
  }

  async #container(visitor: Visitor, where: Where, right: Right): Promise<FoundContainer> {
    const known = right === 'write' ? this.#known.find(where) : undefined;
    if (known && mayAccess(visitor, known, right)) return known;
    const found = await containerRow(this.#database.query, where);
    if (found) this.#known.keep(found);
    return admitted(visitor, where, found, right);
  }
}

const partsText = `select number, size_bytes as "sizeBytes", etag, coalesce(checksums, '{}') as checksums from object_part
  where object_id = $1 and number > $2 order by number limit $3`;

/** What is read as a stream; whoever reads it hears of an end that is none. */
export async function withBytes<T>(body: Bytes, work: (bytes: Readable) => Promise<T>): Promise<T> {
  // Their memory is written again as soon as it is taken, and whoever reads this gives it away: each piece is a copy.
  const bytes = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk)) });
  bytes.on('error', () => {});
  body.sendTo(bytes).catch((error) => bytes.destroy(error as Error));
  try {
    return await work(bytes);
  } finally {
    bytes.destroy();
  }
}

interface Putting {
  visitor: Visitor;
  where: Where;
  container: FoundContainer;
  name: string;
  wish: ObjectWish;
}

export interface CopySource extends OpenOptions {
  where: Where;
  name: string;
}

export interface VersionOptions extends Conditions {
  versionId?: string | undefined;
  /** Of retention that those with the right may pass over. */
  bypassGovernance?: boolean;
}

interface Versioned {
  visitor: Visitor;
  where: Where;
  container: FoundContainer;
  name: string;
  versionId: string;
  options: VersionOptions;
}

const versionWish = ({ visitor, where, container, name, versionId, options }: Versioned): VersionWish => ({
  ...{ visitor, name, versionId, projectId: where.projectId, containerId: container.id, container: where.container },
  ...{ conditions: options, bypassGovernance: options.bypassGovernance ?? false },
});

const missing = (visitor: Visitor, where: Where, right: Right): CloudError => {
  try {
    admitted(visitor, where, undefined, right);
  } catch (error) {
    return error as CloudError;
  }
  throw new Error('a container that is missing was admitted');
};

/** @throws CloudError `invalid` */
export function checkWish(name: string, wish: Pick<ObjectWish, 'metadata' | 'contentType' | 'headers'>): void {
  if (!isObjectName(name)) throw new CloudError('invalid', 'object_name_invalid', { name });
  // Forms and archives bring in what no header can have; one such row would be the end of its whole batch.
  if (
    ![wish.contentType, ...Object.values(wish.headers ?? {})].every((text) => text === undefined || isStorable(text))
  ) {
    throw new CloudError('invalid', 'object_text_not_storable', { what: 'headers' });
  }
  checkContentType(wish.contentType);
  if (wish.metadata) checkMetadata(wish.metadata);
}

const someOf = <T extends object>(value: T | undefined): T | null =>
  value !== undefined && Object.keys(value).length > 0 ? value : null;

export function newObject(visitor: Visitor, stored: Omit<Stored, 'blob'>, wish: ObjectWish): NewObject {
  return {
    id: newOrderedId(),
    sizeBytes: stored.sizeBytes,
    etag: wish.etag ?? (wish.manifest?.kind === 'slo' ? wish.manifest.etag : stored.md5),
    contentType: wish.contentType,
    metadata: someOf(wish.metadata),
    headers: someOf(wish.headers),
    checksums: stored.checksums,
    tags: someOf(wish.tags),
    lock: wish.lock ?? null,
    manifest: wish.manifest ?? null,
    ownerId: visitOf(visitor).caller?.userId ?? '',
    expiresAt: wish.expiresAt ?? null,
  };
}
