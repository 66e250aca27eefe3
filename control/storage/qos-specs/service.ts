/**
 * QoS specs: what limits the volumes of the types that they are given to. Administrators' alone. A change is told to the hosts whose
 * guests have such volumes, in the transaction that makes it; they throttle the running guests anew.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { type Listing, type ListQuery, listRows } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { tellServers } from '../attachment/index.ts';
import { tellExports } from '../export/index.ts';
import { amount, isLimitKey, lockType, type QosConsumer } from '../volume-type/index.ts';
import type { QosSpecsTable } from './tables.ts';

export type QosSpecsRow = Selectable<QosSpecsTable>;

const listing: Listing<QosSpecsRow> = {
  noun: 'qos_specs',
  select: sql`t.*`,
  from: sql`qos_specs t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    consumer: { kind: 'text', sortable: true },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: () => sql`true`,
};

export class QosSpecsService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller, query: ListQuery = {}): Promise<QosSpecsRow[]> {
    requireAdmin(caller, 'list QoS specs');
    return listRows(this.#database.query, caller, listing, query);
  }

  async get(caller: Caller, id: string): Promise<QosSpecsRow> {
    requireAdmin(caller, 'show QoS specs');
    return read(this.#database.query, id);
  }

  /** @throws CloudError `forbidden`, `invalid`, `conflict` */
  async create(
    caller: Caller,
    wish: { name: string; consumer: QosConsumer; specs: Record<string, string> },
  ): Promise<QosSpecsRow> {
    requireAdmin(caller, 'create QoS specs');
    requireAmounts(wish.specs);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<QosSpecsRow>`insert into qos_specs (id, name, consumer, specs)
        values (${newId()}, ${wish.name}, ${wish.consumer}, ${JSON.stringify(wish.specs)}::jsonb) returning *`
        .execute(tx)
        .catch((error: unknown) => {
          if (violatedConstraint(error) !== 'qos_specs_name_key') throw error;
          throw new CloudError('conflict', 'qos_specs_name_taken', { name: wish.name }, { cause: error });
        });
      return rows[0]!;
    });
  }

  /** Sets keys, and perhaps whom they are for; what is not named stays. */
  async set(
    caller: Caller,
    id: string,
    change: { consumer?: QosConsumer; specs: Record<string, string> },
  ): Promise<QosSpecsRow> {
    requireAdmin(caller, 'change QoS specs');
    requireAmounts(change.specs);
    return this.#edit(caller, id, (present) => ({
      consumer: change.consumer ?? present.consumer,
      specs: { ...present.specs, ...change.specs },
    }));
  }

  /** @throws CloudError `not_found` for a key that is not there; then none is taken away */
  async unset(caller: Caller, id: string, keys: readonly string[]): Promise<QosSpecsRow> {
    requireAdmin(caller, 'change QoS specs');
    return this.#edit(caller, id, ({ consumer, specs }) => {
      const missing = keys.find((key) => !Object.hasOwn(specs, key));
      if (missing !== undefined) throw new CloudError('not_found', 'qos_specs_key_missing', { id, key: missing });
      const kept = Object.entries(specs).filter(([key]) => !keys.includes(key));
      return { consumer, specs: Object.fromEntries(kept) };
    });
  }

  /** @throws CloudError `not_found`; `conflict` while types have them, but with `force`: then these have none any more */
  async delete(caller: Caller, id: string, { force }: { force: boolean }): Promise<void> {
    requireAdmin(caller, 'delete QoS specs');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const specs = await lock(tx, id);
      const types = await typesOf(tx, specs.id);
      if (types.length > 0 && !force) throw new CloudError('conflict', 'qos_specs_in_use', { id: specs.id });
      for (const type of types) await give(tx, type.id, null);
      await sql`delete from qos_specs where id = ${specs.id}`.execute(tx);
    });
  }

  /** The types that have them. */
  async associations(caller: Caller, id: string): Promise<{ id: string; name: string }[]> {
    requireAdmin(caller, 'list what has QoS specs');
    const { id: known } = await read(this.#database.query, id);
    return typesOf(this.#database.query, known);
  }

  /** @throws CloudError `not_found`; `invalid` for a type that has others */
  async associate(caller: Caller, id: string, typeId: string): Promise<void> {
    requireAdmin(caller, 'give QoS specs to a volume type');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const specs = await lock(tx, id);
      const type = await lockType(tx, typeId);
      if (type.qos_specs_id === specs.id) return;
      if (type.qos_specs_id !== null) {
        throw new CloudError('invalid', 'volume_type_has_other_qos', { id: type.id, specs: type.qos_specs_id });
      }
      await give(tx, type.id, specs.id);
    });
  }

  /** @param typeId undefined: from all types; one that does not have them is left alone */
  async disassociate(caller: Caller, id: string, typeId?: string): Promise<void> {
    requireAdmin(caller, 'take QoS specs from a volume type');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const specs = await lock(tx, id);
      const types = await typesOf(tx, specs.id);
      if (typeId !== undefined) await lockType(tx, typeId);
      for (const type of types) {
        if (typeId === undefined || type.id === parseId(typeId)) await give(tx, type.id, null);
      }
    });
  }

  #edit(
    caller: Caller,
    id: string,
    edit: (present: QosSpecsRow) => Pick<QosSpecsRow, 'consumer' | 'specs'>,
  ): Promise<QosSpecsRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const present = await lock(tx, id);
      const { consumer, specs } = edit(present);
      const { rows } = await sql<QosSpecsRow>`update qos_specs set consumer = ${consumer},
        specs = ${JSON.stringify(specs)}::jsonb, generation = generation + 1, updated_at = now()
        where id = ${present.id} returning *`.execute(tx);
      for (const type of await typesOf(tx, present.id)) await tellOfType(tx, type.id);
      return rows[0]!;
    });
  }
}

/** @throws CloudError `invalid` for a limit that is no whole number: it would silently limit nothing */
function requireAmounts(specs: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(specs)) {
    if (isLimitKey(key) && amount(value) === undefined) {
      throw new CloudError('invalid', 'qos_spec_no_number', { key, value });
    }
  }
}

async function read(db: Queryable, id: string): Promise<QosSpecsRow> {
  const { rows } = await sql<QosSpecsRow>`select * from qos_specs where id = ${parseId(id) ?? null}::uuid`.execute(db);
  if (!rows[0]) throw notFound('qos_specs', id);
  return rows[0];
}

async function lock(tx: Tx, id: string): Promise<QosSpecsRow> {
  const { rows } = await sql<QosSpecsRow>`select * from qos_specs where id = ${parseId(id) ?? null}::uuid
    for update`.execute(tx);
  if (!rows[0]) throw notFound('qos_specs', id);
  return rows[0];
}

async function typesOf(db: Queryable, id: string): Promise<{ id: string; name: string }[]> {
  const { rows } = await sql<{ id: string; name: string }>`select id, name from volume_type where qos_specs_id = ${id}
    order by name`.execute(db);
  return rows;
}

async function give(tx: Tx, typeId: string, specsId: string | null): Promise<void> {
  await sql`update volume_type set qos_specs_id = ${specsId}, generation = generation + 1, updated_at = now()
    where id = ${typeId}`.execute(tx);
  await tellOfType(tx, typeId);
}

/** The servers, and the hosts of machines outside, that have volumes of the type hear of their new limits. */
async function tellOfType(tx: Tx, typeId: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`select v.id from volume v join volume_attachment a on a.volume_id = v.id
    where v.volume_type_id = ${typeId} order by v.id`.execute(tx);
  const ids = rows.map((row) => row.id);
  await tellServers(tx, ids);
  await tellExports(tx, ids);
}
