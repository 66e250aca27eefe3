/** Makes everything that control/ and api/ need, once, in order, and hands it down. Nothing is made anywhere else. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { hostStream } from '../../api/host/stream.ts';
import { nativeDialect } from '../../api/native/index.ts';
import { computeDialect } from '../../api/openstack/compute/index.ts';
import { identityDialect } from '../../api/openstack/identity/index.ts';
import { imageDialect } from '../../api/openstack/image/index.ts';
import { networkDialect, networkServices } from '../../api/openstack/network/index.ts';
import { createApi } from '../../api/server.ts';
import { CloudError } from '../../contract/errors.ts';
import type { HostId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { bootstrapCloud } from '../../control/bootstrap.ts';
import { ChangeFeed } from '../../control/database/changes.ts';
import { Database } from '../../control/database/database.ts';
import { migrate } from '../../control/database/migrate.ts';
import { WorkQueue } from '../../control/database/queue.ts';
import { FlavorService } from '../../control/flavor/index.ts';
import { HostClient, HostService, registerHost } from '../../control/host/index.ts';
import { bootstrapIdentity, IdentityService } from '../../control/identity/index.ts';
import { ImageController, ImageMemberService, ImageService, ImageTransfer } from '../../control/image/index.ts';
import { KeyPairService } from '../../control/key-pair/index.ts';
import { Projector } from '../../control/ovn/index.ts';
import { PlacementService } from '../../control/placement/index.ts';
import { PortService } from '../../control/port/service.ts';
import { QuotaService } from '../../control/quota/index.ts';
import { type ControllerStep, ServerController, ServerService, serverSide } from '../../control/server/index.ts';
import type { ControlConfiguration } from './configuration.ts';
import { controlHealth } from './control-health.ts';
import type { Health } from './health.ts';

export interface RunningControl {
  /** The port that the APIs are served on. */
  port: number;
  health(): Promise<Health>;
  /** Ends streams and connections; running jobs may finish. */
  close(): Promise<void>;
}

const catalogue = [
  { type: 'identity', name: 'keystone', path: '/identity' },
  { type: 'image', name: 'glance', path: '/image' },
  { type: 'network', name: 'neutron', path: '/network' },
  { type: 'compute', name: 'nova', path: '/compute/v2.1' },
];

/** For crash tests: called where the process may die. */
export interface ControlHooks {
  afterServerStep?: (step: ControllerStep, serverId: string) => void;
}

export async function startControl(
  configuration: ControlConfiguration,
  log: Logger,
  hooks: ControlHooks = {},
): Promise<RunningControl> {
  const url = new Secret(configuration.databaseUrl);
  const tls = {
    key: readFileSync(configuration.tls.key, 'utf8'),
    cert: readFileSync(configuration.tls.certificate, 'utf8'),
    ca: readFileSync(configuration.tls.ca, 'utf8'),
  };
  const database = new Database({ url, applicationName: 'bothy control' });
  const started = await migrate({ url });
  if (started.length > 0) log.info({ migrations: started }, 'database migrated');

  const { region, publicUrl, cloudId } = configuration;
  const password = new Secret(configuration.bootstrap.adminPassword);
  await bootstrapIdentity(database, { adminPassword: password });
  await bootstrapCloud(database, {
    cloudId,
    region,

    external: configuration.bootstrap.external,
  });
  await registerHost(database, { id: configuration.localHost.id as HostId, name: configuration.localHost.name });

  const feed = new ChangeFeed({ database, url, log });
  await feed.start();
  const identity = new IdentityService({ database, feed, log, region, publicUrl, catalogue });
  await identity.start();
  const ports = new PortService({ database });
  const client = new HostClient({ tls });
  const images = new ImageService({ database, log });
  const transfer = new ImageTransfer({ database, images, client, log });
  const imageController = new ImageController({ database, feed, client, log });
  const servers = new ServerService({
    database,
    ports,
    images,
    hosts: client,
    log,
  });
  const serverController = new ServerController({
    database,
    ports,
    log,
    ...(hooks.afterServerStep && { afterStep: hooks.afterServerStep }),
  });
  const hosts = new HostService({
    database,
    feed,
    cloudId,
    servers: serverSide({ database, ports, log }),
    networks: ports,
    log,
  });
  const projector = new Projector({ database, url, feed, log, northbound: { target: configuration.northbound } });
  const queue = new WorkQueue({ database, log });

  const api = await createApi({
    tls,
    log,
    upgrades: [hostStream({ hosts, log })],
    dialects: [
      identityDialect({ identity, publicUrl }),
      imageDialect({ authenticator: identity, images, members: new ImageMemberService({ database }), transfer }),
      networkDialect({ authenticator: identity, services: networkServices({ database }), publicUrl }),
      computeDialect({
        authenticator: identity,
        servers,
        flavors: new FlavorService({ database }),
        keyPairs: new KeyPairService({ database }),
        placement: new PlacementService({ database }),
        quotas: new QuotaService({ database }),
      }),
      nativeDialect({ identity, database, feed }),
    ],
  });
  await queue.start({ ...imageController.tasks, ...serverController.tasks() });
  imageController.start();
  serverController.start();
  hosts.start();
  projector.start();
  const { address, port } = configuration.listen;
  await api.listen({ host: address, port }).catch((error: NodeJS.ErrnoException) => {
    throw new CloudError('unavailable', `cannot listen on ${address} port ${port}: ${error.code ?? error.message}`, {
      cause: error,
    });
  });

  return {
    port: (api.server.address() as AddressInfo).port,
    health: () => controlHealth({ database, feed, projector, hosts }),
    async close() {
      imageController.stop();
      serverController.stop();
      transfer.stop();
      await Promise.all([hosts.stop(), projector.stop(), queue.stop()]);
      await api.close();
      await identity.stop();
      await feed.stop();
      client.close();
      await database.close();
    },
  };
}
