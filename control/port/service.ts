/** Ports: the operations that other parts and the dialects may call. */
import type { DesiredNetwork, DesiredPort } from '../../contract/host.ts';
import type { HostId, PortId, ServerId } from '../../contract/ids.ts';
import type { Database, Queryable, Tx } from '../database/database.ts';
import type { Caller } from '../identity/caller.ts';
import { bindServerPorts, createServerPorts, releaseServerPorts, type ServerPortsWish } from './server-ports.ts';
import { desiredNetworks, desiredPorts, type ServerInterface, serverAddresses } from './server-views.ts';

export class PortService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** In the transaction that decides about the server; see server-ports.ts. */
  createServerPorts(tx: Tx, caller: Caller, wish: ServerPortsWish): Promise<{ portId: PortId; created: boolean }[]> {
    return createServerPorts(tx, caller, wish);
  }

  bindServerPorts(tx: Tx, serverId: ServerId, hostId: HostId | null): Promise<void> {
    return bindServerPorts(tx, serverId, hostId);
  }

  releaseServerPorts(tx: Tx, serverId: ServerId): Promise<void> {
    return releaseServerPorts(tx, serverId);
  }

  serverAddresses(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, ServerInterface[]>> {
    return serverAddresses(db, serverIds);
  }

  desiredPorts(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, DesiredPort[]>> {
    return desiredPorts(db, serverIds);
  }

  desiredNetworks(db: Queryable, hostId: HostId): Promise<DesiredNetwork[]> {
    return desiredNetworks(db, hostId);
  }
}
