/**
 * What a name leads to: its own bytes, those of its parts, of a manifest's segments (static ones as they are listed, dynamic ones by their prefix), or another object by a
 * link. Whoever reads needs the right for each of them.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError, hasReason } from '../../contract/errors.ts';
import type { Database } from '../kit/database/database.ts';
import { requireAccess } from './access.ts';
import type { BlobCopy, Blobs, KeptBlob } from './blobs.ts';
import type { Finder, Found } from './find.ts';
import { namedObjects } from './find.ts';
import { openJoined, type Piece } from './joined.ts';
import { objectStoreLimits as limits } from './limits.ts';
import { listNames } from './names.ts';
import type {
  LedObject,
  Manifest,
  ObjectBytes,
  ObjectInfo,
  ObjectRange,
  OpenOptions,
  Segment,
  Visitor,
  Where,
} from './object.ts';
import { run } from './statements.ts';
import { containerRow } from './store.ts';

type Known = Found & { object: ObjectInfo; objectId: string };
export type Find = (wish: Where & { name: string }) => Promise<Known>;

export interface Lead extends LedObject {
  pieces(): Promise<Piece[]>;
}

interface Following extends OpenOptions {
  find: Find;
  depth?: number;
}

export async function readLead(lead: Lead, range?: ObjectRange): Promise<ObjectBytes> {
  const whole = { first: 0, last: lead.sizeBytes - 1 };
  const { first, last } = range ?? whole;
  return openJoined(await lead.pieces(), { first, last: Math.min(last, whole.last) });
}

const copiesText = `select disk_id as "diskId", intent_id as "intentId", file, offset_bytes as offset from object_blob where id = $1`;

export class Leads {
  readonly #database: Database;
  readonly #blobs: Blobs;

  constructor(options: { database: Database; blobs: Blobs; finder: Finder }) {
    this.#database = options.database;
    this.#blobs = options.blobs;
  }

  async follow(visitor: Visitor, where: Where, name: string, options: Following): Promise<Lead> {
    const found = await options.find({ ...where, name });
    const { manifest } = found.object;
    if (manifest === null || options.raw) return this.#own(found);
    const depth = options.depth ?? 0;
    switch (manifest.kind) {
      case 'symlink':
        return this.#link(visitor, where, name, manifest, { ...options, depth });
      case 'slo':
        return this.#static(visitor, where, found, manifest, { ...options, depth });
      case 'dlo':
        return this.#dynamic(visitor, where, found, manifest, { ...options, depth });
    }
  }

  #own(found: Known): Lead {
    const { object, objectId, blob } = found;
    const { sizeBytes, etag } = object;
    return {
      ...{ object, sizeBytes, etag },
      pieces: async () => {
        if (object.parts > 0) return this.#parts(objectId, object.parts);
        return blob ? [this.#piece(blob)] : [];
      },
    };
  }

  #piece(blob: KeptBlob): Piece {
    const whole = ({ first, last }: ObjectRange) => first === 0 && last === blob.length - 1;
    const read = (kept: KeptBlob, range: ObjectRange) => this.#blobs.read(kept, whole(range) ? undefined : range);
    return {
      length: blob.length,
      open: (range) =>
        read(blob, range).catch(async (error) => {
          // It may have been moved since its place was read.
          const copies = hasReason(error, 'object_bytes_unavailable') ? await this.#copies(blob.id) : [];
          if (copies.length === 0) throw error;
          return read({ ...blob, copies }, range);
        }),
    };
  }

  #copies(id: string): Promise<BlobCopy[]> {
    return run<BlobCopy>(this.#database.query, copiesText, [id]);
  }

  async #parts(objectId: string, count: number): Promise<Piece[]> {
    const rows = await run<{ number: number; blob_id: string | null; size_bytes: number } & BlobCopy>(
      this.#database.query,
      `select p.number, p.blob_id, p.size_bytes, b.disk_id as "diskId", b.intent_id as "intentId", b.file, b.offset_bytes as offset
        from object_part p left join object_blob b on b.id = p.blob_id where p.object_id = $1 order by p.number`,
      [objectId],
    );
    const blobs = new Map<string, { id: string; length: number; copies: BlobCopy[] }>();
    for (const { blob_id: id, size_bytes: length, diskId, intentId, file, offset } of rows) {
      if (id === null) continue;
      const blob = blobs.get(id) ?? { id, length, copies: [] };
      if (diskId) blob.copies.push({ diskId, intentId, file, offset });
      blobs.set(id, blob);
    }
    // Overwritten or deleted since it was found, its parts are named no more: that is not a shorter object.
    if (new Set(rows.map(({ number }) => number)).size !== count)
      throw new CloudError('unavailable', 'object_bytes_unavailable', {});
    return [...blobs.values()].map((blob) => this.#piece(blob));
  }

  /** Where a part's bytes are among the whole's. @throws CloudError `invalid` */
  async part(lead: Lead, number: number): Promise<ObjectRange> {
    const lengths = lead.object.parts > 0 ? (await lead.pieces()).map(({ length }) => length) : [lead.sizeBytes];
    if (number < 1 || number > lengths.length) throw new CloudError('invalid', 'object_part_not_found', { number });
    const first = lengths.slice(0, number - 1).reduce((sum, length) => sum + length, 0);
    return { first, last: first + lengths[number - 1]! - 1 };
  }

  async #link(
    visitor: Visitor,
    where: Where,
    name: string,
    link: Extract<Manifest, { kind: 'symlink' }>,
    options: Following & { depth: number },
  ): Promise<Lead> {
    if (options.depth >= limits.symlinkHops) throw new CloudError('conflict', 'symlink_loop', { name });
    const target = { projectId: link.projectId ?? where.projectId, container: link.container };
    const { versionId: _own, ...rest } = options;
    const lead = await this.follow(visitor, target, link.name, { ...rest, depth: options.depth + 1 });
    if (link.etag !== undefined && link.etag !== lead.object.etag && link.etag !== lead.etag) {
      throw new CloudError('conflict', 'manifest_segment_unavailable', { container: link.container, name: link.name });
    }
    return { ...lead, resolved: lead.resolved ?? { ...target, name: link.name } };
  }

  async #static(
    visitor: Visitor,
    where: Where,
    { object }: Known,
    { segments, sizeBytes, etag }: Extract<Manifest, { kind: 'slo' }>,
    options: Following & { depth: number },
  ): Promise<Lead> {
    return {
      ...{ object, sizeBytes, etag },
      pieces: async () => segments.map((segment) => this.#segment(visitor, where, segment, options)),
    };
  }

  /** Opened when it is its turn: a manifest has a thousand of them. */
  #segment(visitor: Visitor, where: Where, segment: Segment, options: Following & { depth: number }): Piece {
    const { data, sizeBytes: length } = segment;
    if (data !== undefined) {
      return { length, open: async ({ first, last }) => Buffer.from(data, 'base64').subarray(first, last + 1) };
    }
    const { container = '', name = '' } = segment;
    const broken = (cause?: unknown) =>
      new CloudError('conflict', 'manifest_segment_unavailable', { container, name }, { cause });
    return {
      length,
      open: async (range) => {
        if (options.depth >= limits.manifestDepth) throw broken();
        const { versionId: _own, ...rest } = options;
        const target = { projectId: where.projectId, container };
        const lead = await this.follow(visitor, target, name, { ...rest, depth: options.depth + 1 }).catch((error) => {
          throw broken(error);
        });
        const from = segment.range?.first ?? 0;
        const changed = segment.etag !== undefined && segment.etag !== lead.etag;
        if (changed || lead.sizeBytes < from + length) throw broken();
        return readLead(lead, { first: from + range.first, last: from + range.last });
      },
    };
  }

  async #dynamic(
    visitor: Visitor,
    where: Where,
    { object }: Known,
    { container, prefix }: Extract<Manifest, { kind: 'dlo' }>,
    options: Following & { depth: number },
  ): Promise<Lead> {
    const infos = await this.#below(visitor, { projectId: where.projectId, container }, prefix);
    const hash = createHash('md5');
    for (const { etag } of infos) hash.update(etag);
    return {
      ...{ object, sizeBytes: infos.reduce((sum, info) => sum + info.sizeBytes, 0), etag: hash.digest('hex') },
      pieces: async () =>
        infos.map(({ name, etag, sizeBytes }) =>
          this.#segment(visitor, where, { container, name, etag, sizeBytes }, options),
        ),
    };
  }

  /** Of who may not read there nothing is told, not even how much there is. */
  async #below(visitor: Visitor, where: Where, prefix: string): Promise<ObjectInfo[]> {
    const db = this.#database.query;
    const found = await containerRow(db, where);
    if (!found) return [];
    requireAccess(visitor, found, 'read');
    const names = { from: sql`object`, where: sql`container_id = ${found.id} and current` };
    const { entries } = await listNames(db, names, { prefix, limit: limits.listing });
    const list = entries.flatMap((entry) => ('name' in entry ? entry.name : []));
    const infos = await namedObjects(db, found.id, list);
    return list.flatMap((name) => infos.get(name) ?? []);
  }
}
