/** The face that layers and pools show to the host streams (control/host). */
import type { Logger } from 'pino';
import type { HostedLayers } from '../../host/index.ts';
import type { Database } from '../../kit/database/database.ts';
import { recordLevels, recordPools } from '../pool/index.ts';
import { desiredLayers, layerStamps } from './desired.ts';
import { recordReports } from './reports.ts';

export function hostedLayers(deps: { database: Database; log: Logger }): HostedLayers {
  return {
    ...{ desiredLayers, layerStamps, recordPools, recordLevels },
    recordReports: (hostId, observed, options) => recordReports(deps, hostId, observed, options),
  };
}
