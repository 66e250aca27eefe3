/** Which processes make this cloud on this machine, in the form that the supervisor takes. */
import { join } from 'node:path';
import type { Engine } from '../../engine/engine.ts';
import { hostEngines } from '../../engine/open-vswitch.ts';
import { ovnCentralEngines } from '../../engine/ovn-central.ts';
import { names } from '../../host/network/names.ts';
import { guestUser, serviceUser } from '../install/users.ts';
import { controlEngine, hostEngine } from '../process/definitions.ts';
import type { Settings } from '../settings.ts';
import { cloudLayout } from './layout.ts';
import { postgresEngine } from './postgres.ts';

export function cloudEngines({ paths, values }: Settings): Engine[] {
  const layout = cloudLayout(paths);
  const engines = [
    ...ovnCentralEngines({
      dataDirectory: layout.ovnData,
      runDirectory: paths.run,
      // A directory per user: a log directory belongs to who writes in it.
      logDirectory: join(paths.log, 'ovn'),
      user: serviceUser,
    }),
    ...hostEngines({
      integrationBridge: names(paths.tag).integrationBridge,
      dataDirectory: layout.hostData,
      runDirectory: paths.run,
      logDirectory: join(paths.log, 'ovs'),
    }),
    controlEngine({
      run: paths.run,
      cacheDirectory: layout.controlCache,
      configurationFile: layout.controlConfiguration,
      user: serviceUser,
      imageGroup: guestUser,
      port: Number(values.port),
    }),
    hostEngine({
      run: paths.run,
      cacheDirectory: join(paths.cache, 'host'),
      configurationFile: layout.hostConfiguration,
    }),
  ];
  if (values.database_url === '') return [postgresEngine(layout.postgres), ...engines];
  return engines.map((engine) => ({ ...engine, after: engine.after.filter((name) => name !== 'postgres') }));
}
