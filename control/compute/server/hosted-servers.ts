/** The face that servers show to the host streams (control/host). */
import type { Logger } from 'pino';
import type { HostedServers } from '../../host/index.ts';
import type { Database } from '../../kit/database/database.ts';
import type { ServerPorts } from './dependencies.ts';
import { desiredServers, serverStamps } from './desired.ts';
import { recordReports } from './reports.ts';

export function hostedServers(deps: {
  database: Database;
  ports: Pick<ServerPorts, 'desiredPorts' | 'portStamps' | 'bindServerPorts'>;
  log: Logger;
}): HostedServers {
  return {
    desiredServers: (db, which) => desiredServers(deps, db, which),
    serverStamps: (db, hostIds) => serverStamps(deps, db, hostIds),
    recordReports: (hostId, observed, options) => recordReports(deps, hostId, observed, options),
  };
}
