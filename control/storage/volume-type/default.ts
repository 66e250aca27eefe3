/** Which type a volume gets: the one that is named, else its project's default, else the cloud's. */
import { type RawBuilder, sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database, Queryable, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockType, touchType } from './change.ts';
import { usableBy, type VolumeTypeRow } from './listing.ts';

/** The type of volumes for which none is named, as OpenStack names it. It is always there. */
export const defaultTypeName = '__DEFAULT__';

/**
 * The type that a new volume of a project gets.
 * @param asked id or name; null: none was named
 * @throws CloudError `not_found`, also for one that the project may not use
 */
export function typeOf(db: Queryable, projectId: string | null, asked: string | null): Promise<VolumeTypeRow> {
  return find(db, { projectId, asked, lock: sql`` });
}

/**
 * The same, for who decides by what it says: whoever changes a type waits, and then sees who has it (change.ts); one that is being changed is
 * as it is then.
 */
export function holdTypeOf(tx: Tx, projectId: string | null, asked: string | null): Promise<VolumeTypeRow> {
  return find(tx, { projectId, asked, lock: sql`for key share of t` });
}

async function find(
  db: Queryable,
  { projectId, asked, lock }: { projectId: string | null; asked: string | null; lock: RawBuilder<unknown> },
): Promise<VolumeTypeRow> {
  const id = asked === null ? null : (parseId(asked) ?? null);
  // A project's own default is one that an administrator chose for it, whether or not it could choose it itself.
  const { rows } =
    asked === null
      ? await sql<VolumeTypeRow>`select t.* from volume_type t
          left join volume_type_default d on d.volume_type_id = t.id and d.project_id = ${projectId}::uuid
          where d.project_id is not null or t.name = ${defaultTypeName}
          order by d.project_id is null limit 1 ${lock}`.execute(db)
      : await sql<VolumeTypeRow>`select t.* from volume_type t
          where (t.id = ${id}::uuid or t.name = ${asked}) and ${usableBy(projectId)}
          order by t.name = ${asked} limit 1 ${lock}`.execute(db);
  if (!rows[0]) throw notFound('volume_type', asked ?? defaultTypeName);
  return rows[0];
}

export interface DefaultType {
  project_id: string;
  volume_type_id: string;
}

/** Defaults of single projects; administrators alone see and set them. */
export class DefaultTypeService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller): Promise<DefaultType[]> {
    requireAdmin(caller, 'list default volume types');
    const { rows } = await sql<DefaultType>`select project_id, volume_type_id from volume_type_default
      order by project_id`.execute(this.#database.query);
    return rows;
  }

  /** @throws CloudError `not_found` where the project has none of its own */
  async get(caller: Caller, project: string): Promise<DefaultType> {
    requireAdmin(caller, 'show a default volume type');
    const { rows } = await sql<DefaultType>`select project_id, volume_type_id from volume_type_default
      where project_id = ${parseId(project) ?? null}::uuid`.execute(this.#database.query);
    if (!rows[0]) throw notFound('default_volume_type', project);
    return rows[0];
  }

  /**
   * @param asked id or name of a type
   * @throws CloudError `not_found` for a project that is none, `invalid` for a type that is none
   */
  async set(caller: Caller, project: string, asked: string): Promise<DefaultType> {
    requireAdmin(caller, 'set a default volume type');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows: projects } = await sql<{ id: string }>`select id from project
        where id = ${parseId(project) ?? null}::uuid`.execute(tx);
      if (!projects[0]) throw notFound('project', project);
      const { rows: types } = await sql<{ id: string }>`select id from volume_type
        where id = ${parseId(asked) ?? null}::uuid or name = ${asked} order by name = ${asked} limit 1`.execute(tx);
      const type = await lockType(tx, types[0]?.id ?? asked).catch((error: unknown) => {
        throw isCloudError(error, 'not_found') ? error.as('invalid') : error;
      });
      const { rows } = await sql<DefaultType>`insert into volume_type_default (project_id, volume_type_id)
        values (${projects[0].id}, ${type.id})
        on conflict (project_id) do update set volume_type_id = excluded.volume_type_id
        returning project_id, volume_type_id`.execute(tx);
      await touchType(tx, type.id);
      return rows[0]!;
    });
  }

  /** Back to the cloud's default. Where there is nothing to take away, nothing happens. */
  async unset(caller: Caller, project: string): Promise<void> {
    requireAdmin(caller, 'take away a default volume type');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<{ volume_type_id: string }>`delete from volume_type_default
        where project_id = ${parseId(project) ?? null}::uuid returning volume_type_id`.execute(tx);
      for (const row of rows) await touchType(tx, row.volume_type_id);
    });
  }
}
