/**
 * Objects that come in parts: begun, their parts put in any order and again, complete all at once. Each part is a blob that `object_upload_part` names; completion hands
 * the blobs over to the object's own rows. What parts take is counted from the first one on.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError, hasReason } from '../../contract/errors.ts';
import { newOrderedId, parseId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import type { WrittenBlob } from './blobs.ts';
import type { Bodies } from './bodies.ts';
import { hold, versionName } from './commit.ts';
import { completedChecksums, type PartChoice, type PartRow, requireParts } from './complete.ts';
import { admitted } from './containers.ts';
import type { FoundContainer } from './find.ts';
import { objectStoreLimits as limits } from './limits.ts';
import { listUploads, type UploadListWish } from './list-uploads.ts';
import {
  type Checksums,
  type ChecksumWish,
  type Conditions,
  type LedObject,
  type Listed,
  type ObjectRange,
  type ObjectSource,
  type ObjectWish,
  type PartInfo,
  type StoredWish,
  type UploadInfo,
  type Visitor,
  visitOf,
  type Where,
} from './object.ts';
import { type CopySource, checkWish, newObject, type ObjectService, type PutResult, withBytes } from './objects.ts';
import { decide, type HeldAccount, type HeldContainer, overQuota, Plan } from './plan.ts';
import { requireRoom } from './room.ts';
import { jsonOrNull, run } from './statements.ts';
import { containerRow } from './store.ts';
import { write } from './write.ts';

interface UploadRow {
  id: string;
  name: string;
  wish: StoredWish;
  initiator_id: string;
  created_at: Date;
}

const partColumns = 'number, blob_id, size_bytes, etag, checksums, created_at';

export class UploadService {
  readonly #database: Database;
  readonly #objects: ObjectService;
  readonly #bodies: Bodies;

  constructor(options: { database: Database; objects: ObjectService; bodies: Bodies }) {
    this.#database = options.database;
    this.#objects = options.objects;
    this.#bodies = options.bodies;
  }

  /** @throws CloudError as ObjectService.put */
  async begin(visitor: Visitor, where: Where, name: string, wish: StoredWish): Promise<{ uploadId: string }> {
    checkWish(name, wish);
    const container = await this.#container(visitor, where);
    const id = newOrderedId();
    await this.#database.transaction(cloudActor, async (tx) => {
      // Who deletes the container waits, and then finds it.
      await requireHeld(tx, container.id, where);
      await sql`insert into object_upload (id, container_id, name, wish, initiator_id)
        values (${id}, ${container.id}, ${name}, ${JSON.stringify(wish)}, ${visitOf(visitor).caller?.userId ?? ''})`.execute(
        tx,
      );
    });
    return { uploadId: id };
  }

  /** One that is there already is replaced. @throws CloudError as ObjectService.put, `not_found` (the upload) */
  async putPart(
    visitor: Visitor,
    where: Where,
    name: string,
    uploadId: string,
    number: number,
    source: ObjectSource,
    wish: Pick<ObjectWish, 'md5' | 'checksums'> = {},
  ): Promise<PartInfo> {
    const container = await this.#container(visitor, where);
    const upload = await this.#upload(container.id, name, uploadId);
    if (!(Number.isInteger(number) && number >= 1 && number <= limits.uploadParts)) {
      throw new CloudError('invalid', 'upload_part_number_invalid', { maximum: limits.uploadParts });
    }
    const place = {
      projectId: where.projectId,
      containerId: container.id,
      name,
      part: { uploadId: upload.id, number },
    };
    await requireRoom(this.#database.query, place, source);
    const stored = await this.#bodies.store(source, { ...wish, checksums: checksumsOf(upload.wish, wish) });
    try {
      await this.#database.transaction(cloudActor, async (tx) => {
        const part = { number, sizeBytes: stored.sizeBytes, etag: stored.md5, checksums: stored.checksums };
        await keepPart(tx, { where, container, upload, part, blob: stored.blob });
      });
    } catch (error) {
      this.#bodies.discard(stored, error);
      throw error;
    }
    stored.blob?.hold.release();
    return { number, sizeBytes: stored.sizeBytes, etag: stored.md5, checksums: stored.checksums ?? {} };
  }

  /** Of bytes of another object. @throws CloudError as {@link putPart} and ObjectService.open */
  async copyPart(
    visitor: Visitor,
    to: { where: Where; name: string; uploadId: string; number: number },
    from: CopySource,
    range?: ObjectRange,
  ): Promise<PartInfo & { source: LedObject }> {
    const { where, name, ...options } = from;
    const source = await this.#objects.open(visitor, where, name, options);
    const { first, last } = range ?? { first: 0, last: source.sizeBytes - 1 };
    if (first > last || last >= source.sizeBytes) {
      throw new CloudError('invalid', 'object_range_invalid', { size: source.sizeBytes });
    }
    const part = await withBytes(await source.read({ first, last }), (bytes) =>
      this.putPart(visitor, to.where, to.name, to.uploadId, to.number, { bytes, sizeBytes: last + 1 - first }),
    );
    return { ...part, source };
  }

  /** @throws CloudError `not_found` */
  async listParts(
    visitor: Visitor,
    where: Where,
    name: string,
    uploadId: string,
    { marker = 0, limit = 1000 }: { marker?: number | undefined; limit?: number | undefined } = {},
  ): Promise<{ upload: UploadInfo; parts: PartInfo[]; more: boolean }> {
    const container = await this.#container(visitor, where);
    const upload = await this.#upload(container.id, name, uploadId);
    const rows = await run<PartRow>(
      this.#database.query,
      `select ${partColumns} from object_upload_part where upload_id = $1 and number > $2 order by number limit $3`,
      [upload.id, marker, limit + 1],
    );
    return { upload: uploadInfo(upload), parts: rows.slice(0, limit).map(partInfo), more: rows.length > limit };
  }

  /** In the order of names, then of their beginnings. @throws CloudError `not_found` */
  async list(visitor: Visitor, where: Where, wish: UploadListWish): Promise<Listed<UploadInfo>> {
    const container = await this.#container(visitor, where);
    return listUploads(this.#database.query, container.id, { ...wish, limit: Math.min(wish.limit ?? 1000, 1000) });
  }

  /**
   * Makes of the parts that are named the object. What was made already is answered again, as long as it is the newest.
   * @throws CloudError as ObjectService.put, `not_found` (the upload), `invalid` (a part that is not there, another, or too small)
   */
  async complete(
    visitor: Visitor,
    where: Where,
    name: string,
    uploadId: string,
    choices: readonly PartChoice[],
    options: Conditions & { checksums?: readonly ChecksumWish[]; sizeBytes?: number } = {},
  ): Promise<PutResult> {
    const container = await this.#container(visitor, where);
    const id = parseId(uploadId);
    const again = id && (await this.#completed(container, name, id));
    if (again) return again;
    const completing = this.#database.transaction(cloudActor, async (tx) => {
      const named = { containerId: container.id, projectId: where.projectId, container: where.container, name };
      const plan = new Plan(await hold(tx, [{ ...named, kind: 'put' }]));
      const upload = await lockUpload(tx, container.id, name, uploadId);
      const rows = await run<PartRow>(
        tx,
        `select ${partColumns} from object_upload_part where upload_id = $1 order by number`,
        [upload.id],
      );
      const parts = requireParts(rows, choices, options.sizeBytes);
      const { object, checksums } = objectOf(visitor, upload, parts, options.checksums);
      const decided = decide(plan, {
        ...{ kind: 'put', visitor, ...named, object, blob: null, conditions: options },
        parts: parts.map((part) => ({
          ...{ number: part.number, blobId: part.blob_id, sizeBytes: part.size_bytes, etag: part.etag },
          checksums: part.checksums,
        })),
        upload: { id: upload.id, bytes: rows.reduce((sum, row) => sum + row.size_bytes, 0) },
      });
      if (decided.kind === 'refused') throw decided.error;
      const { sequence } = (await write(tx, plan)).get(object.id)!;
      return {
        ...{
          etag: object.etag,
          sizeBytes: object.sizeBytes,
          checksums: checksums ?? {},
          updatedAt: plan.held.now,
          replaced: decided.before !== undefined,
        },
        ...{
          versionId: decided.nullVersion ? 'null' : versionName(sequence),
          versioned: container.versioning !== 'none',
        },
      };
    });
    return completing.catch(async (error) => {
      // Whoever asks again because no answer came may come while the first still is at it.
      const first = hasReason(error, 'upload_not_found') && id ? await this.#completed(container, name, id) : undefined;
      if (first) return first;
      throw error;
    });
  }

  /** @throws CloudError `not_found` */
  async abort(visitor: Visitor, where: Where, name: string, uploadId: string): Promise<void> {
    const container = await this.#container(visitor, where);
    await abortUpload(this.#database, { ...where, containerId: container.id, name, uploadId });
  }

  async #completed(container: FoundContainer, name: string, id: string): Promise<PutResult | undefined> {
    const [row] = await run<{
      sequence: number;
      null_version: boolean;
      etag: string;
      size_bytes: number;
      checksums: Checksums | null;
      updated_at: Date;
    }>(
      this.#database.query,
      `select sequence, null_version, etag, size_bytes, checksums, updated_at from object
        where container_id = $1 and name = $2 and current and id = $3`,
      [container.id, name, id],
    );
    return (
      row && {
        ...{ etag: row.etag, sizeBytes: row.size_bytes, checksums: row.checksums ?? {}, updatedAt: row.updated_at },
        ...{ versionId: row.null_version ? 'null' : versionName(row.sequence), replaced: true },
        versioned: container.versioning !== 'none',
      }
    );
  }

  async #container(visitor: Visitor, where: Where): Promise<FoundContainer> {
    return admitted(visitor, where, await containerRow(this.#database.query, where), 'write');
  }

  async #upload(containerId: string, name: string, uploadId: string): Promise<UploadRow> {
    const id = parseId(uploadId);
    const [row] = id
      ? await run<UploadRow>(
          this.#database.query,
          'select id, name, wish, initiator_id, created_at from object_upload where id = $1 and container_id = $2 and name = $3',
          [id, containerId, name],
        )
      : [];
    if (!row) throw new CloudError('not_found', 'upload_not_found', { upload: uploadId });
    return row;
  }
}

const checksumsOf = ({ checksumAlgorithm }: StoredWish, { checksums = [] }: Pick<ObjectWish, 'checksums'>) =>
  checksumAlgorithm && !checksums.some(({ algorithm }) => algorithm === checksumAlgorithm)
    ? [...checksums, { algorithm: checksumAlgorithm }]
    : checksums;

const partInfo = (row: PartRow): PartInfo => ({
  ...{ number: row.number, sizeBytes: row.size_bytes, etag: row.etag, checksums: row.checksums ?? {} },
  createdAt: row.created_at,
});

const uploadInfo = (row: UploadRow): UploadInfo => ({
  ...{ uploadId: row.id, name: row.name, wish: row.wish, initiatorId: row.initiator_id, createdAt: row.created_at },
});

/** It has the upload's id: who asks again finds it by that. */
function objectOf(
  visitor: Visitor,
  upload: UploadRow,
  parts: readonly PartRow[],
  wishes: readonly ChecksumWish[] | undefined,
) {
  const md5 = createHash('md5');
  for (const { etag } of parts) md5.update(etag, 'hex');
  const sizeBytes = parts.reduce((sum, part) => sum + part.size_bytes, 0);
  const etag = `${md5.digest('hex')}-${parts.length}`;
  const checksums = completedChecksums(parts, upload.wish, wishes);
  const { expiresAt, ...rest } = upload.wish;
  const wish = { ...rest, expiresAt: expiresAt ? new Date(expiresAt) : undefined };
  return { object: { ...newObject(visitor, { sizeBytes, md5: etag, checksums }, wish), id: upload.id }, checksums };
}

async function lockUpload(tx: Tx, containerId: string, name: string, uploadId: string): Promise<UploadRow> {
  const id = parseId(uploadId);
  const [row] = id
    ? await run<UploadRow>(
        tx,
        `select id, name, wish, initiator_id, created_at from object_upload where id = $1 and container_id = $2 and name = $3 for update`,
        [id, containerId, name],
      )
    : [];
  if (!row) throw new CloudError('not_found', 'upload_not_found', { upload: uploadId });
  return row;
}

async function requireHeld(tx: Tx, containerId: string, where: Where): Promise<void> {
  const rows = await run(tx, 'select from container_use where container_id = $1 for update', [containerId]);
  if (rows.length === 0) throw new CloudError('not_found', 'container_not_found', { container: where.container });
}

interface Keeping {
  where: Where;
  container: FoundContainer;
  upload: UploadRow;
  part: { number: number; sizeBytes: number; etag: string; checksums: Checksums | null };
  blob: WrittenBlob | null;
}

async function keepPart(tx: Tx, { where, container, upload, part, blob }: Keeping): Promise<void> {
  const named = {
    containerId: container.id,
    projectId: where.projectId,
    container: where.container,
    name: upload.name,
  };
  const held = await hold(tx, [{ ...named, kind: 'put', blob } as never]);
  const [use, account] = [held.containers.get(container.id), held.accounts.get(where.projectId)];
  if (!use || !account) throw new CloudError('not_found', 'container_not_found', { container: where.container });
  if (blob?.copies.some(({ intentId }) => !held.intents.has(intentId))) {
    throw new CloudError('unavailable', 'object_intent_closed', {});
  }
  await lockUpload(tx, container.id, upload.name, upload.id);
  const [before] = await run<PartRow>(
    tx,
    `delete from object_upload_part where upload_id = $1 and number = $2 returning ${partColumns}`,
    [upload.id, part.number],
  );
  const more = part.sizeBytes - (before?.size_bytes ?? 0);
  const over = overQuota({ container: use, account }, { bytes: more, objects: 0 });
  if (over) throw over;
  const plan = new Plan(held);
  if (blob) plan.blobs.push(blob);
  if (before?.blob_id) plan.removeBlobs.push(before.blob_id);
  count(use, account, more);
  await Promise.all([
    run(
      tx,
      `insert into object_upload_part (upload_id, number, blob_id, size_bytes, etag, checksums) values ($1, $2, $3, $4, $5, $6)`,
      [upload.id, part.number, blob?.id ?? null, part.sizeBytes, part.etag, jsonOrNull(part.checksums)],
    ),
    write(tx, plan, { counted: true }),
  ]);
}

function count(use: HeldContainer, account: HeldAccount, bytes: number): void {
  use.uploadBytes += bytes;
  account.bytes += bytes;
}

/** Also for those that nobody completes. @throws CloudError `not_found` */
function abortUpload(
  database: Database,
  upload: Where & { containerId: string; name: string; uploadId: string },
): Promise<void> {
  return database.transaction(cloudActor, async (tx) => {
    const held = await hold(tx, [{ ...upload, kind: 'delete' }]);
    const { id } = await lockUpload(tx, upload.containerId, upload.name, upload.uploadId);
    const [use, account] = [held.containers.get(upload.containerId), held.accounts.get(upload.projectId)];
    const rows = await run<PartRow>(
      tx,
      `delete from object_upload_part where upload_id = $1 returning ${partColumns}`,
      [id],
    );
    const plan = new Plan(held);
    plan.removeBlobs.push(...rows.flatMap(({ blob_id }) => blob_id ?? []));
    if (use && account) count(use, account, -rows.reduce((sum, { size_bytes }) => sum + size_bytes, 0));
    await run(tx, 'delete from object_upload where id = $1', [id]);
    await write(tx, plan, { counted: true });
  });
}
