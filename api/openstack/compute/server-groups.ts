/** /os-server-groups. Until 2.63 a group has a list of policies, which is always one, and metadata, which there never are. */
import type { FastifyRequest } from 'fastify';
import { type TOptional, type TSchema, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { ServerGroupRow, ServerGroupService } from '../../../control/compute/server-group/index.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, pageOf, queryOf, refuseUnknown } from './paging.ts';
import * as v from './validate.ts';

const hard = ['affinity', 'anti-affinity'] as const;
const all = [...hard, 'soft-affinity', 'soft-anti-affinity'] as const;

/** A member that only some versions have, and that must be there. */
const must = <T extends TSchema>(known: boolean, schema: T) => (known ? schema : undefined) as TOptional<T>;

const created = v.since([1, 15, 64], (version) => {
  const policy = Type.Union((version < 15 ? hard : all).map((name) => Type.Literal(name)));
  return v.strict({
    server_group: v.strict({
      name: v.name,
      policies: must(version < 64, Type.Array(policy, { minItems: 1, maxItems: 1 })),
      policy: must(version >= 64, policy),
      rules: v.when(version >= 64, v.strict({ max_server_per_host: Type.Optional(v.integer(1)) })),
    }),
  });
});

const shown = (version: number) =>
  a.record({
    ...{ id: a.id, name: a.text, members: a.texts },
    ...(version >= 64
      ? { policy: a.one(...all), rules: a.record({ max_server_per_host: a.some(a.integer) }) }
      : { policies: a.listOf(a.one(...all)), metadata: a.record({}) }),
    ...(version >= 13 && { project_id: a.id, user_id: a.id }),
  });
const one = { 200: v.since([1, 13, 64], (version) => a.record({ server_group: shown(version) })) };
const contracts = {
  list: {
    summary: 'List server groups',
    rights: 'reader',
    query: a.query('all_projects', 'limit', 'offset'),
    answers: { 200: v.since([1, 13, 64], (version) => a.record({ server_groups: a.listOf(shown(version)) })) },
  },
  create: { summary: 'Make a server group', rights: 'member', body: created, answers: one },
  show: { summary: 'Show a server group', rights: 'reader', answers: one },
  remove: { summary: 'Delete a server group', rights: 'member', answers: { 204: null } },
} as const;

export function serverGroupRoutes(app: Boundary, groups: ServerGroupService): void {
  app.get('/os-server-groups', contracts.list, async (request) => {
    refuseUnknown(request, ['all_projects', 'limit', 'offset']);
    const caller = callerOf(request);
    const query = queryOf(request);
    const rows = await groups.list(caller, {
      allProjects: query.all_projects !== undefined && isAdmin(caller),
      limit: pageOf(query).limit,
      offset: offsetOf(first(query, 'offset')),
    });
    return { server_groups: rows.map((row) => body(request, row)) };
  });
  app.post('/os-server-groups', contracts.create, async (request) => {
    const { name, policies, policy, rules } = request.body.server_group;
    const maximum = rules?.max_server_per_host;
    const row = await groups.create(callerOf(request), {
      ...{ name, policy: policy ?? policies![0]! },
      maxServersPerHost: maximum === undefined ? null : Number(maximum),
    });
    return { server_group: body(request, row) };
  });
  app.get('/os-server-groups/:id', contracts.show, async (request) => ({
    server_group: body(request, await groups.get(callerOf(request), idOf(request.params.id))),
  }));
  app.delete('/os-server-groups/:id', contracts.remove, async (request, reply) => {
    await groups.delete(callerOf(request), idOf(request.params.id));
    return reply.code(204).send();
  });
}

function idOf(text: string): string {
  const id = parseId(text);
  if (!id) throw new Refusal('not_found', `Instance group ${text.slice(0, 100)} could not be found.`);
  return id;
}

function offsetOf(text = '0'): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Refusal('invalid', `Invalid input for query parameters offset. Value: ${text.slice(0, 50)}.`);
}

const body = ({ microversion }: FastifyRequest, row: ServerGroupRow) => ({
  ...{ id: row.id, name: row.name, members: row.members },
  ...(microversion >= 64
    ? {
        policy: row.policy,
        rules: row.max_servers_per_host === null ? {} : { max_server_per_host: row.max_servers_per_host },
      }
    : { policies: [row.policy], metadata: {} }),
  ...(microversion >= 13 && { project_id: row.project_id, user_id: row.user_id }),
});
