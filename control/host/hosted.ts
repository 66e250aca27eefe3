/** What the streams need of other areas; the composition root hands the real ones in. */
import type { DesiredNetwork, DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import type { HostId, NetworkId, PortId, ServerId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';

/** A server's document without the document: what tells whether it is news, and whom a change of it concerns. */
export interface ServerStamp {
  id: ServerId;
  epoch: number;
  generation: number;
  /** As in the document. */
  stamp: string;
  ports: PortId[];
  networks: NetworkId[];
}

/** What the streams need of control/compute/server. */
export interface HostedServers {
  /** Complete documents: those that still exist, of one owner or whoever owns them. */
  desiredServers(db: Queryable, filter: ServerFilter): Promise<DesiredServer[]>;
  /** Of all that the host owns; a fraction of what the documents cost. */
  serverStamps(db: Queryable, hostId: HostId): Promise<ServerStamp[]>;
  /** Keeps what comes from the owner under its epoch; answers the servers whose absence is recorded. */
  recordReports(
    hostId: HostId,
    observed: readonly ObservedServer[],
    options?: { complete: boolean },
  ): Promise<ServerId[]>;
}

export interface ServerFilter {
  /** The owner. */
  hostId?: HostId;
  serverIds?: readonly ServerId[];
}

/** What the streams need of control/network. */
export interface HostedNetworks {
  /** Every network that has a port of one of the host's servers. */
  desiredNetworks(db: Queryable, hostId: HostId): Promise<DesiredNetwork[]>;
}
