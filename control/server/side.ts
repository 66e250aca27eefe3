/** The face that servers show to the host streams (control/host). */
import type { Logger } from 'pino';
import type { DesiredServer, ObservedServer } from '../../contract/host.ts';
import type { HostId, ServerId } from '../../contract/ids.ts';
import type { Database, Queryable } from '../database/database.ts';
import type { ServerPorts } from './dependencies.ts';
import { desiredServers } from './desired.ts';
import { recordReports } from './reports.ts';

export interface ServerSide {
  desiredServers(
    db: Queryable,
    which: { hostId: HostId } | { serverIds: readonly ServerId[] },
  ): Promise<DesiredServer[]>;
  /**
   * Whether a report is complete changes nothing: a host says `absent` of each server that shall be absent, and silence
   * about a server proves nothing.
   * @returns servers that the host may forget
   */
  recordReports(
    hostId: HostId,
    observed: readonly ObservedServer[],
    options?: { complete: boolean },
  ): Promise<ServerId[]>;
}

export function serverSide(deps: {
  database: Database;
  ports: Pick<ServerPorts, 'desiredPorts'>;
  log: Logger;
}): ServerSide {
  return {
    desiredServers: (db, which) => desiredServers(deps, db, which),
    recordReports: (hostId, observed) => recordReports(deps, hostId, observed),
  };
}
