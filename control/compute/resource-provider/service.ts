/**
 * Hosts as placement's resource providers, for administrators: what each has, gives out and is, who has what of it, and which would take a
 * wish. All is read from the rows that placement decides by; written are only an administrator's own words: how far a host is
 * overcommitted, what of it is kept back, its custom traits. Owns `host.traits`, `host.*_ratio`, `host.*_reserved*` and `custom_trait`.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { capacityColumns } from '../../host/capacity.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import type { Database, Queryable, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockPlacement } from '../placement/index.ts';
import { type NatureRow, natureColumns, natureFrom } from '../placement/nature.ts';
import { standardTraits } from '../placement/traits.ts';
import { type Inventory, type InventoryRow, inventoriesOf, type ResourceClass } from './inventory.ts';

export interface Provider {
  id: string;
  name: string;
  generation: number;
  updated_at: Date;
  inventories: Record<ResourceClass, Inventory>;
  traits: readonly string[];
  aggregateIds: string[];
}

export interface ProviderFilter {
  id?: string;
  name?: string;
}

/** Of one resource class; what is not named is as the cloud takes it. */
export interface InventoryWord {
  ratio?: number;
  reserved?: number;
}

export interface Allocation {
  consumer_id: string;
  host_id: string;
  generation: number;
  resources: Record<ResourceClass, number>;
}

export interface Consumer {
  project_id: string;
  user_id: string;
  generation: number;
  allocations: (Allocation & { host_generation: number })[];
}

interface ProviderRow extends InventoryRow, NatureRow {
  id: string;
  name: string;
  provider_generation: number;
  updated_at: Date;
  aggregate_ids: string[];
}

const columns: Readonly<Record<ResourceClass, { ratio: string; reserved: string }>> = {
  VCPU: { ratio: 'vcpus_ratio', reserved: 'vcpus_reserved' },
  MEMORY_MB: { ratio: 'memory_ratio', reserved: 'memory_reserved_mib' },
  DISK_GB: { ratio: 'disk_ratio', reserved: 'disk_reserved_gib' },
};

export class ResourceProviderService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Oldest first. */
  async list(caller: Caller, filter: ProviderFilter = {}): Promise<Provider[]> {
    requireAdmin(caller, 'list resource providers');
    return read(this.#database.query, filter);
  }

  /** @throws CloudError `not_found` */
  async get(caller: Caller, id: string): Promise<Provider> {
    requireAdmin(caller, 'show a resource provider');
    return readOne(this.#database.query, id);
  }

  /**
   * Says how these resource classes of the host are given out; of others nothing changes.
   * @param generation that the caller has seen @throws CloudError `conflict` where it is another by now
   */
  async setInventories(
    caller: Caller,
    id: string,
    { generation, words }: { generation: number | null; words: Partial<Record<ResourceClass, InventoryWord>> },
  ): Promise<Provider> {
    return this.#change(caller, id, generation, async (tx, before) => {
      const set = Object.entries(words).flatMap(([name, { ratio = null, reserved = null }]) => {
        const column = columns[name as ResourceClass];
        return [sql`${sql.ref(column.ratio)} = ${ratio}`, sql`${sql.ref(column.reserved)} = ${reserved}`];
      });
      if (set.length > 0) await sql`update host set ${sql.join(set)} where id = ${id}`.execute(tx);
      const { VCPU, MEMORY_MB, DISK_GB } = before.inventories;
      const has = { cpus: VCPU.total, memoryMiB: MEMORY_MB.total, diskGiB: DISK_GB.total };
      await sql`update host set ${capacityColumns(has)} where id = ${id}`.execute(tx);
    });
  }

  /** Replaces the custom traits; what a host is by itself it stays. @throws CloudError `invalid` for one that there is not, `conflict` */
  async setTraits(
    caller: Caller,
    id: string,
    { generation, traits }: { generation: number | null; traits: readonly string[] },
  ): Promise<Provider> {
    return this.#change(caller, id, generation, async (tx, before) => {
      const own = traits.filter((trait) => trait.startsWith('CUSTOM_'));
      const foreign = traits.filter((trait) => !own.includes(trait) && !before.traits.includes(trait));
      const { rows } = await sql<{ name: string }>`select name from custom_trait where name = any(${own}::text[])
        order by name for share`.execute(tx);
      const known = new Set([...rows.map(({ name }) => name), ...standardTraits]);
      const unknown = [...own, ...foreign].filter((trait) => !known.has(trait));
      if (unknown.length > 0) throw new CloudError('invalid', 'traits_unknown', { traits: unknown.join(', ') });
      if (foreign.length > 0) throw new CloudError('conflict', 'traits_are_facts', { traits: foreign.join(', ') });
      await sql`update host set traits = ${[...new Set(own)].sort()}::text[] where id = ${id}`.execute(tx);
    });
  }

  /** All names that there are. @param associated only those that a host has (true), or none has (false) */
  async traits(caller: Caller, { associated }: { associated?: boolean } = {}): Promise<string[]> {
    requireAdmin(caller, 'list traits');
    const { rows } = await sql<{ name: string }>`select name from custom_trait order by name`.execute(
      this.#database.query,
    );
    const all = [...standardTraits, ...rows.map(({ name }) => name)];
    if (associated === undefined) return all;
    const had = new Set((await read(this.#database.query)).flatMap(({ traits }) => traits));
    return all.filter((trait) => had.has(trait) === associated);
  }

  /** @returns whether it was made now */
  async addTrait(caller: Caller, name: string): Promise<boolean> {
    requireAdmin(caller, 'make a trait');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } =
        await sql`insert into custom_trait (name) values (${name}) on conflict do nothing`.execute(tx);
      return numAffectedRows === 1n;
    });
  }

  /** @throws CloudError `not_found`; `conflict` while a host has it */
  async removeTrait(caller: Caller, name: string): Promise<void> {
    requireAdmin(caller, 'delete a trait');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } = await sql`delete from custom_trait where name = ${name}`.execute(tx);
      if (numAffectedRows !== 1n) throw new CloudError('not_found', 'trait_not_found', { name });
      const { rows } = await sql`select from host where ${name} = any(traits) limit 1`.execute(tx);
      if (rows.length > 0) throw new CloudError('conflict', 'trait_in_use', { name });
    });
  }

  /** Who has what of a host. @throws CloudError `not_found` */
  async allocations(caller: Caller, id: string): Promise<{ generation: number; allocations: Allocation[] }> {
    requireAdmin(caller, 'list allocations');
    const { generation } = await readOne(this.#database.query, id);
    const { rows } = await sql<Allocation>`select consumer_id, host_id, generation, resources from ${allocated} as each
      where host_id = ${id} order by consumer_id`.execute(this.#database.query);
    return { generation, allocations: rows };
  }

  /** What a server has, and where: on two hosts while it moves. Undefined: there is no such one, or it has nothing. */
  async consumer(caller: Caller, id: string): Promise<Consumer | undefined> {
    requireAdmin(caller, 'show the allocations of a consumer');
    const { rows } = await sql<Allocation & { project_id: string; user_id: string; host_generation: number }>`
      select consumer_id, host_id, generation, resources, project_id, user_id,
        (select provider_generation from host where id = each.host_id) as host_generation
      from ${allocated} as each where consumer_id = ${parseId(id) ?? null}::uuid order by host_id`.execute(
      this.#database.query,
    );
    const [first] = rows;
    if (!first) return undefined;
    const { project_id, user_id, generation } = first;
    return { project_id, user_id, generation, allocations: rows };
  }

  /** What the servers of a project have. @throws CloudError `forbidden` for another's, but for administrators */
  async usages(
    caller: Caller,
    { projectId, userId }: { projectId: string; userId?: string },
  ): Promise<{ consumers: number; resources: Record<ResourceClass, number> }> {
    if (!isAdmin(caller) && parseId(projectId) !== caller.projectId) requireAdmin(caller, 'read what a project has');
    const { rows } = await sql<{ consumers: number; vcpus: number; memory_mib: number; disk_gib: number }>`
      select count(distinct consumer_id)::integer as consumers, coalesce(sum((resources ->> 'VCPU')::bigint), 0)::bigint as vcpus,
        coalesce(sum((resources ->> 'MEMORY_MB')::bigint), 0)::bigint as memory_mib,
        coalesce(sum((resources ->> 'DISK_GB')::bigint), 0)::bigint as disk_gib
      from ${allocated} as each where project_id = ${parseId(projectId) ?? null}::uuid
        and (${userId === undefined} or user_id = ${userId === undefined ? null : (parseId(userId) ?? null)}::uuid)`.execute(
      this.#database.query,
    );
    const { consumers, vcpus, memory_mib, disk_gib } = rows[0]!;
    return { consumers, resources: { VCPU: vcpus, MEMORY_MB: memory_mib, DISK_GB: disk_gib } };
  }

  /** @throws CloudError `not_found`; `conflict` where the host has changed since */
  async #change(
    caller: Caller,
    id: string,
    generation: number | null,
    work: (tx: Tx, before: Provider) => Promise<void>,
  ): Promise<Provider> {
    requireAdmin(caller, 'change a resource provider');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      // What is decided meanwhile must see one or the other.
      await lockPlacement(tx);
      await sql`select from host where id = ${parseId(id) ?? null}::uuid for update`.execute(tx);
      const before = await readOne(tx, id);
      if (generation !== null && generation !== before.generation)
        throw new CloudError('conflict', 'provider_changed', { id });
      await work(tx, before);
      await sql`update host set provider_generation = provider_generation + 1, updated_at = now() where id = ${id}`.execute(
        tx,
      );
      return readOne(tx, id);
    });
  }
}

/** Servers with their host, and what those that move have claimed on another. */
const allocated: RawBuilder<unknown> = sql`(
  select s.id as consumer_id, s.host_id, s.generation, s.project_id, s.user_id,
    json_build_object('VCPU', s.vcpus, 'MEMORY_MB', s.memory_mib, 'DISK_GB', s.disk_gib + s.local_gib) as resources
  from server s where s.host_id is not null
  union all select c.server_id, c.host_id, s.generation, s.project_id, s.user_id,
    json_build_object('VCPU', c.vcpus, 'MEMORY_MB', c.memory_mib, 'DISK_GB', c.disk_gib)
  from server_claim c join server s on s.id = c.server_id)`;

async function read(db: Queryable, { id, name }: ProviderFilter = {}): Promise<Provider[]> {
  if (id !== undefined && parseId(id) === undefined) return [];
  const { rows } =
    await sql<ProviderRow>`select h.id, h.name, h.provider_generation::integer as provider_generation, h.updated_at, ${natureColumns},
      (h.facts ->> 'cpus')::integer as cpus, (h.facts ->> 'memoryMiB')::bigint as total_memory_mib,
      (h.facts ->> 'diskGiB')::bigint as total_disk_gib, h.vcpus, h.memory_mib, h.disk_gib,
      h.vcpus_ratio, h.memory_ratio, h.disk_ratio, h.vcpus_reserved, h.memory_reserved_mib, h.disk_reserved_gib,
      coalesce(u.vcpus, 0)::integer as used_vcpus, coalesce(u.memory_mib, 0) as used_memory_mib, coalesce(u.disk_gib, 0) as used_disk_gib,
      array(select x.aggregate_id from aggregate_host x where x.host_id = h.id order by x.aggregate_id) as aggregate_ids
    from host h left join host_usage u on u.host_id = h.id
    where (${id ?? null}::uuid is null or h.id = ${id ?? null}::uuid) and (${name ?? null}::text is null or h.name = ${name ?? null})
    order by h.id`.execute(db);
  return rows.map((row) => ({
    ...{ id: row.id, name: row.name, generation: row.provider_generation, updated_at: row.updated_at },
    ...{ inventories: inventoriesOf(row), traits: natureFrom(row).traits, aggregateIds: row.aggregate_ids },
  }));
}

async function readOne(db: Queryable, id: string): Promise<Provider> {
  const [provider] = await read(db, { id });
  if (!provider) throw notFound('host', id);
  return provider;
}
