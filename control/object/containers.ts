/**
 * Accounts and their containers: what dialects may call. Rights first; then one transaction, which holds the account's row, then the container's use.
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newId } from '../../contract/ids.ts';
import { actorOf } from '../kit/caller.ts';
import { type Actor, cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import { checkQuota } from '../kit/quota/quota.ts';
import { aclDomain, denied, type Guarded, mayAccess, ownsAccount, requireAccess, requireAccount } from './access.ts';
import { isBucketName, isContainerName, isStorable, objectStoreLimits as limits } from './limits.ts';
import { checkAcl, checkMetadata, merged, tooLarge } from './metadata.ts';
import { listNames } from './names.ts';
import {
  type AccountInfo,
  type ContainerChange,
  type ContainerInfo,
  type Listed,
  type ListedContainer,
  type ListWish,
  type Right,
  type Visitor,
  visitOf,
  type Where,
} from './object.ts';
import { container as descriptor } from './resource.ts';
import { containerRow, containersNamed, holdAccount, holdContainer } from './store.ts';

export class ContainerService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** What a project has; zeros where it never had anything. @throws CloudError `unauthenticated`, `forbidden`, `not_found` (no such project) */
  async account(visitor: Visitor, projectId: string): Promise<AccountInfo> {
    requireAccount(visitor, projectId, 'list');
    const { rows } = await sql<AccountInfo & { known: boolean }>`
      select p.id as "projectId", coalesce(a.metadata, '{}') as metadata, a.quota_bytes as "quotaBytes",
        coalesce(a.containers, 0) as containers, coalesce(a.objects, 0) as objects, coalesce(a.bytes, 0) as bytes, a.created_at as "createdAt"
      from project p left join object_account a on a.project_id = p.id where p.id = ${projectId}`.execute(
      this.#database.query,
    );
    if (!rows[0]) throw new CloudError('not_found', 'project_not_found', { id: projectId });
    return rows[0];
  }

  /** A null takes a key away. Who sets quotas is the dialect's to decide. @throws CloudError as {@link account}, `invalid` */
  async updateAccount(
    visitor: Visitor,
    projectId: string,
    change: { metadata?: Record<string, string | null>; quotaBytes?: number | null },
  ): Promise<void> {
    requireAccount(visitor, projectId, 'own');
    await this.#database.transaction(actorOfVisitor(visitor), async (tx) => {
      const known = await holdAccount(tx, projectId);
      const metadata = merged(known.metadata, change.metadata);
      checkMetadata(metadata);
      await tx
        .updateTable('object_account')
        .set({ metadata: JSON.stringify(metadata), updated_at: sql`now()` })
        .$if(change.quotaBytes !== undefined, (query) => query.set({ quota_bytes: change.quotaBytes! }))
        .where('project_id', '=', projectId)
        .execute();
    });
  }

  /**
   * Makes it, or changes the one that is there.
   * @param options.bucket its name must be the whole cloud's
   * @throws CloudError `unauthenticated`, `forbidden`, `invalid`, `quota_exceeded`, `conflict` (another project's bucket)
   */
  async create(
    visitor: Visitor,
    where: Where,
    change: ContainerChange = {},
    options: { bucket?: boolean } = {},
  ): Promise<{ container: ContainerInfo; created: boolean }> {
    const { projectId, container: name } = where;
    if (!isContainerName(name)) throw new CloudError('invalid', 'container_name_invalid', { name });
    requireAccount(visitor, projectId, 'own');
    return this.#database.transaction(actorOfVisitor(visitor), async (tx) => {
      await holdAccount(tx, projectId);
      const known = await containerRow(tx, where);
      if (known) {
        await holdContainer(tx, known.id, where);
        // As it is now that it is held: whoever changes it holds no more than this.
        return { container: await this.#change(tx, (await containerRow(tx, where))!, change), created: false };
      }
      await checkQuota(tx, projectId, descriptor.usage, { containers: 1 });
      const id = await insertContainer(tx, where, options);
      const made = (await containerRow(tx, where))!;
      if (made.id !== id) throw new Error('the container that was made is another');
      return { container: await this.#change(tx, made, change), created: true };
    });
  }

  /** @throws CloudError `unauthenticated`, `forbidden`, `not_found` */
  async show(visitor: Visitor, where: Where, right: Right = 'list'): Promise<ContainerInfo> {
    const found = await containerRow(this.#database.query, where);
    return this.#admitted(visitor, where, found, right);
  }

  /** @throws CloudError as {@link show}, `invalid` */
  async update(visitor: Visitor, where: Where, change: ContainerChange): Promise<ContainerInfo> {
    return this.#database.transaction(actorOfVisitor(visitor), async (tx) => {
      const found = this.#admitted(visitor, where, await containerRow(tx, where), 'own');
      await holdContainer(tx, found.id, where);
      // As it is now that it is held.
      return this.#change(tx, (await containerRow(tx, where))!, change);
    });
  }

  /** What is not empty stays; uploads that are not complete go along. @throws CloudError as {@link show}, `conflict` */
  async delete(visitor: Visitor, where: Where): Promise<void> {
    await this.#database.transaction(actorOfVisitor(visitor), async (tx) => {
      const found = this.#admitted(visitor, where, await containerRow(tx, where), 'own');
      await holdAccount(tx, found.projectId);
      const use = await holdContainer(tx, found.id, where);
      if (use.objects > 0 || use.past_objects > 0) {
        throw new CloudError('conflict', 'container_not_empty', { container: where.container });
      }
      await sql`with gone as (delete from object_upload where container_id = ${found.id} returning id),
        parts as (delete from object_upload_part where upload_id in (select id from gone) returning blob_id)
        insert into object_removal (blob_id) select blob_id from parts where blob_id is not null`.execute(tx);
      await sql`delete from container where id = ${found.id}`.execute(tx);
      await sql`update object_account set containers = containers - 1, bytes = bytes - ${use.upload_bytes}
        where project_id = ${found.projectId}`.execute(tx);
    });
  }

  /** In the order of bytes. @throws CloudError `unauthenticated`, `forbidden` */
  async list(visitor: Visitor, projectId: string, wish: ListWish): Promise<Listed<ListedContainer>> {
    requireAccount(visitor, projectId, 'list');
    const limit = Math.min(wish.limit ?? limits.listing, limits.listing);
    const db = this.#database.query;
    const names = { from: sql`container`, where: sql`project_id = ${projectId}` };
    const { entries, more } = await listNames(db, names, { ...wish, limit });
    const rows = await containersNamed(
      db,
      projectId,
      entries.flatMap((entry) => ('name' in entry ? entry.name : [])),
    );
    const known = new Map(rows.map((row) => [row.name, row]));
    // What has gone between the two looks is left out.
    return { entries: entries.flatMap((entry) => ('name' in entry ? (known.get(entry.name) ?? []) : entry)), more };
  }

  /**
   * Which container a bucket's name means: the one of the caller's own project, else whose it is in the whole cloud.
   * Undefined: nobody's.
   */
  async resolveBucket(visitor: Visitor, name: string): Promise<Where | undefined> {
    if (!isContainerName(name)) return undefined;
    const own = visitOf(visitor).caller?.projectId ?? null;
    const { rows } = await sql<{ projectId: string; container: string }>`
      select project_id as "projectId", name as container from container where project_id = ${own}::uuid and name = ${name}
      union all select project_id, name from container where bucket_name = ${name}`.execute(this.#database.query);
    return rows.find(({ projectId }) => projectId === own) ?? rows[0];
  }

  #admitted(visitor: Visitor, where: Where, found: ContainerInfo | undefined, right: Right): ContainerInfo {
    return admitted(visitor, where, found, right);
  }

  async #change(tx: Tx, known: ContainerInfo, change: ContainerChange): Promise<ContainerInfo> {
    if (Object.values(change).every((value) => value === undefined)) return known;
    const next = { ...known, ...definedOf(change), metadata: merged(known.metadata, change.metadata) } as ContainerInfo;
    next.settings = merged(known.settings, change.settings);
    if (change.readAcl || change.writeAcl) next.settings[aclDomain] = await domainOf(tx, known.projectId);
    // Versions that there are stay versions.
    if (known.versioning !== 'none' && next.versioning === 'none') next.versioning = 'suspended';
    checkMetadata(next.metadata);
    checkAcl(next.readAcl);
    checkAcl(next.writeAcl);
    const settings = JSON.stringify(next.settings);
    if (Buffer.byteLength(settings) > limits.settingsBytes) throw tooLarge('settings', limits.settingsBytes);
    if (!isStorable(settings) || settings.includes('\\u0000')) {
      throw new CloudError('invalid', 'object_text_not_storable', { what: 'metadata' });
    }
    const { rows } = await sql<{ updatedAt: Date }>`update container set metadata = ${JSON.stringify(next.metadata)},
        read_acl = ${next.readAcl}, write_acl = ${next.writeAcl}, versioning = ${next.versioning}, quota_bytes = ${next.quotaBytes},
        quota_objects = ${next.quotaObjects}, settings = ${settings}, generation = generation + 1, updated_at = now()
      where id = ${known.id} returning updated_at as "updatedAt"`.execute(tx);
    return { ...next, updatedAt: rows[0]!.updatedAt };
  }
}

/** Whoever may do nothing in the account does not learn which containers it has. @throws CloudError */
export function admitted<C extends Guarded>(visitor: Visitor, where: Where, found: C | undefined, right: Right): C {
  if (found) {
    requireAccess(visitor, found, right);
    return found;
  }
  const nobodys = { projectId: where.projectId, readAcl: '', writeAcl: '', settings: {} };
  if (!mayAccess(visitor, nobodys, right) && !ownsAccount(visitOf(visitor).caller, where.projectId)) {
    throw denied(visitor, right);
  }
  throw new CloudError('not_found', 'container_not_found', { container: where.container });
}

async function insertContainer(tx: Tx, { projectId, container: name }: Where, options: { bucket?: boolean }) {
  const id = newId();
  const claims = isBucketName(name);
  if (options.bucket && !claims) throw new CloudError('invalid', 'container_name_invalid', { name });
  const insert = async (bucketName: string | null) => {
    const { rows } = await sql`insert into container (id, project_id, name, bucket_name)
      values (${id}, ${projectId}, ${name}, ${bucketName}) on conflict (bucket_name) do nothing returning id`.execute(
      tx,
    );
    return rows.length > 0;
  };
  const claimed = claims && (await insert(name));
  if (!claimed && options.bucket) throw new CloudError('conflict', 'bucket_name_taken', { name });
  if (!claimed) await insert(null);
  await sql`insert into container_use (container_id) values (${id})`.execute(tx);
  await sql`update object_account set containers = containers + 1 where project_id = ${projectId}`.execute(tx);
  return id;
}

async function domainOf(tx: Tx, projectId: string): Promise<string | undefined> {
  const { rows } = await sql<{
    domain: string;
  }>`select domain_id as domain from project where id = ${projectId}`.execute(tx);
  return rows[0]?.domain;
}

const definedOf = <T extends object>(change: T): Partial<T> =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as Partial<T>;

function actorOfVisitor(visitor: Visitor): Actor {
  const { caller } = visitOf(visitor);
  return caller ? actorOf(caller) : cloudActor;
}
