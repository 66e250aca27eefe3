/** Makes everything that control/ and api/ need, once, in order, and hands it down. Nothing is made anywhere else. */
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { hostStream } from '../../api/host/stream.ts';
import { nativeDialect } from '../../api/native/index.ts';
import { computeDialect } from '../../api/openstack/compute/index.ts';
import { identityDialect } from '../../api/openstack/identity/index.ts';
import { imageDialect } from '../../api/openstack/image/index.ts';
import { networkDialect } from '../../api/openstack/network/index.ts';
import { type ApiOptions, createApi, type Dialect, renewCertificate } from '../../api/server.ts';
import type { HostId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { bootstrapCloud } from '../../control/bootstrap.ts';
import { FlavorService } from '../../control/compute/flavor/index.ts';
import { KeyPairService } from '../../control/compute/key-pair/index.ts';
import { PlacementService } from '../../control/compute/placement/index.ts';
import {
  type ControllerStep,
  hostedServers,
  ServerController,
  ServerService,
} from '../../control/compute/server/index.ts';
import { HostClient, HostStreams, registerHost } from '../../control/host/index.ts';
import { bootstrapIdentity, IdentityService } from '../../control/identity/index.ts';
import {
  ImageController,
  ImageCopies,
  ImageImporter,
  ImageImportService,
  ImageMemberService,
  ImageService,
  ImageTransfer,
  PropertyProtections,
  WebSource,
  webRules,
} from '../../control/image/index.ts';
import { MetadefService } from '../../control/image/metadef/index.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { Database } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { migrate } from '../../control/kit/database/migrate.ts';
import { HistoryKeeper } from '../../control/kit/history/index.ts';
import { WorkQueue } from '../../control/kit/queue/queue.ts';
import { QuotaService } from '../../control/kit/quota/index.ts';
import { Projector } from '../../control/network/ovn/index.ts';
import { PortService } from '../../control/network/port/service.ts';
import { networkServices } from '../../control/network/services.ts';
import { resources, usage } from '../../control/resources.ts';
import { Credentials } from '../../protocols/tls/index.ts';
import type { ControlConfiguration } from './configuration.ts';
import { controlHealth } from './control-health.ts';
import type { Health } from './health.ts';
import { leaseHolder } from './lease-holder.ts';

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

/** For tests. */
export interface ControlHooks {
  /** The name under which it leads where one of several does; absent: what {@link leaseHolder} says. */
  holder?: string;
  /** How long a host may be away before servers that it never took are given to another. */
  hostAwayMs?: number;
  /** How often the certificate's files are looked at. */
  credentials?: { lookEveryMs: number };
  /** Told of every route of every dialect. */
  onRoute?: ApiOptions['onRoute'];
  /** Comes before the dialects and sees what they answer. */
  observer?: Dialect;
  /** Called where the process may die. */
  afterServerStep?: (step: ControllerStep, serverId: string) => void;
}

export async function startControl(
  configuration: ControlConfiguration,
  log: Logger,
  hooks: ControlHooks = {},
): Promise<RunningControl> {
  const url = new Secret(configuration.databaseUrl);
  const credentials = new Credentials(configuration.tls, hooks.credentials);
  const tls = credentials.current;
  const database = new Database({ url, applicationName: 'bothy control' });
  await prepareDatabase(database, url, configuration, log);
  const feed = new ChangeFeed({ database, url, log });
  await feed.start();
  const { holder = leaseHolder(join(dirname(configuration.healthSocket), 'lease-holder.json')) } = hooks;
  const services = await makeServices({ configuration, log, hooks, database, feed, tls, holder });
  const queue = new WorkQueue({ database, log });
  const history = new HistoryKeeper({ database, log, resources, retention: configuration.retention, holder });
  const api = await createApi({
    tls,
    log,
    upgrades: [hostStream({ hosts: services.hosts, log })],
    ...(hooks.onRoute && { onRoute: hooks.onRoute }),
    dialects: [
      ...(hooks.observer ? [hooks.observer] : []),
      ...dialects(services, { database, feed, publicUrl: configuration.publicUrl }),
    ],
  });
  const { hosts, imageController, serverController, projector, identity, transfer, importer, copies, client } =
    services;
  credentials.onChange((renewed) => {
    renewCertificate(api, renewed);
    services.client.renew(renewed);
    log.info('certificate renewed');
  });
  await queue.start({ ...imageController.tasks, ...importer.tasks, ...serverController.tasks() });
  for (const part of [imageController, serverController, hosts]) part.start();
  await listen(api, configuration.listen);
  // One that can't serve shall not lead either.
  for (const part of [projector, history]) part.start();
  return {
    port: (api.server.address() as AddressInfo).port,
    health: () => controlHealth({ database, feed, projector, hosts }),
    async close() {
      credentials.close();
      for (const part of [imageController, serverController, transfer]) part.stop();
      await Promise.all([hosts.stop(), projector.stop(), queue.stop(), history.stop(), importer.stop(), copies.stop()]);
      await api.close();
      await identity.stop();
      await feed.stop();
      client.close();
      await database.close();
    },
  };
}

/** The newest schema, and in it what a cloud has from its first start. Safe to repeat. */
async function prepareDatabase(
  database: Database,
  url: Secret,
  { region, cloudId, bootstrap, localHost }: ControlConfiguration,
  log: Logger,
): Promise<void> {
  const migrations = await migrate({ url });
  if (migrations.length > 0) log.info({ migrations }, 'database migrated');
  await bootstrapIdentity(database, { adminPassword: new Secret(bootstrap.adminPassword) });
  await bootstrapCloud(database, { cloudId, region, external: bootstrap.external });
  const { id: incarnation, begun, reason } = await settleIncarnation(database);
  if (begun) log.warn({ incarnation, reason }, 'a new incarnation of the database begins');
  await registerHost(database, { id: localHost.id as HostId, name: localHost.name });
}

interface Ground {
  configuration: ControlConfiguration;
  log: Logger;
  hooks: ControlHooks;
  database: Database;
  feed: ChangeFeed;
  tls: { key: string; cert: string; ca: string };
  holder: string;
}

async function makeServices({ configuration, log, hooks, database, feed, tls, holder }: Ground) {
  const { region, publicUrl, cloudId, northbound, passwordPolicy, reclaimSeconds = 0 } = configuration;
  const identity = new IdentityService({
    ...{ database, feed, log, region, publicUrl, catalogue, resources },
    ...(passwordPolicy && { passwordPolicy }),
    sealingKeys: configuration.sealingKeys.map((key) => new Secret(Buffer.from(key, 'base64'))),
  });
  await identity.start();
  const ports = new PortService({ database });
  const client = new HostClient({ tls, local: configuration.localHost });
  const protections = new PropertyProtections(configuration.imageProtections);
  const images = new ImageService({ database, log, protections });
  const serverController = new ServerController({
    ...{ database, ports, log, reclaimSeconds },
    ...(hooks.afterServerStep && { afterStep: hooks.afterServerStep }),
    ...(hooks.hostAwayMs !== undefined && { hostAwayMs: hooks.hostAwayMs }),
  });
  const transfer = new ImageTransfer({ database, images, client, log });
  const { imageCopies: wantedCopies = 1 } = configuration;
  const copies = new ImageCopies({ database, client, transfer, log, copies: wantedCopies });
  const { ranges = [], ports: more = [] } = configuration.imageImport ?? {};
  const rules = webRules({ database, ranges, ports: more });
  return {
    identity,
    ports,
    client,
    images,
    transfer,
    webRules: rules,
    imports: new ImageImportService({ database, region, protections }),
    importer: new ImageImporter({ database, transfer, web: new WebSource({ rules }), log }),
    copies,
    imageController: new ImageController({ database, feed, client, copies, wantedCopies, log }),
    servers: new ServerService({
      ...{ database, ports, images, hosts: client, log, reclaimSeconds },
      created: (servers) => serverController.hurry(servers),
    }),
    serverController,
    hosts: new HostStreams({
      ...{ database, feed, cloudId, resources, log },
      servers: hostedServers({ database, ports, log }),
      networks: ports,
    }),
    projector: new Projector({ database, feed, log, holder, northbound: { target: northbound } }),
  };
}

function dialects(
  services: Awaited<ReturnType<typeof makeServices>>,
  { database, feed, publicUrl }: { database: Database; feed: ChangeFeed; publicUrl: string },
): Dialect[] {
  const { identity, images, transfer, servers, imports, webRules } = services;
  const authenticator = identity;
  return [
    identityDialect({ identity, publicUrl }),
    imageDialect({
      authenticator,
      images,
      members: new ImageMemberService({ database }),
      transfer,
      imports,
      webRules,
      metadefs: new MetadefService({ database }),
    }),
    networkDialect({ authenticator, services: networkServices({ database }), publicUrl }),
    computeDialect({
      ...{ authenticator, servers },
      flavors: new FlavorService({ database }),
      keyPairs: new KeyPairService({ database }),
      placement: new PlacementService({ database }),
      quotas: new QuotaService({ database, usage }),
    }),
    nativeDialect({ identity, database, feed }),
  ];
}

async function listen(api: FastifyInstance, { address, port }: ControlConfiguration['listen']): Promise<void> {
  await api.listen({ host: address, port }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot listen on ${address} port ${port}: ${error.code ?? error.message}`, {
      cause: error,
    });
  });
}
