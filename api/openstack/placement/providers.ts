/**
 * /resource_providers: each host is one, a tree by itself. What hosts say of themselves nobody else writes; an administrator's own words
 * (ratios, reserves, custom traits) are taken, and the scheduler decides by them.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type {
  InventoryWord,
  Provider,
  ResourceClass,
  ResourceProviderService,
} from '../../../control/compute/resource-provider/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { isServed, meets, type Query, requireTraits, textsOf, wishOf } from './filters.ts';

const admin = { rights: 'admin' } as const;
const exact = { additionalProperties: false } as const;
const generation = Type.Union([Type.Integer(), Type.Null()]);
const word = Type.Object(
  {
    total: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
    reserved: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
    min_unit: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })),
    max_unit: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })),
    step_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })),
    allocation_ratio: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1e6 })),
  },
  exact,
);
const className = Type.String({ pattern: '^[A-Z0-9_]{1,255}$' });
const allWords = Type.Object(
  { resource_provider_generation: generation, inventories: Type.Record(className, word) },
  exact,
);
const oneWord = Type.Object({ ...word.properties, resource_provider_generation: Type.Integer() }, exact);
const traitWords = Type.Object(
  {
    resource_provider_generation: Type.Integer(),
    traits: Type.Array(Type.String({ pattern: '^[A-Z0-9_]{1,255}$' }), { maxItems: 1000 }),
  },
  exact,
);
type Word = { [K in keyof typeof word.properties]?: number };

const contracts = {
  list: {
    summary: 'List hosts as resource providers',
    ...admin,
    answers: { 200: a.record({ resource_providers: Type.Array(a.provider) }) },
  },
  show: { summary: 'Show a resource provider', ...admin, answers: { 200: a.provider } },
  inventories: { summary: 'Show what a host has', ...admin, answers: { 200: a.inventories } },
  setInventories: {
    summary: 'Say how what a host has is given out',
    ...admin,
    body: allWords,
    answers: { 200: a.inventories },
  },
  inventory: {
    summary: 'Show what a host has of a resource class',
    ...admin,
    answers: { 200: a.record({ ...a.inventory, resource_provider_generation: a.integer }) },
  },
  setInventory: {
    summary: 'Say how a resource class of a host is given out',
    ...admin,
    body: oneWord,
    answers: { 200: a.record({ ...a.inventory, resource_provider_generation: a.integer }) },
  },
  usages: { summary: 'Show what of a host is given out', ...admin, answers: { 200: a.usages } },
  aggregates: {
    summary: 'Show the aggregates of a host',
    ...admin,
    versions: { from: 1 },
    answers: { 200: a.aggregates },
  },
  traits: { summary: 'Show what a host is', ...admin, versions: { from: 6 }, answers: { 200: a.providerTraits } },
  setTraits: {
    summary: 'Say what a host is: its custom traits',
    ...admin,
    versions: { from: 6 },
    body: traitWords,
    answers: { 200: a.providerTraits },
  },
  removeTraits: {
    summary: 'Take the custom traits of a host',
    ...admin,
    versions: { from: 6 },
    answers: { 204: null },
  },
  allocations: { summary: 'Show who has what of a host', ...admin, answers: { 200: a.allocationsOfProvider } },
} as const;

const path = '/resource_providers/:uuid';

export function providerRoutes(app: Boundary, providers: ResourceProviderService): void {
  app.get('/resource_providers', contracts.list, async (request) => {
    const query = request.query as Query;
    const caller = callerOf(request);
    requireAdmin(caller, 'list resource providers');
    requireKnown(query, request.microversion);
    const wish = wishOf(query, request.microversion);
    const [name] = textsOf(query.name);
    const [id] = textsOf(query.uuid);
    const found = await providers.list(caller, {
      ...(name !== undefined && { name }),
      ...(id !== undefined && { id }),
    });
    if (wish.required.length + wish.forbidden.length > 0) requireTraits(wish, await providers.traits(caller));
    return { resource_providers: found.filter((one) => meets(one, wish)).map((one) => document(one, request)) };
  });
  app.get(path, contracts.show, async (request) => document(await of(providers, request), request));
  app.get(`${path}/usages`, contracts.usages, async (request) => {
    const { generation, inventories } = await of(providers, request);
    const usages = Object.fromEntries(Object.entries(inventories).map(([name, { used }]) => [name, used]));
    return { resource_provider_generation: generation, usages };
  });
  app.get(`${path}/aggregates`, contracts.aggregates, async (request) => {
    const { aggregateIds, generation } = await of(providers, request);
    return {
      aggregates: aggregateIds,
      ...(request.microversion >= 19 && { resource_provider_generation: generation }),
    };
  });
  app.get(`${path}/allocations`, contracts.allocations, async (request) => {
    const { generation, allocations } = await providers.allocations(callerOf(request), request.params.uuid);
    const each = allocations.map(({ consumer_id, resources, generation }) => [
      consumer_id,
      { resources: given(resources), ...(request.microversion >= 28 && { consumer_generation: generation }) },
    ]);
    return { allocations: Object.fromEntries(each), resource_provider_generation: generation };
  });
  inventoryRoutes(app, providers);
  providerTraitRoutes(app, providers);
  refusedRoutes(app);
}

function inventoryRoutes(app: Boundary, providers: ResourceProviderService): void {
  app.get(`${path}/inventories`, contracts.inventories, async (request) => inventories(await of(providers, request)));
  app.put(`${path}/inventories`, contracts.setInventories, async (request) => {
    const { resource_provider_generation: generation, inventories: wanted } = request.body;
    const before = await of(providers, request);
    const words = Object.fromEntries(Object.entries(wanted).map(([name, one]) => [name, wordOf(before, name, one)]));
    const left = Object.keys(before.inventories).filter((name) => !Object.hasOwn(words, name));
    if (left.length > 0)
      throw new Refusal(
        'conflict',
        `A host has ${left.join(', ')} as long as it says so: what it has is not taken from it here.`,
      );
    return inventories(await providers.setInventories(callerOf(request), before.id, { generation, words }));
  });
  app.get(`${path}/inventories/:name`, contracts.inventory, async (request) => {
    const found = await of(providers, request);
    return { ...inventory(found, classOf(found, request.params.name)), resource_provider_generation: found.generation };
  });
  app.put(`${path}/inventories/:name`, contracts.setInventory, async (request) => {
    const { resource_provider_generation: generation, ...wanted } = request.body;
    const before = await of(providers, request);
    const name = classOf(before, request.params.name);
    const words = { [name]: wordOf(before, name, wanted) };
    const after = await providers.setInventories(callerOf(request), before.id, { generation, words });
    return { ...inventory(after, name), resource_provider_generation: after.generation };
  });
}

function providerTraitRoutes(app: Boundary, providers: ResourceProviderService): void {
  const shown = ({ traits, generation }: Provider) => ({
    traits: [...traits],
    resource_provider_generation: generation,
  });
  app.get(`${path}/traits`, contracts.traits, async (request) => shown(await of(providers, request)));
  app.put(`${path}/traits`, contracts.setTraits, async (request) => {
    const { resource_provider_generation: generation, traits } = request.body;
    return shown(await providers.setTraits(callerOf(request), request.params.uuid, { generation, traits }));
  });
  app.delete(`${path}/traits`, contracts.removeTraits, async (request, reply) => {
    await providers.setTraits(callerOf(request), request.params.uuid, { generation: null, traits: [] });
    reply.code(204).send();
  });
}

/** What would say something else than the rows that hosts and servers have. */
function refusedRoutes(app: Boundary): void {
  const refuse = (method: 'post' | 'put' | 'delete', url: string, summary: string, why: string, from = 0) =>
    app[method](
      url,
      { summary: `Refused: ${summary}`, ...admin, versions: { from }, answers: {} },
      (request: FastifyRequest) => {
        requireAdmin(callerOf(request), summary);
        throw new Refusal('conflict', why);
      },
    );
  const joins =
    'A resource provider is a host: it is made when a machine joins the cloud (bothy join) and goes when it leaves.';
  refuse('post', '/resource_providers', 'make a resource provider', joins);
  refuse('put', path, 'rename or move a resource provider', `${joins} Its name is the machine’s own.`);
  refuse('delete', path, 'delete a resource provider', joins);
  const facts =
    'A host says itself what it has: its inventories are changed (allocation_ratio, reserved), not made or deleted.';
  refuse('post', `${path}/inventories`, 'make an inventory', facts);
  refuse('delete', `${path}/inventories`, 'delete all inventories', facts, 5);
  refuse('delete', `${path}/inventories/:name`, 'delete an inventory', facts);
  const aggregates =
    'Hosts are put into aggregates by the compute API (openstack aggregate add host), whose aggregates these are.';
  refuse('put', `${path}/aggregates`, 'put a host into aggregates', aggregates, 1);
}

const of = (providers: ResourceProviderService, request: FastifyRequest): Promise<Provider> =>
  providers.get(callerOf(request), (request.params as { uuid: string }).uuid);

/** The first version that knows each. */
const parameters: Readonly<Record<string, number>> = {
  ...{ name: 0, uuid: 0, member_of: 3, resources: 4, in_tree: 14, required: 18 },
};

function requireKnown(query: Query, version: number): void {
  const unknown = Object.keys(query).find((name) => !Object.hasOwn(parameters, name) || version < parameters[name]!);
  if (unknown !== undefined)
    throw new Refusal(
      'invalid',
      `Invalid query string parameters: Additional properties are not allowed ('${unknown.slice(0, 100)}' was unexpected)`,
    );
}

function document({ id, name, generation }: Provider, { microversion: version }: FastifyRequest) {
  const self = `/placement/resource_providers/${id}`;
  const parts = [
    'inventories',
    'usages',
    ...(version >= 1 ? ['aggregates'] : []),
    ...(version >= 6 ? ['traits'] : []),
    ...(version >= 11 ? ['allocations'] : []),
  ];
  return {
    ...{ uuid: id, name, generation },
    links: [{ rel: 'self', href: self }, ...parts.map((rel) => ({ rel, href: `${self}/${rel}` }))],
    ...(version >= 14 && { parent_provider_uuid: null, root_provider_uuid: id }),
  };
}

/** Nothing of a resource class is no allocation of it. */
export const given = (resources: Readonly<Record<ResourceClass, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(resources).filter(([, amount]) => amount > 0));

/** A host that has not said yet what it has, has nothing. */
const inventories = (found: Provider) => ({
  resource_provider_generation: found.generation,
  inventories: Object.fromEntries(
    (Object.keys(found.inventories) as ResourceClass[])
      .filter((name) => found.inventories[name].total > 0)
      .map((name) => [name, inventory(found, name)]),
  ),
});

/** A server may be as large as all that its host hands out: no more is asked of its size. */
function inventory({ inventories }: Provider, name: ResourceClass) {
  const { total, reserved, ratio, capacity } = inventories[name];
  return { total, reserved, min_unit: 1, max_unit: Math.max(1, capacity), step_size: 1, allocation_ratio: ratio };
}

function classOf({ id, inventories }: Provider, name: string): ResourceClass {
  if (isServed(name) && inventories[name].total > 0) return name;
  throw new Refusal('not_found', `No inventory of class ${name.slice(0, 255)} for ${id}`);
}

/** What is not asked for is as the cloud takes it; what the host says itself may be repeated, and not be another. */
function wordOf(found: Provider, name: string, wanted: Word): InventoryWord {
  const { total } = found.inventories[classOf(found, name)];
  const now = inventory(found, classOf(found, name));
  if (wanted.total !== total)
    throw new Refusal('conflict', `The host has ${total} of ${name} by its own word; its total is not said here.`);
  const fixed = (['min_unit', 'step_size'] as const).find(
    (key) => wanted[key] !== undefined && wanted[key] !== now[key],
  );
  if (fixed) throw new Refusal('conflict', `${fixed} of ${name} is ${now[fixed]}: no server’s size is refused for it.`);
  if ((wanted.reserved ?? 0) > total)
    throw new Refusal(
      'invalid',
      `Invalid inventory for '${name}' on resource provider '${found.id}'. The reserved value is greater than total.`,
    );
  return {
    ...(wanted.reserved !== undefined && { reserved: wanted.reserved }),
    ...(wanted.allocation_ratio !== undefined && { ratio: wanted.allocation_ratio }),
  };
}
