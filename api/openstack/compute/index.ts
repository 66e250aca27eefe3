/**
 * Nova's API, v2.1 with microversions. Translates; decides nothing. See README.md for what is and what is not in it.
 */
import type { FastifyInstance } from 'fastify';
import type { AggregateService } from '../../../control/compute/aggregate/index.ts';
import type { ConsoleService } from '../../../control/compute/console/index.ts';
import type { FlavorService } from '../../../control/compute/flavor/index.ts';
import type { HypervisorService } from '../../../control/compute/hypervisor/index.ts';
import type { KeyPairService } from '../../../control/compute/key-pair/index.ts';
import type { ServerService } from '../../../control/compute/server/index.ts';
import type { ServerGroupService } from '../../../control/compute/server-group/index.ts';
import type { MigrationService } from '../../../control/compute/server-migration/index.ts';
import type { TenantUsageService } from '../../../control/compute/tenant-usage/index.ts';
import type { ImageService } from '../../../control/image/index.ts';
import type { QuotaService } from '../../../control/kit/quota/index.ts';
import type { FloatingIpService } from '../../../control/network/floating-ip/service.ts';
import type { NetworkService } from '../../../control/network/network/service.ts';
import type { SecurityGroupService } from '../../../control/network/security-group/service.ts';
import type { SnapshotService } from '../../../control/storage/snapshot/index.ts';
import type { VolumeService } from '../../../control/storage/volume/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import { readJson } from '../../boundary/json.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll } from '../common/authenticate.ts';
import { permit } from '../common/permit.ts';
import { serverActionRoutes } from './actions/routes.ts';
import { aggregateRoutes } from './aggregates.ts';
import * as a from './answers.ts';
import { consoleRoutes } from './consoles.ts';
import { diagnosticsRoutes } from './diagnostics.ts';
import { externalEventRoutes } from './external-events.ts';
import { novaFault, speakNovaFaults } from './faults.ts';
import { extraSpecRoutes, flavorAccessRoutes, flavorRoutes } from './flavors.ts';
import { floatingIpRoutes } from './floating-ips.ts';
import { goneRoutes } from './gone.ts';
import { hypervisorRoutes, serviceRoutes, zoneRoutes } from './hosts.ts';
import { imageMetadataRoutes, imageRoutes } from './images.ts';
import { instanceActionRoutes } from './instance-actions.ts';
import { keyPairRoutes } from './key-pairs.ts';
import { maximumVersion, speakMicroversions } from './microversion.ts';
import { migrationRoutes, serverMigrationRoutes } from './migrations.ts';
import { networkRoutes } from './networks.ts';
import { oldHostRoutes } from './old-hosts.ts';
import { quotaClassRoutes } from './quota-classes.ts';
import { limitRoutes, quotaSetRoutes } from './quotas.ts';
import { securityGroupRoutes, securityGroupRuleRoutes, serverSecurityGroupRoutes } from './security-groups.ts';
import { serverGroupRoutes } from './server-groups.ts';
import { serverMetadataRoutes, serverTagRoutes } from './server-labels.ts';
import { serverInterfaceRoutes, serverNetworkRoutes } from './server-network.ts';
import { serverPasswordRoutes } from './server-password.ts';
import { serverRoutes } from './servers.ts';
import { tenantUsageRoutes } from './tenant-usage.ts';
import { sentences } from './validate.ts';
import { extensionRoutes, versionRoutes } from './versions.ts';
import { volumeAttachmentRoutes } from './volume-attachments.ts';
import { snapshotRoutes, volumeRoutes } from './volumes.ts';

export interface ComputeDialectOptions {
  authenticator: Authenticator;
  servers: ServerService;
  consoles: ConsoleService;
  aggregates: AggregateService;
  serverGroups: ServerGroupService;
  migrations: MigrationService;
  tenantUsages: TenantUsageService;
  flavors: FlavorService;
  keyPairs: KeyPairService;
  hypervisors: HypervisorService;
  quotas: QuotaService;
  securityGroups: SecurityGroupService;
  images: ImageService;
  networks: NetworkService;
  floatingIps: FloatingIpService;
  volumes: VolumeService;
  snapshots: SnapshotService;
  /** For documents and walks: everything once. */
  withoutLegacy?: boolean;
}

export function computeDialect(options: ComputeDialectOptions): Dialect {
  return {
    prefix: '/compute',
    plugin: async (app) => {
      speakNovaFaults(app);
      readJson(app);
      speakMicroversions(app, (error, reply) => reply.code(406).send(novaFault(406, error.message)));
      authenticateAll(app, options.authenticator);
      versionRoutes(boundaryOf(app));
      for (const prefix of options.withoutLegacy ? ['/v2.1'] : ['/v2.1', '/v2']) {
        await app.register(async (scope) => routes(scope, options), { prefix });
      }
    },
  };
}

export const computeInfo = {
  title: 'Compute API v2.1',
  version: `2.${maximumVersion}`,
  description: "OpenStack's Compute API (Nova's) as Bothy answers it, with microversions.",
  fault: a.novaFault,
} as const;

const boundaryOf = (app: FastifyInstance): Boundary =>
  new Boundary(app, { sentences, permit, versionOf: (request) => request.microversion });

function routes(app: FastifyInstance, options: ComputeDialectOptions): void {
  const { servers, flavors, hypervisors } = options;
  const boundary = boundaryOf(app);
  serverRoutes(boundary, servers);
  serverActionRoutes(boundary, options);
  serverMetadataRoutes(boundary, servers);
  serverTagRoutes(boundary, servers);
  serverPasswordRoutes(boundary, servers);
  serverNetworkRoutes(boundary, servers);
  serverInterfaceRoutes(boundary, servers);
  volumeAttachmentRoutes(boundary, servers);
  diagnosticsRoutes(boundary, servers);
  consoleRoutes(boundary, options.consoles);
  instanceActionRoutes(boundary, servers);
  flavorRoutes(boundary, flavors);
  extraSpecRoutes(boundary, flavors);
  flavorAccessRoutes(boundary, flavors);
  keyPairRoutes(boundary, options.keyPairs);
  limitRoutes(boundary, options.quotas);
  quotaSetRoutes(boundary, options.quotas);
  quotaClassRoutes(boundary, options.quotas);
  aggregateRoutes(boundary, options.aggregates);
  zoneRoutes(boundary, hypervisors);
  hypervisorRoutes(boundary, hypervisors);
  serviceRoutes(boundary, hypervisors);
  extensionRoutes(boundary);
  imageRoutes(boundary, options.images);
  imageMetadataRoutes(boundary, options.images);
  securityGroupRoutes(boundary, options.securityGroups);
  securityGroupRuleRoutes(boundary, options.securityGroups);
  serverSecurityGroupRoutes(boundary, servers, options.securityGroups);
  serverGroupRoutes(boundary, options.serverGroups);
  oldHostRoutes(boundary, hypervisors);
  networkRoutes(boundary, options.networks);
  floatingIpRoutes(boundary, options);
  volumeRoutes(boundary, options.volumes);
  snapshotRoutes(boundary, options.snapshots);
  externalEventRoutes(boundary);
  migrationRoutes(boundary, options.migrations);
  serverMigrationRoutes(boundary, servers, options.migrations);
  tenantUsageRoutes(boundary, options.tenantUsages);
  goneRoutes(boundary);
}
