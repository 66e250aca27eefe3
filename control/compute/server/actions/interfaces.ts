/**
 * Interfaces that come and go. The row of a port's place is the truth of it: hosts plug and unplug while the guest runs, or have it so at
 * the next start. A place that is freed is given again, so that no other interface moves. A detached port is free at once; what the
 * guest does with the card that is left (host/server/cards.ts) keeps nobody waiting.
 */
import { sql } from 'kysely';
import { CloudError, type ErrorCode } from '../../../../contract/errors.ts';
import { serverLimits } from '../../../../contract/host/limits.ts';
import type { PortId, ProjectId, ServerId } from '../../../../contract/ids.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { isOverPromise } from '../../../network/bandwidth/bandwidth.ts';
import type { ServerPortRequest } from '../../../network/port/server-ports.ts';
import { isReached, reachOfPorts } from '../../../network/segment/reach.ts';
import { bindPorts } from '../binding.ts';
import { insertServerPorts } from '../store.ts';
import { type ServerAction, shortlyMs } from './action.ts';

export interface AttachWish {
  /** A network, or an existing port; neither: the project's only network. */
  request: ServerPortRequest | null;
  tag: string | null;
  /** Told of the port, in the transaction. */
  attached(port: PortId): void;
}

export const attachInterface: ServerAction<AttachWish> = {
  verb: 'attach_interface',
  doing: 'attach an interface to a server',
  deadlineMs: shortlyMs,
  async decide({ tx, caller, deps: { ports } }, server, { request, tag, attached }) {
    const serverId = server.id as ServerId;
    const position = await freePosition(tx, serverId);
    const requests = request ? [request] : [];
    const projectId = server.project_id as ProjectId;
    const wish = { projectId, requests, securityGroups: [], automatic: 'auto' } as const;
    const [made] = await ports
      .planServerPorts(tx, caller, wish)
      .then((plan) => ports.createServerPorts(tx, caller, plan, [{ id: serverId, hostname: server.hostname }]))
      .catch(asAttachFault);
    const { portId } = made![0]!;
    await insertServerPorts(tx, [{ server_id: serverId, port_id: portId, position, tag }]);
    await requireReached(tx, server, portId);
    await bindPorts(tx, ports, server).catch(asOverPromise(server.id));
    attached(portId);
    return {};
  },
};

export const detachInterface: ServerAction<PortId> = {
  verb: 'detach_interface',
  doing: 'detach an interface from a server',
  deadlineMs: shortlyMs,
  async decide({ tx, deps: { ports } }, server, portId) {
    if (!(await placeOf(tx, server.id, portId)))
      throw new CloudError('not_found', 'interface_not_found', { id: server.id, port: portId });
    await ports.releaseServerPorts(tx, server.id as ServerId, portId);
    return {};
  },
};

/** One more address on an interface that is there: hosts and OVN hear of it by its port. */
export const addFixedIp: ServerAction<string> = {
  verb: 'addFixedIp',
  doing: 'add an address to a server',
  deadlineMs: shortlyMs,
  async decide({ tx, deps: { ports } }, server, networkId) {
    const added = await ports.addServerAddress(tx, server.id as ServerId, networkId).catch(asAddressFault);
    if (!added) throw new CloudError('not_found', 'server_not_on_network', { id: server.id });
    return 'done' as const;
  },
};

export const removeFixedIp: ServerAction<string> = {
  verb: 'removeFixedIp',
  doing: 'take an address from a server',
  deadlineMs: shortlyMs,
  async decide({ tx, deps: { ports } }, server, address) {
    const removed = await ports.removeServerAddress(tx, server.id as ServerId, address).catch(asAddressFault);
    if (!removed) throw new CloudError('invalid', 'server_without_address', { id: server.id, address });
    return 'done' as const;
  },
};

/** That none is free is for Nova the request's fault. */
function asAddressFault(error: unknown): never {
  throw error instanceof CloudError && error.reason === 'ip_address_generation_failure' ? error.as('invalid') : error;
}

/** Of a create what is named wrongly is the body's fault; here Nova has a status for each. */
const codes: Readonly<Record<string, ErrorCode>> = {
  network_not_found: 'not_found',
  port_not_found: 'not_found',
  ip_address_in_use: 'conflict',
  network_ambiguous: 'invalid',
};

function asAttachFault(error: unknown): never {
  const code = error instanceof CloudError && Object.hasOwn(codes, error.reason) ? codes[error.reason] : undefined;
  throw code ? (error as CloudError).as(code) : error;
}

/** Its host can't promise what the port is to be promised: for Nova the request's fault. */
const asOverPromise =
  (id: string) =>
  (error: unknown): never => {
    throw isOverPromise(error) ? new CloudError('invalid', 'attach_bandwidth_exceeded', { id }) : error;
  };

/** A card on a network that its host does not reach would hear nobody. @throws CloudError `invalid` */
async function requireReached(tx: Tx, { id, host_id }: { id: string; host_id: string | null }, port: PortId) {
  if (host_id === null) return;
  const reach = await reachOfPorts(tx, [port]);
  if (!reach) return;
  const { rows } = await sql<{
    names: string[];
  }>`select physical_networks as names from host where id = ${host_id}`.execute(tx);
  if (!isReached(rows[0]?.names ?? [], reach))
    throw new CloudError('invalid', 'attach_network_not_reached', { id, port });
}

/** The lowest that nobody has; the server's row is locked. */
async function freePosition(tx: Tx, serverId: string): Promise<number> {
  const { rows } = await sql<{
    position: number;
  }>`select position from server_port where server_id = ${serverId}`.execute(tx);
  if (rows.length >= serverLimits.ports) {
    throw new CloudError('invalid', 'too_many_interfaces', { maximum: serverLimits.ports });
  }
  const taken = new Set(rows.map(({ position }) => position));
  let position = 0;
  while (taken.has(position)) position++;
  return position;
}

async function placeOf(tx: Tx, serverId: string, portId: PortId): Promise<boolean> {
  const { rows } = await sql`select from server_port where server_id = ${serverId} and port_id = ${portId}`.execute(tx);
  return rows.length > 0;
}
