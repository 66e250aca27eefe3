import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { InterfaceResult } from '../../../control/network/router/interfaces.ts';
import { type RouterRow, routerListing } from '../../../control/network/router/router.ts';
import type { InterfaceWish, RouterService, RouterWish } from '../../../control/network/router/service.ts';
import type { Route } from '../../../control/network/router/tables.ts';
import { callerOf } from '../common/authenticate.ts';
import {
  type Attributes,
  badRequest,
  boolean,
  ip,
  listOf,
  nothing,
  object,
  type Reader,
  readAttributes,
  standard,
  text,
  uuid,
} from './attributes.ts';
import { idOf, type Resource, standardView, type View } from './resource.ts';

const gateway: Reader = (value) => {
  if (value === null || (typeof value === 'object' && Object.keys(value).length === 0)) return null;
  return object({
    network_id: uuid,
    'enable_snat?': boolean,
    'external_fixed_ips?': listOf(object({ 'subnet_id?': uuid, 'ip_address?': ip }, { ip_address: 'ip' }), 64),
    'qos_policy_id?': nothing,
  })(value);
};

const route = object({ destination: text(64), nexthop: ip });

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255) },
  admin_state_up: { post: true, put: true, read: boolean },
  status: {},
  external_gateway_info: { to: 'gateway', post: true, put: true, read: gateway, noFilter: true },
  routes: { put: true, read: listOf(route), noFilter: true },
  availability_zone_hints: { post: true, read: listOf(nothing), noFilter: true },
  availability_zones: { noFilter: true },
  tags: { noFilter: true },
};

export const routers = (service: RouterService): Resource<RouterRow> => ({
  single: 'router',
  plural: 'routers',
  path: 'routers',
  attributes,
  listing: routerListing,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: async (caller, [wish]) => [await service.create(caller, wishOf(wish!))],
  update: (caller, id, wish) => service.update(caller, id, wishOf(wish)),
  delete: (caller, id) => service.delete(caller, id),
  view: viewOf,
});

const wishOf = ({ availability_zone_hints: _, ...wish }: Record<string, unknown>): RouterWish => wish as RouterWish;

function viewOf(row: RouterRow): View {
  return {
    id: row.id,
    name: row.name,
    ...standardView(row),
    admin_state_up: row.admin_state_up,
    status: 'ACTIVE',
    external_gateway_info:
      row.gateway_network_id === null
        ? null
        : {
            network_id: row.gateway_network_id,
            enable_snat: row.enable_snat,
            external_fixed_ips: row.gateway_ips,
          },
    routes: row.routes,
    availability_zone_hints: [],
    availability_zones: [],
  };
}

const interfaceAttributes: Attributes = {
  subnet_id: { put: true, read: uuid },
  port_id: { put: true, read: uuid },
};

const interfaceView = ({ project_id, ...result }: InterfaceResult): View => ({
  ...result,
  tenant_id: project_id,
  project_id,
});

/** Interfaces and single routes are verbs of their own. */
export function addRouterVerbs(app: FastifyInstance, service: RouterService): void {
  const target = { listing: routerListing };
  const wish = (request: FastifyRequest) => readAttributes(interfaceAttributes, request.body, 'put') as InterfaceWish;
  app.put('/v2.0/routers/:id/add_router_interface', async (request) =>
    interfaceView(await service.addInterface(callerOf(request), idOf(request, target), wish(request))),
  );
  app.put('/v2.0/routers/:id/remove_router_interface', async (request) =>
    interfaceView(await service.removeInterface(callerOf(request), idOf(request, target), wish(request))),
  );
  for (const [verb, member] of [
    ['add_extraroutes', 'add'],
    ['remove_extraroutes', 'remove'],
  ] as const) {
    app.put(`/v2.0/routers/:id/${verb}`, async (request) => {
      const body = (request.body as { router?: unknown } | null)?.router;
      if (body === undefined) throw badRequest("Unable to find 'router' in request body");
      const { routes } = readAttributes({ routes: attributes.routes! }, body, 'put') as { routes?: Route[] };
      const row = await service.changeRoutes(callerOf(request), idOf(request, target), { [member]: routes ?? [] });
      return { router: viewOf(row) };
    });
  }
}
