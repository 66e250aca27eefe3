/** /groups (3.13): volumes that are one thing to their owner. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { GroupService, ListedGroup } from '../../../control/storage/group/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { ActionContract } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { refuseFilters } from './filters.ts';
import { first, listPage, queryOf } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const brief = { id: a.id, name: a.text };
const detail = {
  ...{ ...brief, description: a.orNull(a.text), status: a.text, availability_zone: a.text, created_at: a.time },
  ...{ group_type: a.id, volume_types: Type.Array(a.id), group_snapshot_id: a.some(a.orNull(a.id)) },
  ...{ source_group_id: a.some(a.orNull(a.id)), volumes: a.some(Type.Array(a.id)) },
  ...{ replication_status: a.some(a.text), project_id: a.some(a.id) },
};
const versions = { from: 13 };
const query = a.query(
  ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants'],
  ...['name', 'name~', 'status', 'list_volume', 'group_type_id', 'availability_zone'],
);
const optional = Type.Optional;
const texts = { name: optional(v.nameOrNull), description: optional(v.description) };
/** As Cinder takes them: with commas between. */
const ids = optional(Type.Union([v.text(0, 40_000), Type.Null()]));
const made = { 202: a.record({ group: a.record(brief) }) };

const contracts = {
  list: {
    summary: 'List groups of volumes',
    rights: 'reader',
    ...{ versions, query },
    answers: a.pageOf('groups', a.record(brief), 'group_links'),
  },
  details: {
    summary: 'List groups of volumes in full',
    rights: 'reader',
    ...{ versions, query },
    answers: a.pageOf('groups', a.record(detail), 'group_links'),
  },
  show: {
    summary: 'Show a group of volumes',
    rights: 'reader',
    versions,
    query: a.query('list_volume'),
    answers: { 200: a.record({ group: a.record(detail) }) },
  },
  create: {
    summary: 'Make a group of volumes',
    rights: 'member',
    versions,
    body: v.strict({
      group: v.strict({
        ...texts,
        group_type: v.text(1, 255),
        volume_types: Type.Array(v.text(1, 255), { minItems: 1, maxItems: 1000 }),
        availability_zone: optional(Type.Union([v.text(1, 255), Type.Null()])),
      }),
    }),
    answers: made,
  },
  update: {
    summary: 'Change a group of volumes, and what is in it',
    rights: 'member',
    versions,
    body: v.strict({ group: v.strict({ ...texts, add_volumes: ids, remove_volumes: ids }) }),
    answers: { 202: null },
  },
} as const;

const createFrom = {
  'create-from-src': {
    summary: 'Make a group of volumes from another one, or from what one was',
    rights: 'member',
    versions: { from: 14 },
    body: v.strict({ ...texts, group_snapshot_id: optional(v.uuidOrNull), source_group_id: optional(v.uuidOrNull) }),
    answers: made,
  },
} as const;

interface GroupAction extends ActionContract {
  run(groups: GroupService, call: Parameters<GroupService['get']>, argument: never): Promise<unknown>;
}
/** Each volume has its own replica, or none, by its type. */
const replication = (verb: string): GroupAction => ({
  summary: `Replicate a group of volumes: ${verb}`,
  rights: 'admin',
  versions: { from: 38 },
  body: Type.Unknown(),
  answers: { 202: null },
  async run(groups, call) {
    const { id } = await groups.get(...call);
    throw new Refusal(
      'invalid',
      `Invalid group: Group ${id} is not a replication group type: volumes have replicas by their own types.`,
    );
  },
});
const actions: Readonly<Record<string, GroupAction>> = {
  delete: {
    summary: 'Delete a group, with its volumes where that is said',
    rights: 'member',
    versions,
    body: v.strict({ 'delete-volumes': optional(v.boolean) }),
    answers: { 202: null },
    run: (groups, call, wish: { 'delete-volumes'?: boolean | string }) =>
      groups.delete(...call, { withVolumes: v.toBoolean(wish['delete-volumes'] ?? false) }),
  },
  reset_status: {
    summary: 'Declare the status of a group, or take that back',
    rights: 'admin',
    versions: { from: 20 },
    body: v.strict({ status: v.text(1, 255) }),
    answers: { 202: null },
    run: (groups, call, { status }: { status: string }) => groups.reset(...call, status.toLowerCase()),
  },
  ...{ enable_replication: replication('begin'), disable_replication: replication('end') },
  ...{ failover_replication: replication('go over'), list_replication_targets: replication('list targets') },
};

const listed = {
  columns: {
    ...{ created_at: 'created_at', id: 'id', name: 'name', updated_at: 'updated_at', status: 'status' },
    ...{ group_type_id: 'group_type_id', availability_zone: 'availability_zone' },
  },
  filters: { name: 'name', status: 'status', group_type_id: 'group_type_id', availability_zone: 'availability_zone' },
  parts: { name: 'name_like' },
  owned: true,
};

export function groupRoutes(app: Boundary, groups: GroupService): void {
  const list = async <Shown>(
    request: FastifyRequest,
    { show, at }: { show: (request: FastifyRequest, group: ListedGroup) => Shown; at: string },
  ) => {
    refuseFilters(request, 'group', { also: ['list_volume'] });
    const page = await listPage(request, at, listed, (...asked) => groups.list(callerOf(request), ...asked));
    return { groups: page.rows.map((row) => show(request, row)), ...(page.links && { group_links: page.links }) };
  };
  app.get('/groups', contracts.list, (request) =>
    list(request, { show: (_, group) => briefBody(group), at: 'groups' }),
  );
  app.get('/groups/detail', contracts.details, (request) => list(request, { show: detailBody, at: 'groups/detail' }));
  app.get('/groups/:id', contracts.show, async (request) => ({
    group: detailBody(request, await groups.get(callerOf(request), request.params.id)),
  }));
  app.post('/groups', contracts.create, async (request, reply) => {
    const { group: wish } = request.body;
    const group = await groups.create(callerOf(request), {
      ...{
        ...textsOf(wish),
        type: wish.group_type,
        volumeTypes: wish.volume_types,
        zone: wish.availability_zone ?? null,
      },
    });
    return reply.code(202).send({ group: briefBody(group) });
  });
  app.put('/groups/:id', contracts.update, async (request, reply) => {
    const { name, description, add_volumes, remove_volumes } = request.body.group;
    const [addVolumes, removeVolumes] = [idsOf(add_volumes), idsOf(remove_volumes)];
    if (name == null && description == null && addVolumes.length + removeVolumes.length === 0) {
      const words = 'Name, description, add_volumes, and remove_volumes can not be all empty in the request body.';
      throw new Refusal('invalid', words);
    }
    await groups.update(callerOf(request), request.params.id, {
      ...{ name: name?.trim(), description: description ?? undefined, addVolumes, removeVolumes },
    });
    return reply.code(202).send();
  });
  const making = { summary: 'Make a group of volumes from something', rights: 'caller' } as const;
  app.actions('/groups/action', making, createFrom, async (request, reply, { argument }) => {
    const wish = argument as { group_snapshot_id?: string | null; source_group_id?: string | null; name?: string };
    const [groupSnapshotId, groupId] = [wish.group_snapshot_id, wish.source_group_id];
    if (Boolean(groupSnapshotId) === Boolean(groupId)) {
      throw new Refusal('invalid', "Either 'group_snapshot_id' or 'source_group_id' must be provided, and not both.");
    }
    const source = groupId ? { groupId: parseId(groupId)! } : { groupSnapshotId: parseId(groupSnapshotId!)! };
    const group = await groups.createFrom(callerOf(request), source, textsOf(wish));
    return reply.code(202).send({ group: briefBody(group) });
  });
  const acting = { summary: 'Do something with a group of volumes', rights: 'reader' } as const;
  app.actions('/groups/:id/action', acting, actions, async (request, reply, { action, argument }) => {
    const { id } = request.params as { id: string };
    await action.run(groups, [callerOf(request), id], argument as never);
    return reply.code(202).send();
  });
}

export const textsOf = ({ name, description }: { name?: string | null; description?: string | null }) => ({
  ...{ name: name?.trim() ?? '', description: description?.trim() ?? null },
});

function idsOf(text: string | null | undefined): string[] {
  const all = (text ?? '').split(',').map((each) => each.trim());
  return [...new Set(all.filter((each) => each !== ''))].map((each) => {
    const id = parseId(each);
    if (id === undefined) throw new Refusal('invalid', `Invalid volume: ${each.slice(0, 255)} is no id of a volume.`);
    return id;
  });
}

const briefBody = ({ id, name }: ListedGroup) => ({ id, name });

function detailBody(request: FastifyRequest, group: ListedGroup) {
  const { microversion: version } = request;
  const listed = first(queryOf(request), 'list_volume');
  return {
    ...{ ...briefBody(group), description: group.description, status: group.status },
    ...{ availability_zone: group.availability_zone ?? 'nova', created_at: cinderTime(group.created_at) },
    ...{ group_type: group.group_type_id, volume_types: group.volume_type_ids },
    ...(version >= 14 && {
      ...{ group_snapshot_id: group.source_group_snapshot_id, source_group_id: group.source_group_id },
    }),
    ...(version >= 25 && listed !== undefined && v.looseBoolean(listed) && { volumes: group.volume_ids }),
    ...(version >= 38 && { replication_status: 'disabled' }),
    ...(version >= 58 && { project_id: group.project_id }),
  };
}
