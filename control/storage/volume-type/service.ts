/**
 * Volume types: administrators write them, everyone reads the public ones and those that their project was given. What volumes are
 * made like is not changed under them: extra specs stand still while a volume has the type.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { isUsed, lockType } from './change.ts';
import { defaultTypeName, typeOf } from './default.ts';
import { type VolumeTypeRow, volumeTypeListing } from './listing.ts';
import { requireOwnWords } from './own-words.ts';
import { dropTypeQuota, renameTypeQuota } from './quota.ts';

export interface VolumeTypeWish {
  name: string;
  description: string | null;
  public: boolean;
  extraSpecs: Record<string, string>;
}

export class VolumeTypeService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery = {}): Promise<VolumeTypeRow[]> {
    return listRows(this.#database.query, caller, volumeTypeListing, query);
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  async get(caller: Caller, id: string): Promise<VolumeTypeRow> {
    if (parseId(id) === undefined) throw notFound('volume_type', id);
    return readRow(this.#database.query, caller, volumeTypeListing, id);
  }

  /** The type that a volume of the caller's gets for which none is named. */
  default(caller: Caller): Promise<VolumeTypeRow> {
    return typeOf(this.#database.query, caller.projectId, null);
  }

  /** @throws CloudError `forbidden`, `conflict` */
  async create(caller: Caller, wish: VolumeTypeWish): Promise<VolumeTypeRow> {
    requireAdmin(caller, 'create a volume type');
    requireOwnWords(wish.extraSpecs);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<VolumeTypeRow>`insert into volume_type (id, name, description, public, extra_specs)
        values (${newId()}, ${wish.name}, ${wish.description}, ${wish.public}, ${JSON.stringify(wish.extraSpecs)}::jsonb)
        returning *`
        .execute(tx)
        .catch((error: unknown) => nameTaken(error, wish.name));
      return rows[0]!;
    });
  }

  /** All of them, as quotas have names for each. */
  async names(): Promise<{ id: string; name: string }[]> {
    const { rows } = await sql<{ id: string; name: string }>`select id, name from volume_type order by name`.execute(
      this.#database.query,
    );
    return rows;
  }

  /** @throws CloudError `forbidden`, `not_found`, `conflict` */
  async update(
    caller: Caller,
    id: string,
    change: { name?: string; description?: string; public?: boolean },
  ): Promise<VolumeTypeRow> {
    requireAdmin(caller, 'change a volume type');
    return this.#change(caller, id, async (tx, type) => {
      const now = { name: type.name, description: type.description, public: type.public, ...change };
      const { rows } = await sql<VolumeTypeRow>`update volume_type set name = ${now.name},
        description = ${now.description}, public = ${now.public}, generation = generation + 1, updated_at = now()
        where id = ${type.id} returning *`
        .execute(tx)
        .catch((error: unknown) => nameTaken(error, now.name));
      await renameTypeQuota(tx, type.name, now.name);
      return rows[0]!;
    });
  }

  /** @throws CloudError `forbidden`, `not_found`; `conflict` while volumes have it; `invalid` for one that is a default */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'delete a volume type');
    await this.#change(caller, id, async (tx, type) => {
      const { rows } = await sql`select from volume_type_default where volume_type_id = ${type.id} limit 1`.execute(tx);
      if (rows.length > 0 || type.name === defaultTypeName) {
        throw new CloudError('invalid', 'volume_type_is_default', { id: type.id });
      }
      if (await isUsed(tx, type.id)) throw new CloudError('conflict', 'volume_type_in_use', { id: type.id });
      await sql`delete from volume_type where id = ${type.id}`.execute(tx);
      await dropTypeQuota(tx, type.name);
    });
  }

  /**
   * Replaces what `edit` answers for the present extra specs.
   * @returns the new ones
   * @throws CloudError `forbidden`, `not_found`; `conflict` while volumes have the type
   */
  async editExtraSpecs(
    caller: Caller,
    id: string,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    requireAdmin(caller, 'change a volume type’s extra specs');
    return this.#change(caller, id, async (tx, type) => {
      if (await isUsed(tx, type.id)) throw new CloudError('conflict', 'volume_type_has_volumes', { id: type.id });
      const specs = edit({ ...type.extra_specs });
      requireOwnWords(specs, type.extra_specs);
      await sql`update volume_type set extra_specs = ${JSON.stringify(specs)}::jsonb, generation = generation + 1,
        updated_at = now() where id = ${type.id}`.execute(tx);
      return specs;
    });
  }

  /** Projects that may use a type that is not public. */
  async access(caller: Caller, id: string): Promise<string[]> {
    requireAdmin(caller, 'list who may use a volume type');
    const type = await this.get(caller, id);
    if (type.public) throw new CloudError('not_found', 'volume_type_public', { id: type.id });
    const { rows } = await sql<{ project_id: string }>`select project_id from volume_type_access
      where volume_type_id = ${type.id} order by project_id`.execute(this.#database.query);
    return rows.map((row) => row.project_id);
  }

  async addAccess(caller: Caller, id: string, project: string): Promise<void> {
    requireAdmin(caller, 'let a project use a volume type');
    await this.#change(caller, id, async (tx, type) => {
      requirePrivate(type);
      // One that is none here could use nothing, so nothing is written down for it.
      const { rows } = await sql`select from project where id = ${parseId(project) ?? null}::uuid`.execute(tx);
      if (rows.length === 0) throw notFound('project', project);
      const { numAffectedRows } = await sql`insert into volume_type_access (volume_type_id, project_id)
        values (${type.id}, ${parseId(project)}) on conflict do nothing`.execute(tx);
      if (numAffectedRows !== 1n)
        throw new CloudError('conflict', 'volume_type_access_exists', { id: type.id, project });
    });
  }

  async removeAccess(caller: Caller, id: string, project: string): Promise<void> {
    requireAdmin(caller, 'take a volume type from a project');
    await this.#change(caller, id, async (tx, type) => {
      requirePrivate(type);
      const { numAffectedRows } = await sql`delete from volume_type_access
        where volume_type_id = ${type.id} and project_id = ${parseId(project) ?? null}::uuid`.execute(tx);
      if (numAffectedRows !== 1n) {
        throw new CloudError('not_found', 'volume_type_access_missing', { id: type.id, project });
      }
    });
  }

  #change<T>(caller: Caller, id: string, work: (tx: Tx, type: VolumeTypeRow) => Promise<T>): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => work(tx, await lockType(tx, id)));
  }
}

function requirePrivate(type: VolumeTypeRow): void {
  if (type.public) throw new CloudError('invalid', 'volume_type_access_of_public', { id: type.id });
}

function nameTaken(error: unknown, name: string): never {
  if (violatedConstraint(error) !== 'volume_type_name_key') throw error;
  throw new CloudError('conflict', 'volume_type_name_taken', { name }, { cause: error });
}
