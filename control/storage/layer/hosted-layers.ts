/** The face that layers and pools show to the host streams (control/host). */
import type { HostedLayers } from '../../host/index.ts';
import { declaredPools, recordLevels, recordPools } from '../pool/index.ts';
import { handOut, type KeyDependencies } from '../volume-key/index.ts';
import { desiredLayers, layerStamps } from './desired.ts';
import { recordReports } from './reports.ts';

export function hostedLayers(deps: KeyDependencies): HostedLayers {
  return {
    ...{ desiredLayers, layerStamps, declaredPools, recordPools, recordLevels },
    handOutKeys: (hostId, ids) => handOut(deps, hostId, ids),
    recordReports: (hostId, observed, options) => recordReports(deps, hostId, observed, options),
  };
}
