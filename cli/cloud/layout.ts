/** Where the parts of a cloud keep what, below its data and run directories. */
import { join } from 'node:path';
import { serviceUser } from '../install/users.ts';
import type { CloudPaths } from '../settings.ts';

export function cloudLayout(paths: CloudPaths) {
  const { data, run } = paths;
  return {
    certificates: join(data, 'certificates'),
    authorityFile: join(data, 'certificates/ca.pem'),
    apiCertificate: { certificate: join(data, 'certificates/api.pem'), key: join(data, 'certificates/api.key') },
    hostCertificate: { certificate: join(data, 'certificates/host.pem'), key: join(data, 'certificates/host.key') },
    secrets: join(data, 'secrets'),
    adminPasswordFile: join(data, 'secrets/admin-password'),
    adminAccessKeyFile: join(data, 'secrets/admin-access-key'),
    sealingKeysFile: join(data, 'secrets/sealing-keys'),
    controlKitFile: join(data, 'secrets/control-kit.json'),
    postgres: { directory: join(data, 'postgres'), socketDirectory: join(run, 'postgres'), user: serviceUser },
    ovnData: join(data, 'ovn'),
    northbound: `unix:${run}/ovn/nb.sock`,
    southbound: `unix:${run}/ovn/sb.sock`,
    hostData: join(data, 'host'),
    hostRun: join(run, 'host'),
    hostSocket: join(run, 'host.sock'),
    hostConfiguration: join(run, 'host/configuration.json'),
    controlRun: join(run, 'control'),
    controlHealthSocket: join(run, 'control/health.sock'),
    controlCache: join(data, 'cache/control'),
    controlConfiguration: join(run, 'control/configuration.json'),
    supervisorSocket: join(run, 'supervisor.sock'),
    supervisorLock: join(run, 'supervisor.lock'),
    /** Which network namespace the cloud was started in. */
    namespaceFile: join(run, 'network-namespace'),
    supervisorLog: join(paths.log, 'supervisor.log'),
  };
}
