/** OpenStack Networking API v2.0 (Neutron's) over control/network and its neighbours. Translates, never decides. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Database } from '../../../control/kit/database/database.ts';
import { TagService } from '../../../control/kit/tags.ts';
import { FloatingIpService } from '../../../control/network/floating-ip/service.ts';
import { NetworkInventory } from '../../../control/network/inventory.ts';
import { NetworkService } from '../../../control/network/network/service.ts';
import { PortService } from '../../../control/network/port/service.ts';
import { NetworkQuotaService } from '../../../control/network/quota.ts';
import { RouterService } from '../../../control/network/router/service.ts';
import { SecurityGroupService } from '../../../control/network/security-group/service.ts';
import { SubnetService } from '../../../control/network/subnet/service.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll, callerOf } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import { addExtensions } from './extensions.ts';
import { neutronFaults } from './fault.ts';
import { floatingIps } from './floating-ips.ts';
import { addInventory } from './inventory.ts';
import { networks } from './networks.ts';
import { ports } from './ports.ts';
import { addQuotas } from './quotas.ts';
import { addResource, type Resource } from './resource.ts';
import { addRouterVerbs, routers } from './routers.ts';
import { securityGroupRules, securityGroups } from './security-groups.ts';
import { subnets } from './subnets.ts';
import { addTags } from './tags.ts';
import { addVersions } from './versions.ts';

export interface NetworkServices {
  networks: NetworkService;
  subnets: SubnetService;
  ports: PortService;
  routers: RouterService;
  floatingIps: FloatingIpService;
  securityGroups: SecurityGroupService;
  tags: TagService;
  quotas: NetworkQuotaService;
  inventory: NetworkInventory;
}

/** All services of the network on one database; they hold no state of their own. */
export const networkServices = (options: { database: Database }): NetworkServices => ({
  networks: new NetworkService(options),
  subnets: new SubnetService(options),
  ports: new PortService(options),
  routers: new RouterService(options),
  floatingIps: new FloatingIpService(options),
  securityGroups: new SecurityGroupService(options),
  tags: new TagService(options),
  quotas: new NetworkQuotaService(options),
  inventory: new NetworkInventory(options),
});

const prefix = '/network';

/** Collections of features that this cloud does not have yet: clients list them to find out. */
const emptyCollections = { subnetpools: 'subnetpools', 'service-providers': 'service_providers' } as const;

export function networkDialect(deps: {
  authenticator: Authenticator;
  services: NetworkServices;
  /** As in the catalogue, without the path, e.g. https://cloud.example:8443; default: as the client called. */
  publicUrl?: string;
}): Dialect {
  const { authenticator, services } = deps;
  const baseUrl = (request: FastifyRequest): string =>
    `${deps.publicUrl ?? `${request.protocol}://${request.host}`}${prefix}`;
  const tagged: Resource[] = [
    networks(services.networks),
    subnets(services.subnets),
    ports(services.ports),
    routers(services.routers),
    floatingIps(services.floatingIps),
    securityGroups(services.securityGroups),
  ];
  const resources: Resource[] = [...tagged, securityGroupRules(services.securityGroups)];
  return {
    prefix,
    plugin: async (app) => {
      speakFaults(app, neutronFaults);
      authenticateAll(app, authenticator);
      allowEmptyBodies(app);
      addVersions(app, baseUrl, resources);
      for (const resource of resources) addResource(app, baseUrl, resource);
      for (const resource of tagged) addTags(app, services.tags, resource);
      addRouterVerbs(app, services.routers);
      addQuotas(app, services.quotas);
      addInventory(app, services.inventory);
      addExtensions(app);
      for (const [path, plural] of Object.entries(emptyCollections)) {
        app.get(`/v2.0/${path}`, async (request) => {
          callerOf(request);
          return { [plural]: [] };
        });
      }
    },
  };
}

/** Some clients announce JSON and send nothing (PUT of a tag). */
function allowEmptyBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parse(request, body as string, done);
  });
}
