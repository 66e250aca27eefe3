import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { nat64 } from '../../../contract/host/index.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import type { GatewayWish } from '../../../control/network/router/gateway.ts';
import type { InterfaceResult } from '../../../control/network/router/interfaces.ts';
import { type RouterRow, routerListing } from '../../../control/network/router/router.ts';
import type { InterfaceWish, RouterService, RouterWish } from '../../../control/network/router/service.ts';
import type { Route } from '../../../control/network/router/tables.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  badRequest,
  boolean,
  ip,
  listOf,
  nothing,
  nullable,
  object,
  type Reader,
  readAttributes,
  reader,
  readPut,
  standard,
  text,
  Unreadable,
  unique,
  uuid,
} from './attributes.ts';
import { answers, bodySchema, putBody } from './contracts.ts';
import { idOf, type Resource, standardView, type View } from './resource.ts';

const gatewayParts = object({
  network_id: uuid,
  'enable_snat?': boolean,
  'external_fixed_ips?': listOf(object({ 'subnet_id?': uuid, 'ip_address?': ip }, { ip_address: 'ip' }), 64),
  'qos_policy_id?': nullable(uuid),
});

/** Null or nothing in it: no gateway. */
const gateway: Reader = reader(Type.Union([gatewayParts.schema, nothing.schema]), (value) => {
  if (value === null || (typeof value === 'object' && Object.keys(value).length === 0)) return null;
  return gatewayParts(value);
});

const gatewayList = listOf(
  object({
    network_id: uuid,
    'enable_snat?': boolean,
    'external_fixed_ips?': listOf(object({ 'subnet_id?': uuid, 'ip_address?': ip }, { ip_address: 'ip' }), 64),
  }),
  16,
);

const route = object({ destination: text(64), nexthop: ip });

/** Null: as it is. */
const ecmp: Reader = reader(nullable(boolean).schema, (value) => (value === null ? undefined : boolean(value)));

const noBfd: Reader = reader(nullable(boolean).schema, (value) => {
  if (value === null || boolean(value) === false) return undefined;
  throw new Unreadable('next hops are not watched by BFD here, so a default route stays while its next hop is dead.');
});

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  admin_state_up: { post: true, put: true, read: boolean, show: a.boolean },
  status: { show: a.text },
  external_gateway_info: {
    to: 'gateway',
    post: true,
    put: true,
    read: gateway,
    noFilter: true,
    show: a.orNull(
      a.record({
        network_id: a.id,
        enable_snat: a.boolean,
        external_fixed_ips: a.list({ subnet_id: a.id, ip_address: a.text }),
        qos_policy_id: a.orNull(a.id),
      }),
    ),
  },
  external_gateways: {
    noFilter: true,
    show: a.list({ network_id: a.id, external_fixed_ips: a.list({ subnet_id: a.id, ip_address: a.text }) }),
  },
  enable_default_route_ecmp: { to: 'default_route_ecmp', post: true, put: true, read: ecmp, show: a.boolean },
  enable_default_route_bfd: { post: true, put: true, read: noBfd, noFilter: true },
  distributed: { post: true, put: true, read: boolean, admin: true, show: a.boolean },
  ha: { post: true, put: true, read: boolean, admin: true, show: a.boolean },
  // Null: Neutron's own default, which is off.
  enable_ndp_proxy: { to: 'ndp_proxy', post: true, put: true, read: ecmp, show: a.boolean },
  nat64: { post: true, put: true, read: boolean, show: a.boolean },
  nat64_prefix: { noFilter: true, show: a.orNull(a.text) },
  flavor_id: { post: true, read: nullable(uuid), show: a.orNull(a.id) },
  routes: { put: true, read: listOf(route), noFilter: true, show: a.list({ destination: a.text, nexthop: a.text }) },
  availability_zone_hints: { post: true, read: unique(listOf(text(255), 10)), noFilter: true, show: a.texts },
  availability_zones: { noFilter: true, show: a.texts },
  tags: { noFilter: true, show: a.texts },
};

export const routers = (service: RouterService): Resource<RouterRow> => ({
  single: 'router',
  plural: 'routers',
  path: 'routers',
  attributes,
  listing: routerListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.createAll(caller, wishes as RouterWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as RouterWish),
  delete: (caller, id) => service.delete(caller, id),
  view: viewOf,
});

function viewOf(row: RouterRow, caller: Caller): View {
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
            external_fixed_ips: row.gateways[0]?.ips ?? [],
            qos_policy_id: row.gateway_qos_policy_id,
          },
    external_gateways: row.gateways.map(({ network_id, ips }) => ({ network_id, external_fixed_ips: ips })),
    enable_default_route_ecmp: row.default_route_ecmp,
    ...(isAdmin(caller) ? { distributed: row.distributed, ha: row.ha } : {}),
    enable_ndp_proxy: row.ndp_proxy,
    nat64: row.nat64,
    nat64_prefix: row.nat64 ? nat64.prefix : null,
    flavor_id: row.flavor_id,
    routes: row.routes,
    availability_zone_hints: row.availability_zone_hints,
    // Where its gateway may be: of more zones than one only OVN knows which.
    availability_zones: row.gateway_network_id === null ? [] : row.availability_zone_hints,
  };
}

const interfaceAttributes: Attributes = {
  subnet_id: { put: true, read: uuid },
  port_id: { put: true, read: uuid },
};

const interfaceAnswer = a.record({
  id: a.id,
  tenant_id: a.id,
  project_id: a.id,
  port_id: a.id,
  network_id: a.id,
  subnet_id: a.id,
  subnet_ids: Type.Array(a.id),
});

const interfaceVerb = {
  rights: 'member',
  body: bodySchema(interfaceAttributes, 'put'),
  answers: { 200: interfaceAnswer },
  explain: { body: (body: unknown) => readAttributes(interfaceAttributes, body, 'put') },
} as const;

const routeAttributes: Attributes = { routes: attributes.routes! };
const routesOf = (body: unknown): Route[] => {
  const router = (body as { router?: unknown } | null | undefined)?.router;
  if (router === undefined) throw badRequest("Unable to find 'router' in request body");
  return (readAttributes(routeAttributes, router, 'put') as { routes?: Route[] }).routes ?? [];
};
const routesVerb = {
  rights: 'member',
  body: putBody({ single: 'router', attributes: routeAttributes }),
  explain: { body: routesOf },
} as const;

const gatewayAttributes: Attributes = { external_gateways: { put: true, read: gatewayList } };
const gatewaysOf = (body: unknown): GatewayWish[] =>
  (readPut('router', gatewayAttributes, body) as { external_gateways?: GatewayWish[] }).external_gateways ?? [];
const gatewaysVerb = {
  rights: 'member',
  body: putBody({ single: 'router', attributes: gatewayAttributes }),
  explain: { body: gatewaysOf },
} as const;

const interfaceView = ({ project_id, ...result }: InterfaceResult): View => ({
  ...result,
  tenant_id: project_id,
  project_id,
});

/** Interfaces and single routes are verbs of their own. */
export function addRouterVerbs(app: Boundary, service: RouterService): void {
  const target = { listing: routerListing };
  const answer = answers({ single: 'router', plural: 'routers', attributes }).one;
  const wish = (request: FastifyRequest) => readAttributes(interfaceAttributes, request.body, 'put') as InterfaceWish;
  app.put(
    '/v2.0/routers/:id/add_router_interface',
    { summary: 'Connect a router to a subnet', ...interfaceVerb },
    async (request) =>
      interfaceView(await service.addInterface(callerOf(request), idOf(request, target), wish(request))),
  );
  app.put(
    '/v2.0/routers/:id/remove_router_interface',
    { summary: 'Disconnect a router from a subnet', ...interfaceVerb },
    async (request) =>
      interfaceView(await service.removeInterface(callerOf(request), idOf(request, target), wish(request))),
  );
  for (const verb of ['add', 'update', 'remove'] as const) {
    const contract = { ...gatewaysVerb, summary: `${verb} gateways of a router`, answers: { 200: answer } } as const;
    app.put(`/v2.0/routers/:id/${verb}_external_gateways`, contract, async (request) => {
      const gateways = gatewaysOf(request.body);
      const row = await service.changeGateways(callerOf(request), idOf(request, target), verb, gateways);
      return { router: viewOf(row, callerOf(request)) };
    });
  }
  for (const [verb, member] of [
    ['add_extraroutes', 'add'],
    ['remove_extraroutes', 'remove'],
  ] as const) {
    const contract = {
      ...routesVerb,
      summary: `${verb.replace('_extra', ' ')} of a router`,
      answers: { 200: answer },
    } as const;
    app.put(`/v2.0/routers/:id/${verb}`, contract, async (request) => {
      const routes = routesOf(request.body);
      const row = await service.changeRoutes(callerOf(request), idOf(request, target), { [member]: routes });
      return { router: viewOf(row, callerOf(request)) };
    });
  }
}
