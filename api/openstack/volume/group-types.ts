/** /group_types (3.11) and their specs. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { isAdmin, requireAdmin } from '../../../control/kit/caller.ts';
import type { GroupTypeRow, GroupTypeService } from '../../../control/storage/group-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { nextLinks, pageOf, queryOf } from './paging.ts';
import { changeOf, publicFilter, typeColumns } from './types.ts';
import * as v from './validate.ts';

const type = a.record({
  ...{ id: a.id, name: a.text, description: a.orNull(a.text), is_public: a.boolean },
  group_specs: a.some(a.textsByName),
});
const versions = { from: 11 };
const contracts = {
  list: {
    summary: 'List group types',
    rights: 'caller',
    versions,
    query: a.query('limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'is_public'),
    answers: a.pageOf('group_types', type, 'group_type_links'),
  },
  show: {
    summary: 'Show a group type',
    rights: 'caller',
    versions,
    answers: { 200: a.record({ group_type: type }) },
  },
  create: {
    summary: 'Make a group type',
    rights: 'admin',
    versions,
    body: v.strict({
      group_type: v.strict({
        name: v.name,
        description: Type.Optional(v.description),
        is_public: Type.Optional(v.boolean),
        group_specs: Type.Optional(Type.Union([v.extraSpecs, Type.Null()])),
      }),
    }),
    answers: { 202: a.record({ group_type: type }) },
  },
  update: {
    summary: 'Change a group type',
    rights: 'admin',
    versions,
    body: v.strict({
      group_type: v.strict({
        name: Type.Optional(Type.Union([v.name, Type.Null()])),
        description: Type.Optional(v.description),
        is_public: Type.Optional(v.boolean),
      }),
    }),
    answers: { 200: a.record({ group_type: type }) },
  },
  delete: { summary: 'Delete a group type', rights: 'admin', versions, answers: { 202: null } },
} as const;
const specs = a.record({ group_specs: a.textsByName });
const specContracts = {
  list: { summary: "List a group type's specs", rights: 'admin', versions, answers: { 200: specs } },
  show: { summary: 'Show a spec of a group type', rights: 'admin', versions, answers: { 200: a.textsByName } },
  create: {
    summary: 'Set specs of a group type',
    rights: 'admin',
    versions,
    body: v.strict({ group_specs: v.keyedSpecs }),
    answers: { 202: specs },
  },
  update: {
    summary: 'Set a spec of a group type',
    rights: 'admin',
    versions,
    body: v.oneSpec,
    answers: { 200: a.textsByName },
  },
  delete: { summary: 'Delete a spec of a group type', rights: 'admin', versions, answers: { 202: null } },
} as const;

const body = (request: FastifyRequest, row: GroupTypeRow) => ({
  ...{ id: row.id, name: row.name, description: row.description, is_public: row.public },
  ...(isAdmin(callerOf(request)) && { group_specs: row.group_specs }),
});

export function groupTypeRoutes(app: Boundary, types: GroupTypeService): void {
  app.get('/group_types', contracts.list, async (request) => {
    const { marker, ...page } = pageOf(queryOf(request), typeColumns);
    const query = { ...page, filters: publicFilter(request), ...(marker !== undefined && { marker }) };
    const rows = page.limit === 0 ? [] : await types.list(callerOf(request), query);
    const links = nextLinks(request, 'group_types', { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
    return { group_types: rows.map((row) => body(request, row)), ...(links && { group_type_links: links }) };
  });
  app.get('/group_types/:id', contracts.show, async (request) => {
    // Cinder has none where its operator names none, and neither have we.
    if (request.params.id === 'default') throw new Refusal('not_found', 'Default group type can not be found.');
    return { group_type: body(request, await types.get(callerOf(request), request.params.id)) };
  });
  app.post('/group_types', contracts.create, async (request, reply) => {
    const { name, description = null, is_public = true, group_specs } = request.body.group_type;
    const wish = { name, description, public: v.toBoolean(is_public), specs: group_specs ?? {} };
    return reply.code(202).send({ group_type: body(request, await types.create(callerOf(request), wish)) });
  });
  app.put('/group_types/:id', contracts.update, async (request) => {
    const change = changeOf(request.body.group_type, 'Specify group type name, description or a combination thereof.');
    return { group_type: body(request, await types.update(callerOf(request), request.params.id, change)) };
  });
  app.delete('/group_types/:id', contracts.delete, async (request, reply) => {
    await types.delete(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
  groupSpecRoutes(app, types);
}

function groupSpecRoutes(app: Boundary, types: GroupTypeService): void {
  const base = '/group_types/:id/group_specs';
  const set = (request: FastifyRequest, id: string, given: Record<string, string>) =>
    types.editSpecs(callerOf(request), id, (present) => ({ ...present, ...given }));
  const read = async (request: FastifyRequest, id: string) => {
    requireAdmin(callerOf(request), 'list a group type’s specs');
    return (await types.get(callerOf(request), id)).group_specs;
  };
  app.get(base, specContracts.list, async (request) => ({ group_specs: await read(request, request.params.id) }));
  app.get(`${base}/:key`, specContracts.show, async (request) => {
    const { id, key } = request.params;
    const specs = await read(request, id);
    if (!Object.hasOwn(specs, key)) throw noSpec(id, key);
    return { [key]: specs[key] };
  });
  app.post(base, specContracts.create, async (request, reply) => {
    const { group_specs } = request.body;
    await set(request, request.params.id, group_specs);
    return reply.code(202).send({ group_specs });
  });
  app.put(`${base}/:key`, specContracts.update, async (request) => {
    if (!Object.hasOwn(request.body, request.params.key)) {
      throw new Refusal('invalid', 'Request body and URI mismatch');
    }
    await set(request, request.params.id, request.body);
    return request.body;
  });
  app.delete(`${base}/:key`, specContracts.delete, async (request, reply) => {
    const { id, key } = request.params;
    await types.editSpecs(callerOf(request), id, ({ [key]: gone, ...kept }) => {
      if (gone === undefined) throw noSpec(id, key);
      return kept;
    });
    return reply.code(202).send();
  });
}

const noSpec = (id: string, key: string): Refusal =>
  new Refusal('not_found', `Group Type ${id} has no extra spec with key ${key}.`);
