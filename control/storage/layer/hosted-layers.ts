/** The face that layers and pools show to the host streams (control/host). */
import type { HostedLayers } from '../../host/index.ts';
import { handOutSecrets } from '../export/index.ts';
import { declaredPools, recordLevels, recordPools } from '../pool/index.ts';
import { handOut, type KeyDependencies } from '../volume-key/index.ts';
import { desiredLayers, layerStamps } from './desired.ts';
import { type ReportDependencies, recordReports } from './reports.ts';

export function hostedLayers(deps: KeyDependencies & Pick<ReportDependencies, 'launch'>): HostedLayers {
  return {
    ...{ desiredLayers, layerStamps, declaredPools, recordPools, recordLevels },
    async handOutKeys(hostId, ids) {
      const secrets = await handOutSecrets(deps, hostId, ids);
      const told = new Set(secrets.map(({ id }) => id));
      const keys = ids.filter((id) => !told.has(id));
      return [...secrets, ...(await handOut(deps, hostId, keys))];
    },
    recordReports: (hostId, observed, options) => recordReports(deps, hostId, observed, options),
  };
}
