/**
 * Aggregates as administrators make them. Owns `aggregate`, `aggregate_host` and the column `host.availability_zone`. Each call is one
 * transaction under placement's lock: what it finds of servers on hosts holds until its end.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockPlacement } from '../placement/index.ts';
import type { AggregateTable } from './tables.ts';

export interface AggregateRow extends Selectable<AggregateTable> {
  /** Names. */
  hosts: string[];
}

/** What is not named stays. */
export interface AggregateChange {
  name?: string;
  availabilityZone?: string | null;
  /** Null takes a key away. */
  metadata?: Readonly<Record<string, string | null>>;
}

/** The zone of hosts of which no aggregate says another; Nova's default. */
const zoneOfOthers = 'nova';

export class AggregateService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller): Promise<AggregateRow[]> {
    requireAdmin(caller, 'list aggregates');
    return read(this.#database.query);
  }

  /** @throws CloudError `not_found` */
  async get(caller: Caller, number: number): Promise<AggregateRow> {
    requireAdmin(caller, 'show an aggregate');
    return readOne(this.#database.query, number);
  }

  /** @throws CloudError `conflict` for a name that is taken */
  create(caller: Caller, wish: { name: string; availabilityZone: string | null }): Promise<AggregateRow> {
    return this.#write(caller, 'make an aggregate', async (tx) => {
      const { rows } = await sql<{ number: number }>`insert into aggregate (id, name, availability_zone)
        values (${newId()}, ${wish.name}, ${wish.availabilityZone}) returning number`
        .execute(tx)
        .catch(nameTaken(wish.name));
      return rows[0]!.number;
    });
  }

  /** @throws CloudError `not_found`; `conflict` for a name that is taken; `invalid` where its hosts can't change their zone */
  update(caller: Caller, number: number, change: AggregateChange): Promise<AggregateRow> {
    return this.#write(caller, 'change an aggregate', async (tx) => {
      const now = await readOne(tx, number);
      const zone = change.availabilityZone === undefined ? now.availability_zone : change.availabilityZone;
      const metadata = Object.entries({ ...now.metadata, ...change.metadata }).filter(([, value]) => value !== null);
      await sql`update aggregate set name = ${change.name ?? now.name}, availability_zone = ${zone},
        metadata = ${JSON.stringify(Object.fromEntries(metadata))}::jsonb, ${touched} where id = ${now.id}`
        .execute(tx)
        .catch(nameTaken(change.name ?? now.name));
      if (zone !== now.availability_zone) await settleZones(tx, now.hosts, 'invalid');
      return number;
    });
  }

  /** @throws CloudError `not_found`; `invalid` while it has hosts */
  async delete(caller: Caller, number: number): Promise<void> {
    requireAdmin(caller, 'delete an aggregate');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPlacement(tx);
      const { id, hosts } = await readOne(tx, number);
      if (hosts.length > 0) throw new CloudError('invalid', 'aggregate_not_empty', { id: String(number) });
      await sql`delete from aggregate where id = ${id}`.execute(tx);
    });
  }

  /** @throws CloudError `not_found`; `conflict` where it is there already or can't change its zone */
  addHost(caller: Caller, number: number, host: string): Promise<AggregateRow> {
    return this.#write(caller, 'add a host to an aggregate', async (tx) => {
      const { id, hosts } = await readOne(tx, number);
      const { rows } = await sql<{ id: string }>`select id from host where name = ${host}`.execute(tx);
      if (!rows[0]) throw notFound('host', host);
      if (hosts.includes(host)) {
        throw new CloudError('conflict', 'aggregate_host_exists', { aggregate: String(number), host });
      }
      await sql`insert into aggregate_host (aggregate_id, host_id) values (${id}, ${rows[0].id})`.execute(tx);
      await sql`update aggregate set ${touched} where id = ${id}`.execute(tx);
      await settleZones(tx, [host], 'conflict');
      return number;
    });
  }

  /** @throws CloudError `not_found`; `conflict` where it can't change its zone */
  removeHost(caller: Caller, number: number, host: string): Promise<AggregateRow> {
    return this.#write(caller, 'remove a host from an aggregate', async (tx) => {
      const { id, hosts } = await readOne(tx, number);
      if (!hosts.includes(host)) {
        throw new CloudError('not_found', 'aggregate_host_missing', { aggregate: String(number), host });
      }
      await sql`delete from aggregate_host where aggregate_id = ${id}
        and host_id = (select id from host where name = ${host})`.execute(tx);
      await sql`update aggregate set ${touched} where id = ${id}`.execute(tx);
      await settleZones(tx, [host], 'conflict');
      return number;
    });
  }

  /**
   * Nova's image cache: that the hosts have the images ahead of the first server. Where they have, there is nothing to do.
   * @throws CloudError `not_found`; `invalid` that names the first image and host of which this is not so
   */
  async requireImages(caller: Caller, number: number, images: readonly string[]): Promise<void> {
    requireAdmin(caller, 'cache images on the hosts of an aggregate');
    const { id } = await readOne(this.#database.query, number);
    const { rows } = await sql<{ image: string; host: string }>`select w.image, h.name as host
      from unnest(${[...images]}::uuid[]) with ordinality as w(image, place), aggregate_host x join host h on h.id = x.host_id
      where x.aggregate_id = ${id} and not exists (select from image_location l join image i on i.id = l.image_id
        where l.image_id = w.image and l.host_id = h.id and i.desired_presence = 'present')
      order by w.place, h.name limit 1`.execute(this.#database.query);
    if (rows[0]) throw new CloudError('invalid', 'image_not_on_host', rows[0]);
  }

  async #write(caller: Caller, operation: string, work: (tx: Tx) => Promise<number>): Promise<AggregateRow> {
    requireAdmin(caller, operation);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPlacement(tx);
      return readOne(tx, await work(tx));
    });
  }
}

const touched = sql`generation = generation + 1, updated_at = now()`;

async function read(db: Queryable, number: number | null = null): Promise<AggregateRow[]> {
  const { rows } = await sql<AggregateRow>`select a.*, array(select h.name from aggregate_host x
      join host h on h.id = x.host_id where x.aggregate_id = a.id order by h.name) as hosts
    from aggregate a where ${number}::bigint is null or a.number = ${number}::bigint order by a.number`.execute(db);
  return rows;
}

async function readOne(db: Queryable, number: number): Promise<AggregateRow> {
  const [row] = await read(db, number);
  if (!row) throw notFound('aggregate', String(number));
  return row;
}

const nameTaken =
  (name: string) =>
  (error: unknown): never => {
    if (violatedConstraint(error) !== 'aggregate_name_key') throw error;
    throw new CloudError('conflict', 'aggregate_name_taken', { name }, { cause: error });
  };

/** Hosts, by name, follow the zones of their aggregates. @throws CloudError of the code, where one would be in two or carries servers */
async function settleZones(tx: Tx, hosts: readonly string[], code: 'invalid' | 'conflict'): Promise<void> {
  const { rows } = await sql<{ id: string; name: string; zones: string[]; servers: boolean }>`
    with wanted as (select h.id, h.name, h.availability_zone as now,
        array(select distinct a.availability_zone from aggregate_host x join aggregate a on a.id = x.aggregate_id
          where x.host_id = h.id and a.availability_zone is not null) as zones
      from host h where h.name = any(${[...hosts]}::text[]))
    select id, name, zones, exists (select from server s where s.host_id = wanted.id) as servers
    from wanted where cardinality(zones) > 1 or now <> coalesce(zones[1], ${zoneOfOthers}) order by id`.execute(tx);
  for (const { id, name, zones, servers } of rows) {
    if (zones.length > 1) throw new CloudError(code, 'aggregate_host_in_two_zones', { host: name });
    if (servers) throw new CloudError(code, 'aggregate_host_has_servers', { host: name });
    await sql`update host set availability_zone = ${zones[0] ?? zoneOfOthers}, updated_at = now()
      where id = ${id}`.execute(tx);
  }
}
