/**
 * Segments: the operations that the dialects may call, for administrators; each one transaction, under the lock of the network's row. What a
 * segment is carried by is fixed for good. A network's first segment comes with it (migrations/0761), and its own provider attributes
 * are those of the first.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { checkRevision, forbidden, touched } from '../../kit/rows.ts';
import { numberOf, requireCarriedTogether, requireFree } from './carry.ts';
import { chooseProvider, type Provider } from './provider.ts';
import { type SegmentRow, segmentListing } from './segment.ts';

export interface SegmentWish {
  network_id: string;
  network_type: string;
  physical_network?: string | null;
  segmentation_id?: number | null;
  name?: string | null;
  description?: string;
}

export class SegmentService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<SegmentRow[]> {
    return listRows(this.#database.query, caller, segmentListing, query);
  }

  read(caller: Caller, id: string): Promise<SegmentRow> {
    return readRow(this.#database.query, caller, segmentListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly SegmentWish[]): Promise<SegmentRow[]> {
    requireAdmin(caller, 'create_segment');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const ids: string[] = [];
      for (const wish of wishes) ids.push(await createSegment(tx, wish));
      return listMade(tx, caller, segmentListing, ids);
    });
  }

  async update(caller: Caller, id: string, patch: Pick<SegmentWish, 'name' | 'description'>): Promise<SegmentRow> {
    requireAdmin(caller, 'update_segment');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockSegment(tx, caller, id);
      await tx
        .updateTable('segment')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, segmentListing, id);
    });
  }

  /** Refused for the only one of a network, and while subnets or ports are on it. */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'delete_segment');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const gone = await lockSegment(tx, caller, id);
      const others = (await segmentsOf(tx, gone.network_id)).filter((one) => one.id !== id);
      if (others.length === 0) throw new CloudError('conflict', 'last_segment_of_network', { id });
      await refuseBoundPorts(tx, gone);
      await sql`delete from segment where id = ${id}`.execute(tx).catch((error: unknown) => {
        throw violatedConstraint(error) === undefined ? error : new CloudError('conflict', 'segment_in_use', { id });
      });
      const [first] = others;
      if (first!.position < gone.position) return;
      await sql`update network set provider_network_type = ${first!.network_type}, provider_physical_network = ${first!.physical_network},
        provider_segmentation_id = ${first!.segmentation_id}, generation = generation + 1, updated_at = now()
        where id = ${gone.network_id}`.execute(tx);
    });
  }
}

function requireAdmin(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) throw forbidden(operation);
}

/** In their order. */
async function segmentsOf(tx: Tx, networkId: string): Promise<SegmentRow[]> {
  const { rows } =
    await sql<SegmentRow>`select * from segment where network_id = ${networkId} order by position`.execute(tx);
  return rows;
}

/** With its network: the segments of one come and go one after the other. */
async function lockSegment(tx: Tx, caller: Caller, id: string): Promise<SegmentRow> {
  await sql`select from segment s join network n on n.id = s.network_id where s.id = ${id} for update of n`.execute(tx);
  const { rows } = await sql<SegmentRow>`select * from segment where id = ${id} for update`.execute(tx);
  if (!rows[0]) throw notFound('segment', id);
  return checkRevision(caller, 'segment', rows[0]);
}

async function createSegment(tx: Tx, wish: SegmentWish): Promise<string> {
  const id = newId();
  const provider = chooseProvider({
    provider_network_type: wish.network_type,
    provider_physical_network: wish.physical_network,
    provider_segmentation_id: wish.segmentation_id,
  });
  const { rows } = await sql`select from network where id = ${wish.network_id} for update`.execute(tx);
  if (rows.length === 0) throw notFound('network', wish.network_id);
  const others = await segmentsOf(tx, wish.network_id);
  requireCarriedTogether([
    ...others.map(({ network_type: type, physical_network: physicalNetwork }) => ({ type, physicalNetwork })),
    provider,
  ]);
  if (provider.physicalNetwork !== null) await refuseRouters(tx, wish.network_id);
  await requireFree(tx, provider);
  const { name = null, description = '' } = wish;
  await insertSegments(tx, [
    { ...{ id, network_id: wish.network_id, name, description }, position: others.at(-1)!.position + 1, provider },
  ]);
  return id;
}

interface NewSegment {
  id: string;
  network_id: string;
  position: number;
  provider: Provider;
  name?: string | null;
  description?: string;
}

/** Those that come after the first of their network. */
export async function insertSegments(tx: Tx, segments: readonly NewSegment[]): Promise<void> {
  if (segments.length === 0) return;
  const rows = segments.map(({ provider, ...segment }) => ({
    ...segment,
    network_type: provider.type,
    physical_network: provider.physicalNetwork,
    segmentation_id: numberOf(provider),
    name: segment.name ?? null,
  }));
  await tx.insertInto('segment').values(rows).execute();
}

/** A router has one place on a network, and segments on different physical networks are different places. */
async function refuseRouters(tx: Tx, networkId: string): Promise<void> {
  const { rows } = await sql`select from network n where n.id = ${networkId} and (n.external
    or exists (select from port p where p.network_id = n.id and p.device_owner like 'network:router%'))`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'segments_of_network_with_router', { id: networkId });
}

/** Those of guests on hosts that reach the network by this segment. */
async function refuseBoundPorts(tx: Tx, { id, network_id, physical_network }: SegmentRow): Promise<void> {
  if (physical_network === null) return;
  const { rows } = await sql<{ id: string }>`select p.id from port p join host h on h.id = p.host_id
    where p.network_id = ${network_id} and ${physical_network} = any(h.physical_networks) order by p.id limit 20`.execute(
    tx,
  );
  if (rows.length > 0) throw new CloudError('conflict', 'segment_with_ports', { id, ports: rows.map((row) => row.id) });
}
