/** What the streams need of other areas; the composition root hands the real ones in. */
import type { DesiredNetwork, DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import type { HostId, ServerId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';

/** What the streams need of control/compute/server. */
export interface HostedServers {
  /** Complete documents. By host: all that the host owns. By id: those that still exist, whoever owns them. */
  desiredServers(
    db: Queryable,
    filter: { hostId: HostId } | { serverIds: readonly ServerId[] },
  ): Promise<DesiredServer[]>;
  /** Keeps what comes from the owner under its epoch; answers the servers whose absence is recorded. */
  recordReports(
    hostId: HostId,
    observed: readonly ObservedServer[],
    options?: { complete: boolean },
  ): Promise<ServerId[]>;
}

/** What the streams need of control/network. */
export interface HostedNetworks {
  /** Every network that has a port of one of the host's servers. */
  desiredNetworks(db: Queryable, hostId: HostId): Promise<DesiredNetwork[]>;
}
