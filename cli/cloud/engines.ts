/** Which processes make this cloud on this machine, in the form that the supervisor takes. */
import { join } from 'node:path';
import type { Engine } from '../../engine/engine.ts';
import { hostEngines } from '../../engine/open-vswitch.ts';
import { ovnCentralEngines } from '../../engine/ovn-central.ts';
import type { EngineTls } from '../../engine/ovs-daemon.ts';
import { names } from '../../host/network/names.ts';
import { guestUser, serviceUser } from '../install/users.ts';
import { controlEngine, hostEngine } from '../process/definitions.ts';
import type { Settings } from '../settings.ts';
import { bracketed } from './addresses.ts';
import { hasKit } from './control-kit.ts';
import { readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';
import { postgresEngine } from './postgres.ts';

export function cloudEngines(settings: Settings): Engine[] {
  const { paths, values } = settings;
  const layout = cloudLayout(paths);
  const control = controlEngine({
    run: paths.run,
    cacheDirectory: layout.controlCache,
    configurationFile: layout.controlConfiguration,
    user: serviceUser,
    imageGroup: guestUser,
    port: Number(values.port),
  });
  if (readIdentity(paths)?.joined) {
    const machine = machineEngines(settings, { ...layout.hostCertificate, ca: layout.authorityFile });
    return hasKit(settings) ? [{ ...control, after: [] }, ...machine] : machine;
  }
  const engines = [
    ...ovnCentralEngines({
      dataDirectory: layout.ovnData,
      runDirectory: paths.run,
      // A directory per user: a log directory belongs to who writes in it.
      logDirectory: join(paths.log, 'ovn'),
      user: serviceUser,
      southboundRemote: `pssl:${values.southbound_port}:${bracketed(values.listen)}`,
      tls: { ...layout.apiCertificate, ca: layout.authorityFile },
    }),
    control,
    ...machineEngines(settings),
  ];
  if (values.database_url === '') return [postgresEngine(layout.postgres), ...engines];
  return engines.map((engine) => ({ ...engine, after: engine.after.filter((name) => name !== 'postgres') }));
}

/** What each machine of a cloud runs. @param tls what ovn-controller shows to a southbound database elsewhere */
function machineEngines({ paths }: Settings, tls?: EngineTls): Engine[] {
  const layout = cloudLayout(paths);
  return [
    ...hostEngines({
      integrationBridge: names(paths.tag).integrationBridge,
      dataDirectory: layout.hostData,
      runDirectory: paths.run,
      logDirectory: join(paths.log, 'ovs'),
      tls,
    }),
    hostEngine({
      run: paths.run,
      cacheDirectory: join(paths.cache, 'host'),
      configurationFile: layout.hostConfiguration,
    }),
  ];
}
