/** Which processes make this cloud on this machine, in the form that the supervisor takes. */
import { join } from 'node:path';
import type { Engine } from '../../contract/engine.ts';
import { ovnCentralEngines } from '../../control/ovn-central/index.ts';
import { hostEngines } from '../../host/engines/index.ts';
import { controlEngine, hostEngine } from '../engines/bothy.ts';
import { postgresEngine } from '../engines/postgres.ts';
import { serviceUser } from '../install/users.ts';
import type { Settings } from '../settings.ts';
import { cloudLayout } from './layout.ts';

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
      tag: paths.tag,
      dataDirectory: layout.hostData,
      runDirectory: paths.run,
      logDirectory: join(paths.log, 'ovs'),
    }),
    controlEngine({
      run: paths.run,
      cacheDirectory: layout.controlCache,
      configurationFile: layout.controlConfiguration,
      user: serviceUser,
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
