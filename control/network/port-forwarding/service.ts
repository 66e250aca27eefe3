/** Port forwardings: the operations that the dialects may call. Each is one transaction that holds the row of the floating IP. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Database, Queryable, Tx } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockOwn, touched } from '../../kit/rows.ts';
import { type FloatingIpRow, floatingIpListing } from '../floating-ip/floating-ip.ts';
import { insideOf, loadForwardingGround } from './ground.ts';
import { type PortForwardingRow, portForwardingListing } from './port-forwarding.ts';
import { checkPorts, type PortRange } from './rules.ts';

export interface PortForwardingWish {
  protocol: 'tcp' | 'udp';
  /** Refused where it is missing. */
  external?: PortRange;
  internal?: PortRange;
  port_id: string;
  /** Default: the port's first IPv4 address. */
  fixed_ip?: string;
  description?: string;
}

export class PortForwardingService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller, floatingIpId: string, query: ListQuery): Promise<PortForwardingRow[]> {
    await readRow(this.#database.query, caller, floatingIpListing, floatingIpId);
    const filters = [...(query.filters ?? []), { column: 'floating_ip_id', values: [floatingIpId] }];
    return listRows(this.#database.query, caller, portForwardingListing, { ...query, filters });
  }

  async read(caller: Caller, floatingIpId: string, id: string): Promise<PortForwardingRow> {
    await readRow(this.#database.query, caller, floatingIpListing, floatingIpId);
    return readOf(this.#database.query, caller, floatingIpId, id);
  }

  /** All or none. Refused while the floating IP stands for a port whole. */
  async create(
    caller: Caller,
    floatingIpId: string,
    wishes: readonly PortForwardingWish[],
  ): Promise<PortForwardingRow[]> {
    return this.#change(caller, floatingIpId, 'create_floatingip_port_forwarding', async (tx, floatingIp) => {
      const ports = wishes.map(({ port_id }) => port_id);
      if (floatingIp.port_id !== null) throw standsForPort(floatingIp, ports[0]!);
      const ground = await loadForwardingGround(tx, floatingIp, ports);
      const rows = [...ground.rows];
      const made: PortForwardingRow[] = [];
      for (const { external, internal, port_id, fixed_ip, ...wish } of wishes) {
        if (!external || !internal) {
          throw new CloudError('invalid', 'port_forwarding_without_port', { side: external ? 'internal' : 'external' });
        }
        const inside = insideOf(caller, { ...ground, rows }, port_id, fixed_ip);
        const row = {
          ...{ id: newId(), project_id: floatingIp.project_id, floating_ip_id: floatingIpId, description: '', ...wish },
          ...inside,
          ...columnsOf(external, internal),
        } as PortForwardingRow;
        checkPorts(row, rows);
        rows.push(row);
        made.push(row);
      }
      await tx.insertInto('port_forwarding').values(made).execute();
      return listMade(
        tx,
        caller,
        portForwardingListing,
        made.map(({ id }) => id),
      );
    });
  }

  /** What is not named stays; a new port without an address means its first one. */
  async update(
    caller: Caller,
    floatingIpId: string,
    id: string,
    patch: Partial<PortForwardingWish>,
  ): Promise<PortForwardingRow> {
    return this.#change(caller, floatingIpId, 'update_floatingip_port_forwarding', async (tx, floatingIp) => {
      const now = await readOf(tx, caller, floatingIpId, id);
      const portId = patch.port_id ?? now.port_id;
      const ground = await loadForwardingGround(tx, floatingIp, [portId]);
      const fixed = patch.fixed_ip ?? (portId === now.port_id ? now.fixed_ip : undefined);
      const { external, internal } = patch;
      const columns = {
        ...defined({ protocol: patch.protocol, description: patch.description }),
        ...insideOf(caller, ground, portId, fixed),
        ...columnsOf(external, internal),
      };
      const others = ground.rows.filter((row) => row.id !== id);
      checkPorts({ ...now, ...columns }, others);
      await tx
        .updateTable('port_forwarding')
        .set({ ...columns, ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, portForwardingListing, id);
    });
  }

  async delete(caller: Caller, floatingIpId: string, id: string): Promise<void> {
    await this.#change(caller, floatingIpId, 'delete_floatingip_port_forwarding', async (tx) => {
      await readOf(tx, caller, floatingIpId, id);
      await sql`delete from port_forwarding where id = ${id}`.execute(tx);
    });
  }

  #change<T>(
    caller: Caller,
    floatingIpId: string,
    operation: string,
    work: (tx: Tx, floatingIp: FloatingIpRow) => Promise<T>,
  ): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const floatingIp = await lockOwn<FloatingIpRow>(tx, caller, 'floating_ip', floatingIpId, operation);
      const result = await work(tx, floatingIp);
      // Its answers show the forwardings: their change is its own.
      await sql`update floating_ip set generation = generation + 1, updated_at = now() where id = ${floatingIpId}`.execute(
        tx,
      );
      return result;
    });
  }
}

async function readOf(db: Queryable, caller: Caller, floatingIpId: string, id: string): Promise<PortForwardingRow> {
  const row = await readRow(db, caller, portForwardingListing, id);
  if (row.floating_ip_id !== floatingIpId) throw notFound('port_forwarding', id);
  return row;
}

const columnsOf = (external: PortRange | undefined, internal: PortRange | undefined) => ({
  ...(external && { external_first: external.first, external_last: external.last }),
  ...(internal && { internal_first: internal.first, internal_last: internal.last }),
});

const standsForPort = (floatingIp: FloatingIpRow, port: string) =>
  new CloudError('conflict', 'floating_ip_port_already_associated', {
    id: floatingIp.id,
    ip: floatingIp.floating_ip,
    port,
    fixed_ip: floatingIp.fixed_ip,
  });
