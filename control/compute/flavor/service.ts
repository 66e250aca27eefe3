/**
 * Flavors: sizes that servers are made in. Administrators write them, everyone reads the public ones and those that a
 * project was given. A server keeps its own copy, so a flavor may go while servers made from it stay.
 */
import { type RawBuilder, type Selectable, sql } from 'kysely';
import { CloudError, isCloudError } from '../../../contract/errors.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { FlavorTable } from './tables.ts';

export type FlavorRow = Selectable<FlavorTable>;

export interface FlavorWish {
  /** Null: the cloud chooses. */
  flavorId: string | null;
  name: string;
  description: string | null;
  vcpus: number;
  memoryMiB: number;
  diskGiB: number;
  ephemeralGiB: number;
  swapMiB: number;
  rxtxFactor: number;
  public: boolean;
}

export const flavorSortKeys = {
  flavorid: sql`flavor_id`,
  name: sql`name`,
  memory_mb: sql`memory_mib`,
  vcpus: sql`vcpus`,
  root_gb: sql`disk_gib`,
  ephemeral_gb: sql`ephemeral_gib`,
  swap: sql`swap_mib`,
  rxtx_factor: sql`rxtx_factor`,
  is_public: sql`public`,
  disabled: sql`disabled`,
  id: sql`id`,
  created_at: sql`created_at`,
  updated_at: sql`updated_at`,
} as const;

export interface FlavorFilter {
  /** Administrators: only public (true), only not public (false), both (null). Others always see what they may use. */
  public?: boolean | null;
  minMemoryMiB?: number;
  minDiskGiB?: number;
  sortKey?: keyof typeof flavorSortKeys;
  sortDirection?: 'asc' | 'desc';
  marker?: string;
  limit?: number;
}

export class FlavorService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller, filter: FlavorFilter = {}): Promise<FlavorRow[]> {
    const where: RawBuilder<unknown>[] = [];
    if (!isAdmin(caller)) where.push(usable(caller), sql`not disabled`);
    else if (filter.public !== null) where.push(sql`public = ${filter.public ?? true}`);
    if (filter.minMemoryMiB !== undefined) where.push(sql`memory_mib >= ${filter.minMemoryMiB}`);
    if (filter.minDiskGiB !== undefined) where.push(sql`disk_gib >= ${filter.minDiskGiB}`);
    const key = flavorSortKeys[filter.sortKey ?? 'flavorid'];
    const down = filter.sortDirection === 'desc';
    if (filter.marker !== undefined) {
      // One that the caller may not use is none: the page after it would tell that it is there, and its size.
      const marker = await this.get(caller, filter.marker).catch((error: unknown) => {
        if (!isCloudError(error, 'not_found')) throw error;
        throw new CloudError('invalid', 'marker_not_found', { marker: filter.marker! }, { cause: error });
      });
      const at = sql`(select ${key}, id from flavor where id = ${marker.id})`;
      where.push(down ? sql`(${key}, id) < ${at}` : sql`(${key}, id) > ${at}`);
    }
    const direction = sql.raw(down ? 'desc' : 'asc');
    const { rows } = await sql<FlavorRow>`select * from flavor
      where ${where.length > 0 ? sql.join(where, sql` and `) : sql`true`}
      order by ${key} ${direction}, id ${direction} limit ${filter.limit ?? null}::bigint`.execute(
      this.#database.query,
    );
    return rows;
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  async get(caller: Caller, flavorId: string): Promise<FlavorRow> {
    const { rows } = await sql<FlavorRow>`select * from flavor where flavor_id = ${flavorId}
      and (${isAdmin(caller)} or ${usable(caller)})`.execute(this.#database.query);
    if (!rows[0]) throw notFound('flavor', flavorId);
    return rows[0];
  }

  /** @throws CloudError `forbidden`, `conflict` */
  async create(caller: Caller, wish: FlavorWish): Promise<FlavorRow> {
    requireAdmin(caller, 'create a flavor');
    const id = newOrderedId();
    const flavorId = wish.flavorId ?? id;
    return this.#database.transaction(actorOf(caller), async (tx) => {
      try {
        const { rows } = await sql<FlavorRow>`insert into flavor (id, flavor_id, name, description, vcpus, memory_mib,
            disk_gib, ephemeral_gib, swap_mib, rxtx_factor, public)
          values (${id}, ${flavorId}, ${wish.name}, ${wish.description}, ${wish.vcpus}, ${wish.memoryMiB},
            ${wish.diskGiB}, ${wish.ephemeralGiB}, ${wish.swapMiB}, ${wish.rxtxFactor}, ${wish.public})
          returning *`.execute(tx);
        return rows[0]!;
      } catch (error) {
        const constraint = violatedConstraint(error);
        if (constraint === 'flavor_flavor_id_key')
          throw new CloudError('conflict', 'flavor_id_taken', { id: flavorId }, { cause: error });
        if (constraint === 'flavor_name_key')
          throw new CloudError('conflict', 'flavor_name_taken', { name: wish.name }, { cause: error });
        throw error;
      }
    });
  }

  async setDescription(caller: Caller, flavorId: string, description: string | null): Promise<FlavorRow> {
    requireAdmin(caller, 'change a flavor');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<FlavorRow>`update flavor set description = ${description}, updated_at = now()
        where flavor_id = ${flavorId} returning *`.execute(tx);
      if (!rows[0]) throw notFound('flavor', flavorId);
      return rows[0];
    });
  }

  async delete(caller: Caller, flavorId: string): Promise<void> {
    requireAdmin(caller, 'delete a flavor');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } = await sql`delete from flavor where flavor_id = ${flavorId}`.execute(tx);
      if (numAffectedRows !== 1n) throw notFound('flavor', flavorId);
    });
  }

  /** Replaces what `edit` answers for the present extra specs. @returns the new ones */
  async editExtraSpecs(
    caller: Caller,
    flavorId: string,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    requireAdmin(caller, 'change a flavor’s extra specs');
    return this.#change(caller, flavorId, async (tx, flavor) => {
      const specs = edit({ ...flavor.extra_specs });
      await sql`update flavor set extra_specs = ${JSON.stringify(specs)}::jsonb, updated_at = now()
        where id = ${flavor.id}`.execute(tx);
      return specs;
    });
  }

  /** Projects that may use a flavor that is not public. */
  async access(caller: Caller, flavorId: string): Promise<string[]> {
    requireAdmin(caller, 'list who may use a flavor');
    const flavor = await this.#find(flavorId);
    if (!flavor) throw notFound('flavor', flavorId);
    if (flavor.public) {
      throw new CloudError('not_found', 'flavor_public', { id: flavorId });
    }
    return accessOf(this.#database.query as Tx, flavor.id);
  }

  /** @returns all projects that may use it now */
  async addAccess(caller: Caller, flavorId: string, projectId: string): Promise<string[]> {
    requireAdmin(caller, 'let a project use a flavor');
    return this.#change(caller, flavorId, async (tx, flavor) => {
      const { numAffectedRows } = await sql`insert into flavor_access (flavor_id, project_id)
        values (${flavor.id}, ${projectId}) on conflict do nothing`.execute(tx);
      if (numAffectedRows !== 1n) {
        throw new CloudError('conflict', 'flavor_access_exists', { flavor: flavorId, project: projectId });
      }
      return accessOf(tx, flavor.id);
    });
  }

  async removeAccess(caller: Caller, flavorId: string, projectId: string): Promise<string[]> {
    requireAdmin(caller, 'take a flavor from a project');
    return this.#change(caller, flavorId, async (tx, flavor) => {
      const { numAffectedRows } = await sql`delete from flavor_access
        where flavor_id = ${flavor.id} and project_id = ${projectId}`.execute(tx);
      if (numAffectedRows !== 1n) {
        throw new CloudError('not_found', 'flavor_access_missing', { flavor: flavorId, project: projectId });
      }
      return accessOf(tx, flavor.id);
    });
  }

  async #find(flavorId: string): Promise<FlavorRow | undefined> {
    const { rows } = await sql<FlavorRow>`select * from flavor where flavor_id = ${flavorId}`.execute(
      this.#database.query,
    );
    return rows[0];
  }

  async #change<T>(caller: Caller, flavorId: string, work: (tx: Tx, flavor: FlavorRow) => Promise<T>): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<FlavorRow>`select * from flavor where flavor_id = ${flavorId} for update`.execute(tx);
      if (!rows[0]) throw notFound('flavor', flavorId);
      return work(tx, rows[0]);
    });
  }
}

const usable = (caller: Caller): RawBuilder<unknown> => sql`(public or exists (select from flavor_access a
  where a.flavor_id = flavor.id and a.project_id = ${caller.projectId}::uuid))`;

async function accessOf(tx: Tx, id: string): Promise<string[]> {
  const { rows } = await sql<{ project_id: string }>`select project_id from flavor_access where flavor_id = ${id}
    order by project_id`.execute(tx);
  return rows.map((row) => row.project_id);
}
