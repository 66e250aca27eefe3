/** /types: volume types, and who may use those that are not public. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { VolumeTypeRow, VolumeTypeService } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { durabilityKey, durabilityOf } from './durability.ts';
import { refuseFilters } from './filters.ts';
import { first, nextLinks, pageOf, queryOf } from './paging.ts';
import { pythonDict } from './python-dict.ts';
import * as v from './validate.ts';

const brief = {
  ...{ id: a.text, name: a.text, is_public: a.boolean, description: a.orNull(a.text) },
  extra_specs: a.textsByName,
};
const whole = {
  ...brief,
  'os-volume-type-access:is_public': a.boolean,
  qos_specs_id: a.some(a.orNull(a.id)),
};
const shown = (type: Readonly<Record<string, TSchema>>) => ({ 200: a.record({ volume_type: a.record(type) }) });
const contracts = {
  list: {
    summary: 'List volume types',
    rights: 'reader',
    query: a.query('limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'is_public', 'extra_specs'),
    answers: a.pageOf('volume_types', a.record(whole), 'volume_type_links'),
  },
  show: { summary: 'Show a volume type', rights: 'reader', answers: shown(whole) },
  create: {
    summary: 'Make a volume type',
    rights: 'admin',
    body: v.strict({
      volume_type: v.strict({
        name: v.name,
        description: Type.Optional(v.description),
        extra_specs: Type.Optional(v.extraSpecs),
        'os-volume-type-access:is_public': Type.Optional(v.boolean),
      }),
    }),
    answers: shown(whole),
  },
  update: {
    summary: 'Change a volume type',
    rights: 'admin',
    body: v.strict({
      volume_type: v.strict({
        name: Type.Optional(Type.Union([v.name, Type.Null()])),
        description: Type.Optional(v.description),
        is_public: Type.Optional(v.boolean),
      }),
    }),
    answers: shown(brief),
  },
  delete: { summary: 'Delete a volume type', rights: 'admin', answers: { 202: null } },
  access: {
    summary: 'List the projects that may use a volume type',
    rights: 'admin',
    answers: { 200: a.record({ volume_type_access: a.list({ volume_type_id: a.id, project_id: a.id }) }) },
  },
} as const;

const project = v.strict({ project: v.text(1, 255) });
const actions = {
  addProjectAccess: {
    summary: 'Let a project use a volume type',
    rights: 'admin',
    body: project,
    answers: { 202: null },
    perform: (types: VolumeTypeService) => types.addAccess.bind(types),
  },
  removeProjectAccess: {
    summary: 'Take a volume type from a project',
    rights: 'admin',
    body: project,
    answers: { 202: null },
    perform: (types: VolumeTypeService) => types.removeAccess.bind(types),
  },
} as const;

/** Ours, by the keys that types of volumes and of groups are sorted by. */
export const typeColumns = {
  ...{ id: 'id', name: 'name', description: 'description', is_public: 'public' },
  ...{ created_at: 'created_at', updated_at: 'updated_at' },
};

/** What of a type's extra specs is for everybody (Cinder's USER_VISIBLE_EXTRA_SPECS). */
const visibleSpecs = ['RESKEY:availability_zones', 'multiattach', 'replication_enabled', durabilityKey];

export function specsFor(request: FastifyRequest, specs: Readonly<Record<string, string>>): Record<string, string> {
  const admin = isAdmin(callerOf(request));
  return Object.fromEntries(Object.entries(specs).filter(([key]) => admin || visibleSpecs.includes(key)));
}

const briefBody = (request: FastifyRequest, type: VolumeTypeRow) => ({
  ...{ id: type.id, name: type.name, is_public: type.public, description: type.description },
  extra_specs: { ...specsFor(request, type.extra_specs), ...durabilityOf(type.extra_specs) },
});

const typeBody = (request: FastifyRequest, type: VolumeTypeRow) => ({
  ...briefBody(request, type),
  'os-volume-type-access:is_public': type.public,
  ...(isAdmin(callerOf(request)) && { qos_specs_id: type.qos_specs_id }),
});

export function typeRoutes(app: Boundary, types: VolumeTypeService): void {
  app.get('/types', contracts.list, async (request) => {
    refuseFilters(request, 'volume_type', { from: 52 });
    const { marker, ...page } = pageOf(queryOf(request), typeColumns);
    const filters = [...publicFilter(request), ...specsFilter(request)];
    const rows =
      page.limit === 0
        ? []
        : await types.list(callerOf(request), { ...page, filters, ...(marker !== undefined && { marker }) });
    const links = nextLinks(request, 'types', { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
    return { volume_types: rows.map((row) => typeBody(request, row)), ...(links && { volume_type_links: links }) };
  });
  app.get('/types/:id', contracts.show, async (request) => {
    const { id } = request.params;
    const caller = callerOf(request);
    const type = id === 'default' ? await types.default(caller) : await types.get(caller, id);
    return { volume_type: typeBody(request, type) };
  });
  app.post('/types', contracts.create, async (request) => {
    const wish = request.body.volume_type;
    const type = await types.create(callerOf(request), {
      name: wish.name,
      description: wish.description ?? null,
      public: v.toBoolean(wish['os-volume-type-access:is_public'] ?? true),
      extraSpecs: wish.extra_specs ?? {},
    });
    return { volume_type: { ...briefBody(request, type), 'os-volume-type-access:is_public': type.public } };
  });
  app.put('/types/:id', contracts.update, async (request) => {
    const change = changeOf(
      request.body.volume_type,
      'Specify volume type name, description, is_public or a combination thereof.',
    );
    return { volume_type: briefBody(request, await types.update(callerOf(request), request.params.id, change)) };
  });
  app.delete('/types/:id', contracts.delete, async (request, reply) => {
    await types.delete(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
  app.get('/types/:id/os-volume-type-access', contracts.access, async (request) => {
    const { id } = request.params;
    const projects = await types.access(callerOf(request), id);
    return { volume_type_access: projects.map((one) => ({ volume_type_id: id, project_id: one })) };
  });
  app.actions(
    '/types/:id/action',
    { summary: 'Do something with a volume type', rights: 'admin' },
    actions,
    async (request, reply: FastifyReply, { action, argument }) => {
      await action.perform(types)(callerOf(request), request.params.id, (argument as { project: string }).project);
      return reply.code(202).send();
    },
  );
}

/** What is null is not changed, as in Cinder; nothing at all is refused. */
export function changeOf(
  wish: { name?: string | null; description?: string | null; is_public?: boolean | string },
  nothing: string,
): { name?: string; description?: string; public?: boolean } {
  const change = {
    ...(typeof wish.name === 'string' && { name: wish.name }),
    ...(typeof wish.description === 'string' && { description: wish.description }),
    ...(wish.is_public !== undefined && { public: v.toBoolean(wish.is_public) }),
  };
  if (Object.keys(change).length === 0) throw new Refusal('invalid', nothing);
  return change;
}

/** `is_public` is the administrators': True (also where it is missing), False, or None for all. Others see what they may use. */
export function publicFilter(request: FastifyRequest): { column: string; values: string[] }[] {
  if (!isAdmin(callerOf(request))) return [];
  const asked = first(queryOf(request), 'is_public') ?? 'true';
  if (/^none$/i.test(asked)) return [];
  const truth = v.looseBoolean(asked);
  // Whatever has the same meaning both ways has none.
  if (truth !== v.looseBoolean(asked, true))
    throw new Refusal('invalid', `Invalid is_public filter [${asked.slice(0, 50)}]`);
  return [{ column: 'public', values: [String(truth)] }];
}

/** From 3.52 on: `extra_specs={'key': 'value'}`. By what they may not see others find nothing. */
function specsFilter(request: FastifyRequest): { column: string; values: string[] }[] {
  const asked = first(queryOf(request), 'extra_specs');
  if (request.microversion < 52 || asked === undefined) return [];
  const wanted = pythonDict(asked);
  if (!wanted) throw new Refusal('invalid', `Invalid extra_specs filter [${asked.slice(0, 50)}]`);
  const hidden = Object.keys(specsFor(request, wanted)).length < Object.keys(wanted).length;
  return [{ column: 'extra_specs', values: hidden ? [] : [JSON.stringify(wanted)] }];
}
