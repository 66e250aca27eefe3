/** OS-FEDERATION: clouds that would take our users' word. */
import { Type } from 'typebox';
import type { ServiceProviderRow } from '../../../../control/identity/federation-tables.ts';
import type { ServiceProviderChange } from '../../../../control/identity/service-providers.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { collection, type Deps, flag, nullable, query, queryBoolean, type Routes } from '../resource.ts';
import { chosenId } from './federation.ts';

const url = Type.String({ maxLength: 256, pattern: '^[a-zA-Z0-9+.-]+:.+', examples: ['https://a.test'] });
const properties = {
  description: Type.Optional(nullable(Type.String({ maxLength: 65_535 }))),
  enabled: Type.Optional(flag),
  relay_state_prefix: Type.Optional(nullable(Type.String({ maxLength: 256 }))),
};
const closed = { additionalProperties: false };
const body = (urls: Parameters<typeof Type.Object>[0]) =>
  Type.Object({ service_provider: Type.Object({ ...properties, ...urls }, closed) });
const shown = a.one('service_provider', a.serviceProvider);
const contracts = {
  list: lists('List service providers', 'admin', a.many('service_providers', a.serviceProvider), 'id', 'enabled'),
  show: shows('Show a service provider', 'admin', shown),
  put: {
    summary: 'Make a service provider',
    rights: 'admin',
    body: body({ auth_url: url, sp_url: url }),
    answers: { 201: shown },
  },
  patch: {
    summary: 'Change a service provider',
    rights: 'admin',
    body: body({ auth_url: Type.Optional(url), sp_url: Type.Optional(url) }),
    answers: { 200: shown },
  },
  remove: quiet('Remove a service provider', 'admin'),
} as const;

const view =
  (deps: Deps) =>
  ({ id: _, name, ...row }: ServiceProviderRow) => ({
    ...{ id: name, ...row },
    links: { self: `${deps.base}/v3/OS-FEDERATION/service_providers/${encodeURIComponent(name)}` },
  });

export const serviceProviderRoutes: Routes = (app, deps) => {
  const { serviceProviders } = deps.identity;
  const one = view(deps);
  const path = '/v3/OS-FEDERATION/service_providers';
  app.read(path, contracts.list, async (request) => {
    const { id, enabled } = query(request);
    const on = queryBoolean(enabled);
    const filter = { ...(id !== undefined && { name: id }), ...(on !== undefined && { enabled: on }) };
    return collection(deps, request, 'service_providers', await serviceProviders.list(callerOf(request), filter), one);
  });
  app.read(`${path}/:id`, contracts.show, async (request) => ({
    service_provider: one(await serviceProviders.get(callerOf(request), request.params.id)),
  }));
  app.put(`${path}/:id`, contracts.put, async (request, reply) => {
    const given = request.body.service_provider as ServiceProviderChange & { auth_url: string; sp_url: string };
    const row = await serviceProviders.create(callerOf(request), chosenId(request.params.id), given);
    return reply.code(201).send({ service_provider: one(row) });
  });
  app.patch(`${path}/:id`, contracts.patch, async (request) => {
    const change = request.body.service_provider as ServiceProviderChange;
    return { service_provider: one(await serviceProviders.update(callerOf(request), request.params.id, change)) };
  });
  app.delete(`${path}/:id`, contracts.remove, async (request, reply) => {
    await serviceProviders.delete(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
};
