/** Volume types: administrators write them, everyone reads the public ones and those that their project was given. */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Database, Queryable } from '../../kit/database/database.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { usableBy, type VolumeTypeRow, volumeTypeListing } from './listing.ts';

/** The type of volumes for which none is named, as OpenStack names it. */
export const defaultTypeName = '__DEFAULT__';

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

  /** The type that a volume gets for which none is named. */
  default(caller: Caller): Promise<VolumeTypeRow> {
    return typeOf(this.#database.query, caller.projectId, null);
  }
}

/**
 * The type that a new volume of a project gets.
 * @param asked id or name; null: none was named
 * @throws CloudError `not_found`, also for one that the project may not use
 */
export async function typeOf(db: Queryable, projectId: string | null, asked: string | null): Promise<VolumeTypeRow> {
  const name = asked ?? defaultTypeName;
  const { rows } = await sql<VolumeTypeRow>`select t.* from volume_type t
    where (t.id = ${parseId(name) ?? null}::uuid or t.name = ${name}) and ${usableBy(projectId)}
    order by t.id = ${parseId(name) ?? null}::uuid desc limit 1`.execute(db);
  if (!rows[0]) throw notFound('volume_type', name);
  return rows[0];
}
