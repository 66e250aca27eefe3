/** Services, endpoints and regions. */
import { type TSchema, Type } from 'typebox';
import type { EndpointChange, RegionChange, ServiceChange } from '../../../../control/identity/catalogue-service.ts';
import type { Interface } from '../../../../control/identity/catalogue-tables.ts';
import type { Extra } from '../../../../control/identity/tables.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, extraOf, filterId, flag, nullable, query, type Routes, wrapped } from '../resource.ts';
import { endpointView, regionView, serviceView } from '../views.ts';

const short = Type.String({ maxLength: 255 });
const named = Type.String({ minLength: 1, maxLength: 255 });
const description = nullable(Type.String({ maxLength: 65_535 }));
const region = { id: nullable(short), description, parent_region_id: nullable(short) };
const service = { type: named, name: short, description, enabled: flag };
const endpoint = {
  service_id: short,
  interface: Type.Union([Type.Literal('public'), Type.Literal('internal'), Type.Literal('admin')]),
  url: Type.String({ maxLength: 2048, pattern: '^[a-zA-Z0-9+.-]+:.+' }),
  region_id: nullable(short),
  region: nullable(short),
  enabled: flag,
};

/** Made, changed and removed by administrators. */
const changes = <const Noun extends string>(
  noun: Noun,
  properties: Parameters<typeof wrapped>[1],
  { required, answer }: { required: string[]; answer: TSchema },
) =>
  ({
    create: {
      summary: `Make a ${noun}`,
      rights: 'admin',
      body: wrapped(noun, properties, required),
      answers: { 201: a.one(noun, answer) },
    },
    update: {
      summary: `Change a ${noun}`,
      rights: 'admin',
      body: wrapped(noun, properties),
      answers: { 200: a.one(noun, answer) },
    },
    remove: quiet(`Remove a ${noun}`, 'admin'),
  }) as const;

const contracts = {
  services: lists('List services', 'admin', a.many('services', a.service), 'type', 'name'),
  service: shows('Show a service', 'admin', a.one('service', a.service)),
  serviceChanges: changes('service', service, { required: ['type'], answer: a.service }),
  endpoints: lists('List endpoints', 'admin', a.many('endpoints', a.endpoint), 'interface', 'service_id', 'region_id'),
  endpoint: shows('Show an endpoint', 'admin', a.one('endpoint', a.endpoint)),
  endpointChanges: changes('endpoint', endpoint, {
    required: ['service_id', 'interface', 'url'],
    answer: a.endpoint,
  }),
  regions: lists('List regions', 'caller', a.many('regions', a.region), 'parent_region_id'),
  region: shows('Show a region', 'caller', a.one('region', a.region)),
  regionChanges: changes('region', region, { required: [], answer: a.region }),
  putRegion: {
    summary: 'Make a region of that id',
    rights: 'admin',
    body: wrapped('region', region),
    answers: { 201: a.one('region', a.region) },
  },
} as const;

export const catalogueRoutes: Routes = (app, deps) => {
  regionRoutes(app, deps);
  serviceRoutes(app, deps);
  endpointRoutes(app, deps);
};

const serviceRoutes: Routes = (app, deps) => {
  const { catalogueEntries: entries } = deps.identity;
  const view = serviceView(deps);
  const known = (given: Record<string, unknown>): ServiceChange => {
    const own = Object.entries(given).filter(([name]) => Object.hasOwn(service, name));
    return { ...Object.fromEntries(own), extra: extraOf(given, Object.keys(service)) };
  };

  app.read('/v3/services', contracts.services, async (request) => {
    const { type, name } = query(request);
    const filter = { ...(type !== undefined && { type }), ...(name !== undefined && { name }) };
    return collection(deps, request, 'services', await entries.services(callerOf(request), filter), view);
  });
  app.post('/v3/services', contracts.serviceChanges.create, async (request, reply) => {
    const given = known(request.body.service) as ServiceChange & { type: string };
    return reply.code(201).send({ service: view(await entries.createService(callerOf(request), given)) });
  });
  app.read('/v3/services/:id', contracts.service, async (request) => ({
    service: view(await entries.service(callerOf(request), anyId(request.params.id))),
  }));
  app.patch('/v3/services/:id', contracts.serviceChanges.update, async (request) => ({
    service: view(
      await entries.updateService(callerOf(request), anyId(request.params.id), known(request.body.service)),
    ),
  }));
  app.delete('/v3/services/:id', contracts.serviceChanges.remove, async (request, reply) => {
    await entries.deleteService(callerOf(request), anyId(request.params.id));
    return reply.code(204).send();
  });
};

interface GivenEndpoint extends Record<string, unknown> {
  service_id?: string;
  interface?: Interface;
  url?: string;
  region_id?: string | null;
  region?: string | null;
  enabled?: boolean;
}

/** `region` is the old name of `region_id`, and makes the region where there is none. */
function endpointChange(given: GivenEndpoint): EndpointChange {
  const old = given.region_id === undefined || given.region_id === null;
  const named = old ? (given.region ?? given.region_id) : given.region_id;
  const { interface: face, url, enabled } = given;
  return {
    ...(given.service_id !== undefined && { serviceId: anyId(given.service_id) }),
    ...(named !== undefined && { region: named, makeRegion: old }),
    ...(face !== undefined && { interface: face }),
    ...(url !== undefined && { url }),
    ...(enabled !== undefined && { enabled }),
    extra: extraOf(given, Object.keys(endpoint)),
  };
}

const endpointRoutes: Routes = (app, deps) => {
  const { catalogueEntries: entries } = deps.identity;
  const view = endpointView(deps);

  app.read('/v3/endpoints', contracts.endpoints, async (request) => {
    const { interface: face, service_id: service, region_id: region } = query(request);
    const serviceId = filterId(service);
    const filter = {
      ...(face !== undefined && { interface: face }),
      ...(serviceId !== undefined && { serviceId }),
      ...(region !== undefined && { region }),
    };
    return collection(deps, request, 'endpoints', await entries.endpoints(callerOf(request), filter), view);
  });
  app.post('/v3/endpoints', contracts.endpointChanges.create, async (request, reply) => {
    const given = endpointChange(request.body.endpoint) as Parameters<typeof entries.createEndpoint>[1];
    return reply.code(201).send({ endpoint: view(await entries.createEndpoint(callerOf(request), given)) });
  });
  app.read('/v3/endpoints/:id', contracts.endpoint, async (request) => ({
    endpoint: view(await entries.endpoint(callerOf(request), anyId(request.params.id))),
  }));
  app.patch('/v3/endpoints/:id', contracts.endpointChanges.update, async (request) => {
    const change = endpointChange(request.body.endpoint);
    return { endpoint: view(await entries.updateEndpoint(callerOf(request), anyId(request.params.id), change)) };
  });
  app.delete('/v3/endpoints/:id', contracts.endpointChanges.remove, async (request, reply) => {
    await entries.deleteEndpoint(callerOf(request), anyId(request.params.id));
    return reply.code(204).send();
  });
};

interface GivenRegion extends Record<string, unknown> {
  id?: string | null;
  description?: string | null;
  parent_region_id?: string | null;
}

function regionChange(given: GivenRegion): RegionChange {
  const { description: text, parent_region_id: parent } = given;
  const extra: Extra = extraOf(given, Object.keys(region));
  return { ...(text !== undefined && { description: text }), ...(parent !== undefined && { parent }), extra };
}

const regionRoutes: Routes = (app, deps) => {
  const { catalogueEntries: entries } = deps.identity;
  const view = regionView(deps);

  app.read('/v3/regions', contracts.regions, async (request) => {
    const { parent_region_id: parent } = query(request);
    return collection(deps, request, 'regions', await entries.regions(parent === undefined ? {} : { parent }), view);
  });
  app.post('/v3/regions', contracts.regionChanges.create, async (request, reply) => {
    const given: GivenRegion = request.body.region;
    const row = await entries.createRegion(callerOf(request), given.id || null, regionChange(given));
    return reply.code(201).send({ region: view(row) });
  });
  app.read('/v3/regions/:id', contracts.region, async (request) => ({
    region: view(await entries.region(request.params.id)),
  }));
  app.put('/v3/regions/:id', contracts.putRegion, async (request, reply) => {
    const given: GivenRegion = request.body.region;
    const { id } = request.params;
    if (given.id !== undefined && given.id !== id) {
      throw new Refusal('invalid', `Conflicting region IDs specified: "${id}" != "${given.id}"`);
    }
    if (id.length > 255) throw new Refusal('invalid', "a region's id can have at most 255 characters");
    return reply
      .code(201)
      .send({ region: view(await entries.createRegion(callerOf(request), id, regionChange(given))) });
  });
  app.patch('/v3/regions/:id', contracts.regionChanges.update, async (request) => ({
    region: view(await entries.updateRegion(callerOf(request), request.params.id, regionChange(request.body.region))),
  }));
  app.delete('/v3/regions/:id', contracts.regionChanges.remove, async (request, reply) => {
    await entries.deleteRegion(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
};
