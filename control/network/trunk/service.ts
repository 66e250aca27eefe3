/** Trunks: the operations that the dialects may call. Each is one transaction that holds the trunk's row and its ports'. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { refuseOverPromise } from '../bandwidth/bandwidth.ts';
import { checkWishes, fitSubport, lockTrunkPorts, requireParent, type SubportWish, type TrunkPorts } from './ports.ts';
import { trunk as descriptor } from './resource.ts';
import { type TrunkRow, trunkListing } from './trunk.ts';

export type { SubportWish } from './ports.ts';

export interface TrunkWish {
  project_id?: string;
  name?: string;
  description?: string;
  admin_state_up?: boolean;
  port_id: string;
  sub_ports?: SubportWish[];
}

const subportOwner = 'trunk:subport';

export class TrunkService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<TrunkRow[]> {
    return listRows(this.#database.query, caller, trunkListing, query);
  }

  read(caller: Caller, id: string): Promise<TrunkRow> {
    return readRow(this.#database.query, caller, trunkListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly TrunkWish[]): Promise<TrunkRow[]> {
    const drafts = wishes.map((wish) => ({
      id: newId(),
      wish,
      project: projectFor(caller, wish.project_id, 'create_trunk'),
    }));
    for (const { wish } of drafts) checkWishes(wish.sub_ports ?? []);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      for (const [project, own] of Map.groupBy(drafts, (draft) => draft.project)) {
        await checkQuota(tx, project, descriptor.usage, { trunks: own.length });
      }
      const named = wishes.flatMap(({ port_id, sub_ports }) => [
        port_id,
        ...(sub_ports ?? []).map((sub) => sub.port_id),
      ]);
      const ports = await lockTrunkPorts(tx, named);
      const subports = drafts.flatMap(({ id, wish }) => {
        const parent = requireParent(caller, ports, wish.port_id);
        return (wish.sub_ports ?? []).map((sub) => ({
          trunk_id: id,
          parent,
          ...fitSubport(caller, ports, parent, sub),
        }));
      });
      const rows = drafts.map(({ id, project, wish: { sub_ports: _, ...wish } }) => ({
        ...defined(wish),
        ...{ id, project_id: project, port_id: wish.port_id },
      }));
      await tx.insertInto('trunk').values(rows).execute().catch(refuseSecond);
      await insertSubports(tx, subports);
      return listMade(
        tx,
        caller,
        trunkListing,
        drafts.map(({ id }) => id),
      );
    });
  }

  update(
    caller: Caller,
    id: string,
    patch: Pick<TrunkWish, 'name' | 'description' | 'admin_state_up'>,
  ): Promise<TrunkRow> {
    return this.#change(caller, id, { operation: 'update_trunk', also: true }, async () => defined(patch));
  }

  /** Its ports stay, loose. Refused where it is disabled. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockTrunk(tx, caller, id, 'delete_trunk');
      const ids = await subportsOf(tx, id);
      await lockTrunkPorts(tx, [now.port_id, ...ids]);
      await loosen(tx, ids);
      await sql`delete from trunk where id = ${id}`.execute(tx);
    });
  }

  /** All or none. */
  addSubports(caller: Caller, id: string, wishes: readonly SubportWish[]): Promise<TrunkRow> {
    checkWishes(wishes);
    return this.#change(caller, id, { operation: 'add_subports' }, async (tx, now) => {
      const ports = await lockTrunkPorts(tx, [now.port_id, ...wishes.map(({ port_id }) => port_id)]);
      const parent = ports.get(now.port_id)!;
      await insertSubports(
        tx,
        wishes.map((wish) => ({ trunk_id: id, parent, ...fitSubport(caller, ports, parent, wish) })),
      );
      return {};
    });
  }

  /** All or none: each must be there. */
  removeSubports(caller: Caller, id: string, portIds: readonly string[]): Promise<TrunkRow> {
    return this.#change(caller, id, { operation: 'remove_subports' }, async (tx) => {
      const present = await subportsOf(tx, id);
      const missing = portIds.find((port) => !present.includes(port));
      if (missing !== undefined) throw new CloudError('not_found', 'sub_port_not_found', { port: missing, trunk: id });
      await lockTrunkPorts(tx, portIds);
      await loosen(tx, portIds);
      return {};
    });
  }

  #change(
    caller: Caller,
    id: string,
    { operation, also = false }: { operation: string; also?: boolean },
    work: (tx: Tx, now: TrunkRow) => Promise<object>,
  ): Promise<TrunkRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockTrunk(tx, caller, id, operation, { disabledToo: also });
      const columns = await work(tx, now);
      await tx
        .updateTable('trunk')
        .set({ ...columns, ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, trunkListing, id);
    });
  }
}

async function lockTrunk(
  tx: Tx,
  caller: Caller,
  id: string,
  operation: string,
  { disabledToo = false } = {},
): Promise<TrunkRow> {
  const row = await lockOwn<TrunkRow>(tx, caller, 'trunk', id, operation);
  if (!row.admin_state_up && !disabledToo) throw new CloudError('conflict', 'trunk_disabled', { id });
  return row;
}

async function subportsOf(tx: Tx, id: string): Promise<string[]> {
  const { rows } = await sql<{ port_id: string }>`select port_id from subport where trunk_id = ${id}`.execute(tx);
  return rows.map(({ port_id }) => port_id);
}

type NewSubport = Required<SubportWish> & { trunk_id: string; parent: NonNullable<ReturnType<TrunkPorts['get']>> };

/** They are where their parents are from now on; see the trigger on `port` for what comes later. */
async function insertSubports(tx: Tx, subports: readonly NewSubport[]): Promise<void> {
  if (subports.length === 0) return;
  const rows = subports.map(({ parent, ...row }) => row);
  await sql`insert into subport (port_id, trunk_id, segmentation_type, segmentation_id)
    select port_id, trunk_id, segmentation_type, segmentation_id
    from jsonb_populate_recordset(null::subport, ${JSON.stringify(rows)}::jsonb)`
    .execute(tx)
    .catch((error: unknown) => refuseSecond(error, subports));
  await sql`update port p set device_id = t.id::text, device_owner = ${subportOwner}, host_id = parent.host_id,
      binding_host = parent.binding_host, generation = p.generation + 1, updated_at = now()
    from subport s join trunk t on t.id = s.trunk_id join port parent on parent.id = t.port_id
    where p.id = s.port_id and s.port_id = any(${rows.map(({ port_id }) => port_id)}::uuid[])`
    .execute(tx)
    .catch(refuseOverPromise(rows[0]!.port_id));
}

async function loosen(tx: Tx, portIds: readonly string[]): Promise<void> {
  if (portIds.length === 0) return;
  await sql`with gone as (delete from subport where port_id = any(${[...portIds]}::uuid[]))
    update port set device_id = '', device_owner = '', host_id = null, binding_host = '', generation = generation + 1,
      updated_at = now()
    where id = any(${[...portIds]}::uuid[])`.execute(tx);
}

/** Two in one request want the same, or a tag that the trunk has. */
function refuseSecond(error: unknown, subports: readonly NewSubport[] = []): never {
  const constraint = violatedConstraint(error);
  const port = subports[0]?.port_id ?? '';
  if (constraint === 'trunk_port_id_key') throw new CloudError('conflict', 'parent_port_in_use', { port });
  if (constraint === 'subport_pkey') throw new CloudError('conflict', 'trunk_port_in_use', { port });
  if (constraint !== 'subport_tag') throw error;
  const [{ trunk_id: trunk, segmentation_type, segmentation_id }] = subports as [NewSubport];
  throw new CloudError('conflict', 'duplicate_sub_port', { trunk, segmentation_type, segmentation_id });
}
