/** Makes everything that control/ and api/ need, once, in order, and hands it down. Nothing is made anywhere else. */
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { consoleDialect } from '../../api/console/dialect.ts';
import { consoleUpgrades } from '../../api/console/index.ts';
import { hostStream } from '../../api/host/stream.ts';
import { nativeDialect } from '../../api/native/index.ts';
import { computeDialect } from '../../api/openstack/compute/index.ts';
import { identityDialect } from '../../api/openstack/identity/index.ts';
import { imageDialect } from '../../api/openstack/image/index.ts';
import { networkDialect } from '../../api/openstack/network/index.ts';
import { objectDialect } from '../../api/openstack/object/index.ts';
import { placementDialect } from '../../api/openstack/placement/index.ts';
import { volumeDialect } from '../../api/openstack/volume/index.ts';
import { s3Dialect } from '../../api/s3/index.ts';
import { type ApiOptions, createApi, type Dialect, renewCertificate } from '../../api/server.ts';
import type { HostId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { bootstrapCloud } from '../../control/bootstrap.ts';
import { openCompute } from '../../control/compute/open.ts';
import type { ControllerStep } from '../../control/compute/server/index.ts';
import { HostClient, type HostEndpoint, HostStreams, registerHost } from '../../control/host/index.ts';
import { HostTokenService, JoinService } from '../../control/host/token/index.ts';
import { bootstrapIdentity, IdentityService, Sealer } from '../../control/identity/index.ts';
import { openImage } from '../../control/image/open.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { Presence } from '../../control/kit/control-process/index.ts';
import { Database } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { migrate } from '../../control/kit/database/migrate.ts';
import { HistoryKeeper } from '../../control/kit/history/index.ts';
import { WorkQueue } from '../../control/kit/queue/queue.ts';
import { QuotaService } from '../../control/kit/quota/index.ts';
import { openNetwork } from '../../control/network/open.ts';
import { Projector } from '../../control/network/ovn/index.ts';
import { AssertionWatch } from '../../control/network/reachability-assertion/index.ts';
import { openObject } from '../../control/object/open.ts';
import { resources, usage, userUsage } from '../../control/resources.ts';
import { openStorage } from '../../control/storage/open.ts';
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
  { type: 'placement', name: 'placement', path: '/placement' },
  // One service under the names that clients of different ages look for.
  { type: 'block-storage', name: 'cinder', path: '/volume/v3/{project_id}' },
  { type: 'volumev3', name: 'cinderv3', path: '/volume/v3/{project_id}' },
  { type: 'object-store', name: 'swift', path: '/object/v1/AUTH_{project_id}' },
  { type: 's3', name: 's3', path: '/s3' },
];

/** For tests. */
export interface ControlHooks {
  /** The name under which it leads where one of several does; absent: what {@link leaseHolder} says. */
  holder?: string;
  /** How long a host may be away before servers that it never took are given to another. */
  hostAwayMs?: number;
  /** How often streams are looked at, and for how long hosts are lent what is theirs. */
  streams?: ConstructorParameters<typeof HostStreams>[0]['timing'];
  /** When a host counts as lost. */
  evacuation?: Parameters<typeof openCompute>[0]['evacuation'];
  /** How often hosts that shall be empty are looked at. */
  draining?: Parameters<typeof openCompute>[0]['draining'];
  /** When a host that is lost is turned off. */
  powerOff?: Parameters<typeof openCompute>[0]['powerOff'];
  consolidation?: Parameters<typeof openCompute>[0]['consolidation'];
  standby?: Parameters<typeof openCompute>[0]['standby'];
  watts?: Parameters<typeof openCompute>[0]['watts'];
  /** How often the certificate's files are looked at. */
  credentials?: { lookEveryMs: number };
  /** Sees it before it has a connection. */
  onDatabase?: (database: Database) => void;
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
  const [url, projects] = [new Secret(configuration.databaseUrl), configuration.northbound !== ''];
  const credentials = new Credentials(configuration.tls, hooks.credentials);
  const tls = credentials.current;
  const database = new Database({ url, applicationName: 'bothy control' });
  hooks.onDatabase?.(database);
  await prepareDatabase(database, url, configuration, log);
  const feed = new ChangeFeed({ database, url, log });
  await feed.start();
  const { holder = leaseHolder(join(dirname(configuration.healthSocket), 'lease-holder.json')) } = hooks;
  const { queue, presence } = openWork({ configuration, database, log, holder });
  const areas = await openAreas({ configuration, log, hooks, database, feed, tls, holder, presence });
  const history = new HistoryKeeper({ database, log, resources, retention: configuration.retention, holder });
  const consoles = consoleUpgrades({ consoles: areas.compute.services.consoles, log });
  const api = await openApi(areas, {
    ...{ configuration, log, hooks, database, feed, tls },
    upgrades: consoles.upgrades,
  });
  const { hosts, image, storage, compute, projector, assertions, identity, client } = areas;
  credentials.onChange((renewed) => {
    renewCertificate(api, renewed);
    client.renew(renewed);
    log.info('certificate renewed');
  });
  await queue.start({
    ...{ ...image.tasks, ...storage.tasks, ...compute.tasks },
    image_digest: async (id) => void (await Promise.all([compute.tellDigest(id), storage.tellDigest(id)])),
  });
  feed.onTurn(() => compute.watches.evacuator.beginAnew());
  for (const part of [image, areas.object, storage, compute, hosts, assertions]) part.start();
  await listen(api, configuration.listen);
  // One that can't serve shall not lead either.
  const projecting = projects ? projector : undefined;
  for (const part of [projecting, history, presence]) part?.start();
  return {
    port: (api.server.address() as AddressInfo).port,
    health: () => controlHealth({ database, feed, hosts, presence, projector: projecting, ...compute.watches }),
    async close() {
      credentials.close();
      await compute.stop();
      storage.stop();
      consoles.close();
      await Promise.all([image, areas.object, hosts, projector, assertions, queue, history].map((part) => part.stop()));
      // Only now is nothing under way that others would have to take over.
      await presence.stop();
      await api.close();
      await identity.stop();
      await feed.stop();
      client.close();
      await database.close();
    },
  };
}

function openApi(
  areas: Awaited<ReturnType<typeof openAreas>>,
  given: Pick<Ground, 'configuration' | 'log' | 'hooks' | 'database' | 'feed' | 'tls'> & {
    upgrades: ReturnType<typeof consoleUpgrades>['upgrades'];
  },
): Promise<FastifyInstance> {
  const { log, hooks, tls, upgrades } = given;
  return createApi({
    tls,
    log,
    upgrades: [hostStream({ hosts: areas.hosts, log }), ...upgrades],
    ...(hooks.onRoute && { onRoute: hooks.onRoute }),
    dialects: [...(hooks.observer ? [hooks.observer] : []), ...dialects(areas, { ...given, ca: tls.ca })],
  });
}

/** The newest schema, and in it what a cloud has from its first start. Safe to repeat. */
async function prepareDatabase(
  database: Database,
  url: Secret,
  { region, cloudId, bootstrap, localHost, sealingKeys }: ControlConfiguration,
  log: Logger,
): Promise<void> {
  const migrations = await migrate({ url });
  if (migrations.length > 0) log.info({ migrations }, 'database migrated');
  const { accessKey } = bootstrap;
  await bootstrapIdentity(database, {
    adminPassword: new Secret(bootstrap.adminPassword),
    ...(accessKey && {
      accessKey: { access: accessKey.access, secret: new Secret(accessKey.secret), sealer: sealerOf(sealingKeys) },
    }),
  });
  await bootstrapCloud(database, { cloudId, region, external: bootstrap.external });
  const { id: incarnation, begun, reason } = await settleIncarnation(database);
  if (begun) log.warn({ incarnation, reason }, 'a new incarnation of the database begins');
  await registerHost(database, { id: localHost.id as HostId, name: localHost.name });
}

const secretsOf = (keys: readonly string[]) => keys.map((key) => new Secret(Buffer.from(key, 'base64')));
const sealerOf = (keys: readonly string[]): Sealer => new Sealer(secretsOf(keys));

interface Ground {
  configuration: ControlConfiguration;
  log: Logger;
  hooks: ControlHooks;
  database: Database;
  feed: ChangeFeed;
  tls: { key: string; cert: string; ca: string };
  holder: string;
  presence: Presence;
}

/** The queue of work, and who else there is to work at it. */
function openWork({
  configuration,
  database,
  log,
  holder,
}: Pick<Ground, 'configuration' | 'database' | 'log' | 'holder'>) {
  const { localHost, ownUrl = '', bothyVersion: version } = configuration;
  const queue = new WorkQueue({ database, log, holder });
  const presence = new Presence({
    ...{ database, log, self: { id: holder, machine: localHost.name, url: ownUrl, version } },
    onSilent: (id) => void queue.takeOver(id),
  });
  return { queue, presence };
}

async function openAreas({ configuration, log, hooks, database, feed, tls, holder, presence }: Ground) {
  const { region, publicUrl, cloudId, northbound, passwordPolicy } = configuration;
  const { reclaimSeconds = 0, shelvedOffloadSeconds = 0, confirmSeconds = 0 } = configuration;
  const sealingKeys = secretsOf(configuration.sealingKeys);
  const identity = new IdentityService({
    ...{ database, feed, log, region, publicUrl, catalogue, resources },
    ...(passwordPolicy && { passwordPolicy }),
    ...(configuration.trustedDashboards && { trustedDashboards: configuration.trustedDashboards }),
    sealingKeys,
  });
  await identity.start();
  const client = new HostClient({ tls, local: configuration.localHost });
  const { imageProtections: protections, imageCopies: copies, imageImport: web } = configuration;
  const image = openImage({ database, feed, client, log, region, protections, copies, web });
  const object = openObject({ database, client, log, holder, copies: configuration.objectCopies });
  const network = openNetwork({ database });
  const { ports } = network;
  const { images } = image.services;
  const { operationDays } = configuration.retention;
  const sealer = new Sealer(sealingKeys);
  const storage = openStorage({ database, images, client, sealer, log, operationDays });
  const compute = openCompute({
    ...{ database, ports, images, hosts: client, sealer, log },
    ...{ reclaimSeconds, shelvedOffloadSeconds, confirmSeconds },
    placementPolicy: configuration.placementPolicy,
    rebalance: configuration.rebalance,
    rebalanceAfterSeconds: configuration.rebalanceAfterSeconds,
    consolidate: configuration.consolidate,
    consolidateAfterSeconds: configuration.consolidateAfterSeconds,
    wattsModel: configuration.wattsModel,
    quotas: new QuotaService({ database, usage, userUsage }),
    ...(hooks.afterServerStep && { afterStep: hooks.afterServerStep }),
    ...(hooks.hostAwayMs !== undefined && { hostAwayMs: hooks.hostAwayMs }),
    ...(hooks.evacuation && { evacuation: hooks.evacuation }),
    ...(hooks.draining && { draining: hooks.draining }),
    powerOff: hooks.powerOff,
    consolidation: hooks.consolidation,
    standby: hooks.standby,
    watts: hooks.watts,
  });
  const hosts = new HostStreams({
    ...{ database, feed, cloudId, resources, sealer, log, controls: presence },
    ...{ servers: compute.hosted, layers: storage.hosted },
    ...{ networks: ports, meters: network.meters },
    ...(hooks.streams && { timing: hooks.streams }),
  });
  const projector = new Projector({ database, feed, log, holder, northbound: { target: northbound } });
  const assertions = new AssertionWatch({ database, feed, log });
  return { identity, client, image, object, storage, network, compute, hosts, projector, assertions };
}

function dialects(
  { identity, client, image, object, storage, network, compute }: Awaited<ReturnType<typeof openAreas>>,
  given: { database: Database; feed: ChangeFeed; configuration: ControlConfiguration; ca: string },
): Dialect[] {
  const { database, feed, configuration, ca } = given;
  const { publicUrl, cloudId, localHost, southboundPort, bothyVersion: version } = configuration;
  const authority = { url: '', ...(configuration.authority ?? localHost) } as HostEndpoint;
  const authenticator = identity;
  return [
    identityDialect({ identity, publicUrl }),
    imageDialect({ authenticator, ...image.services }),
    networkDialect({ authenticator, services: network, publicUrl }),
    computeDialect({
      ...{ authenticator, ...compute.services },
      ...{ volumes: storage.services.volumes, snapshots: storage.services.snapshots },
      ...{ securityGroups: network.securityGroups, networks: network.networks, images: image.services.images },
      floatingIps: network.floatingIps,
    }),
    placementDialect({ authenticator, providers: compute.services.providers }),
    objectDialect({ authenticator, ...object.services }),
    volumeDialect({ authenticator, ...storage.services, quotas: compute.services.quotas }),
    nativeDialect({
      rebalance: compute.services.rebalance,
      ...{ consolidation: compute.services.consolidation, watts: compute.services.watts },
      ...{ identity, database, feed, pools: storage.services.pools, bmcs: compute.services.bmcs },
      hosts: {
        tokens: new HostTokenService({ database, ca }),
        joins: new JoinService({ database, client, authority, cloudId, version, southboundPort }),
        ...{
          hypervisors: compute.services.hypervisors,
          maintenance: compute.services.maintenance,
          cloudId,
          ca,
          version,
        },
      },
      ...{ reachability: network.reachability, reachabilityAssertions: network.reachabilityAssertions },
      meters: network.meters,
    }),
    s3Dialect({ ...object.services, signedRequests: identity.signedRequests, region: configuration.region }),
    consoleDialect(),
  ];
}

async function listen(api: FastifyInstance, { address, port }: ControlConfiguration['listen']): Promise<void> {
  await api.listen({ host: address, port }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot listen on ${address} port ${port}: ${error.code ?? error.message}`, {
      cause: error,
    });
  });
}
