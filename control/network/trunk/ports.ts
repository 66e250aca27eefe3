/** The ports of trunks: read and locked, and what they are fit for. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';

interface TrunkPort {
  id: string;
  project_id: string;
  network_id: string;
  network_type: string;
  segment: number | null;
  mtu: number;
  device_id: string;
  device_owner: string;
  host_id: string | null;
  binding_host: string;
  is_subport: boolean;
  is_parent: boolean;
  on_server: boolean;
}

export type TrunkPorts = ReadonlyMap<string, TrunkPort>;

/** In the order of their ids, locked until the transaction ends. */
export async function lockTrunkPorts(tx: Tx, ids: readonly string[]): Promise<TrunkPorts> {
  const wanted = [...new Set(ids)];
  await sql`select from port where id = any(${wanted}::uuid[]) order by id for update`.execute(tx);
  const { rows } =
    await sql<TrunkPort>`select p.id, p.project_id, p.network_id, n.provider_network_type as network_type,
      n.provider_segmentation_id as segment, n.mtu, p.device_id, p.device_owner, p.host_id, p.binding_host,
      exists (select from subport s where s.port_id = p.id) as is_subport,
      exists (select from trunk t where t.port_id = p.id) as is_parent,
      exists (select from server_port sp where sp.port_id = p.id) as on_server
    from port p join network n on n.id = p.network_id where p.id = any(${wanted}::uuid[])`.execute(tx);
  return new Map(rows.map((row) => [row.id, row]));
}

function ownPort(caller: Caller, ports: TrunkPorts, id: string): TrunkPort {
  const port = ports.get(id);
  if (!port || (!isAdmin(caller) && port.project_id !== caller.projectId)) throw notFound('port', id);
  return port;
}

/** A guest's port that is in no trunk yet; one that is plugged already will do. */
export function requireParent(caller: Caller, ports: TrunkPorts, id: string): TrunkPort {
  const port = ownPort(caller, ports, id);
  if (port.is_subport) throw new CloudError('conflict', 'trunk_port_in_use', { port: id });
  if (port.is_parent || port.device_owner.startsWith('network:')) {
    throw new CloudError('conflict', 'parent_port_in_use', { port: id });
  }
  return port;
}

export interface SubportWish {
  port_id: string;
  /** 'inherit': type and id of the port's network. Both absent: refused. */
  segmentation_type?: string;
  segmentation_id?: number;
}

/** What a request says by itself, as Neutron looks at it before it looks for ports. @throws CloudError `invalid` */
export function checkWishes(wishes: readonly SubportWish[]): void {
  const [ports, tags] = [new Set<string>(), new Set<number>()];
  for (const { port_id: port, segmentation_id: tag, segmentation_type: type } of wishes) {
    if (ports.has(port)) throw new CloudError('invalid', 'subport_twice', { port });
    ports.add(port);
    if (type !== 'inherit' && (type === undefined || (type === 'vlan' && tag === undefined))) {
      throw new CloudError('invalid', 'subport_without_segmentation', { port });
    }
    if (type === 'inherit' || tag === undefined) continue;
    if (tags.has(tag)) throw new CloudError('invalid', 'subport_tag_twice', { port, segmentation_id: tag });
    tags.add(tag);
  }
}

const lastTag = 4094;

/**
 * @param ports those of the wish and the trunk's own
 * @throws CloudError with reasons as Neutron names them
 */
export function fitSubport(
  caller: Caller,
  ports: TrunkPorts,
  parent: TrunkPort,
  wish: SubportWish,
): Required<SubportWish> {
  const { port_id: id } = wish;
  if (id === parent.id) throw new CloudError('conflict', 'parent_port_in_use', { port: id });
  const port = ownPort(caller, ports, id);
  if (port.mtu > parent.mtu) {
    throw new CloudError('conflict', 'sub_port_mtu_greater_than_trunk_port_mtu', {
      ...{ port: id, mtu: port.mtu, parent: parent.id, parent_mtu: parent.mtu },
    });
  }
  const inherits = wish.segmentation_type === 'inherit';
  const type = inherits ? port.network_type : wish.segmentation_type!;
  const tag = inherits ? (port.segment ?? undefined) : wish.segmentation_id;
  if (type !== 'vlan' || tag === undefined) throw new CloudError('invalid', 'segmentation_type_unknown', { type });
  if (tag < 1 || tag > lastTag)
    throw new CloudError('invalid', 'segmentation_id_not_in_range', { segmentation_id: tag });
  if (port.is_subport) throw new CloudError('conflict', 'trunk_port_in_use', { port: id });
  if (port.is_parent) throw new CloudError('conflict', 'parent_port_in_use', { port: id });
  if (port.device_id !== '' || port.on_server || port.device_owner.startsWith('network:')) {
    throw new CloudError('conflict', 'port_has_another_device', {
      id,
      network: port.network_id,
      device: port.device_id,
    });
  }
  return { port_id: id, segmentation_type: type, segmentation_id: tag };
}

/** Refused while a trunk has the port, as parent or below one. */
export async function requireUntrunked(tx: Tx, portId: string): Promise<void> {
  const { rows } = await sql<{ trunk: string; parent: boolean }>`
    select trunk_id as trunk, false as parent from subport where port_id = ${portId}
    union all select id, true from trunk where port_id = ${portId}`.execute(tx);
  const [found] = rows;
  if (!found) return;
  const reason = found.parent ? 'port_in_use_as_trunk_parent' : 'port_in_use_as_sub_port';
  throw new CloudError('conflict', reason, { port: portId, trunk: found.trunk });
}
