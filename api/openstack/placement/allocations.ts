/** What servers have of hosts, and which hosts would take a wish: /allocations, /usages, /allocation_candidates. Written by placement alone. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Provider, ResourceProviderService } from '../../../control/compute/resource-provider/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { readCandidateQuery } from './candidate-query.ts';
import { isServed, meets, type Query, requireTraits, totals, type Wish } from './filters.ts';
import { given } from './providers.ts';

const admin = { rights: 'admin' } as const;
const oneText = Type.Optional(Type.String());
const usageQuery = Type.Object(
  { project_id: Type.String({ minLength: 1, maxLength: 255 }), user_id: oneText, consumer_type: oneText },
  { additionalProperties: false },
);
const contracts = {
  show: { summary: 'Show what a server has, and where', ...admin, answers: { 200: a.allocationsOfConsumer } },
  usages: {
    summary: 'Show what the servers of a project have',
    rights: 'reader',
    versions: { from: 9 },
    query: usageQuery,
    answers: { 200: a.projectUsages },
  },
  candidates: {
    summary: 'Find hosts that would take a wish',
    ...admin,
    versions: { from: 10 },
    answers: { 200: a.candidates },
  },
} as const;

export function allocationRoutes(app: Boundary, providers: ResourceProviderService): void {
  app.get('/allocations/:consumer', contracts.show, async (request) => {
    const found = await providers.consumer(callerOf(request), request.params.consumer);
    if (!found) return { allocations: {} };
    const { microversion: version } = request;
    const each = found.allocations.map(({ host_id, host_generation, resources }) => [
      host_id,
      { generation: host_generation, resources: given(resources) },
    ]);
    return {
      allocations: Object.fromEntries(each),
      ...(version >= 12 && { project_id: found.project_id, user_id: found.user_id }),
      ...(version >= 28 && { consumer_generation: found.generation }),
      ...(version >= 38 && { consumer_type: 'INSTANCE' }),
    };
  });
  app.get('/usages', contracts.usages, async (request) => {
    const { project_id: projectId, user_id: userId, consumer_type: type } = request.query;
    if (type !== undefined && request.microversion < 38)
      throw new Refusal(
        'invalid',
        "Invalid query string parameters: Additional properties are not allowed ('consumer_type' was unexpected)",
      );
    const { consumers, resources } = await providers.usages(callerOf(request), {
      projectId,
      ...(userId !== undefined && { userId }),
    });
    if (request.microversion < 38) return { usages: given(resources) };
    const shown = consumers > 0 && (type === undefined || ['all', 'INSTANCE'].includes(type));
    return {
      usages: shown
        ? { [type === 'all' ? 'all' : 'INSTANCE']: { consumer_count: consumers, ...given(resources) } }
        : {},
    };
  });
  app.get('/allocation_candidates', contracts.candidates, async (request) => {
    const query = request.query as Query;
    const caller = callerOf(request);
    requireAdmin(caller, 'find hosts that would take a wish');
    const { wish, limit, isolate } = readCandidateQuery(query, request.microversion);
    requireTraits(wish, await providers.traits(caller));
    // A host is one provider: groups that must not share one have nowhere to go.
    const fitting = isolate ? [] : (await providers.list(caller)).filter((one) => meets(one, wish));
    return candidates(fitting.slice(0, limit), wish, request);
  });
  refusedRoutes(app);
}

function refusedRoutes(app: Boundary): void {
  const why =
    'What servers have of hosts is counted where they are placed, resized and removed, by the compute API alone: allocations are not written here.';
  const refuse = (method: 'post' | 'put' | 'delete', url: string, summary: string, from = 0) =>
    app[method](
      url,
      { summary: `Refused: ${summary}`, ...admin, versions: { from }, answers: {} },
      (request: FastifyRequest) => {
        requireAdmin(callerOf(request), summary);
        throw new Refusal('conflict', why);
      },
    );
  refuse('put', '/allocations/:consumer', 'write the allocations of a consumer');
  refuse('delete', '/allocations/:consumer', 'delete the allocations of a consumer');
  refuse('post', '/allocations', 'write allocations of several consumers', 13);
  refuse('post', '/reshaper', 'move inventories with their allocations', 30);
}

function candidates(found: readonly Provider[], wish: Wish, { microversion: version }: FastifyRequest) {
  const resources = Object.fromEntries(totals(wish));
  return {
    allocation_requests: found.map(({ id }) => ({
      allocations: version < 12 ? [{ resource_provider: { uuid: id }, resources }] : { [id]: { resources } },
      ...(version >= 34 && { mappings: Object.fromEntries([...wish.suffixes].map((group) => [group, [id]])) }),
    })),
    provider_summaries: Object.fromEntries(found.map((one) => [one.id, summary(one, resources, version)])),
  };
}

/** Until 1.27 only what was asked for. */
function summary({ id, inventories, traits }: Provider, asked: Readonly<Record<string, number>>, version: number) {
  const shown = Object.entries(inventories).filter(
    ([name, { total }]) => total > 0 && (version >= 27 || (isServed(name) && Object.hasOwn(asked, name))),
  );
  return {
    resources: Object.fromEntries(shown.map(([name, { capacity, used }]) => [name, { capacity, used }])),
    ...(version >= 17 && { traits: [...traits] }),
    ...(version >= 29 && { parent_provider_uuid: null, root_provider_uuid: id }),
  };
}
