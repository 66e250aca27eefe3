/** /group_snapshots (3.14): what all volumes of a group were at one moment. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { GroupSnapshotService, ListedGroupSnapshot } from '../../../control/storage/group-snapshot/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { refuseFilters } from './filters.ts';
import { textsOf } from './groups.ts';
import { listPage } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const brief = { id: a.id, name: a.text };
const detail = {
  ...{ ...brief, description: a.orNull(a.text), status: a.text, created_at: a.time, group_id: a.id },
  ...{ group_type_id: a.id, project_id: a.some(a.id) },
};
const versions = { from: 14 };
const query = a.query(
  ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants'],
  ...['name', 'name~', 'status', 'status~', 'group_id'],
);
const contracts = {
  list: {
    summary: 'List snapshots of groups',
    rights: 'reader',
    ...{ versions, query },
    answers: a.pageOf('group_snapshots', a.record(brief), 'group_snapshot_links'),
  },
  details: {
    summary: 'List snapshots of groups in full',
    rights: 'reader',
    ...{ versions, query },
    answers: a.pageOf('group_snapshots', a.record(detail), 'group_snapshot_links'),
  },
  show: {
    summary: 'Show a snapshot of a group',
    rights: 'reader',
    versions,
    answers: { 200: a.record({ group_snapshot: a.record(detail) }) },
  },
  create: {
    summary: 'Make a snapshot of all volumes of a group',
    rights: 'member',
    versions,
    body: v.strict({
      group_snapshot: v.strict({
        ...{ name: Type.Optional(v.nameOrNull), description: Type.Optional(v.description), group_id: v.uuid },
      }),
    }),
    answers: { 202: a.record({ group_snapshot: a.record({ ...brief, group_type_id: a.id }) }) },
  },
  delete: { summary: 'Delete a snapshot of a group', rights: 'member', versions, answers: { 202: null } },
} as const;
const reset = {
  reset_status: {
    summary: 'Declare the status of a snapshot of a group, or take that back',
    rights: 'admin',
    versions: { from: 19 },
    body: v.strict({ status: v.text(1, 255) }),
    answers: { 202: null },
  },
} as const;

const listed = {
  columns: { created_at: 'created_at', id: 'id', name: 'name', updated_at: 'updated_at', status: 'status' },
  filters: { name: 'name', status: 'status', group_id: 'group_id' },
  parts: { name: 'name_like', status: 'status_like' },
  from: 29,
  owned: true,
};

export function groupSnapshotRoutes(app: Boundary, snapshots: GroupSnapshotService): void {
  const list = async <Shown>(
    request: FastifyRequest,
    { show, at }: { show: (request: FastifyRequest, snapshot: ListedGroupSnapshot) => Shown; at: string },
  ) => {
    refuseFilters(request, 'group_snapshot');
    const { rows, links } = await listPage(request, at, listed, (...asked) =>
      snapshots.list(callerOf(request), ...asked),
    );
    return { group_snapshots: rows.map((row) => show(request, row)), ...(links && { group_snapshot_links: links }) };
  };
  app.get('/group_snapshots', contracts.list, (request) =>
    list(request, { show: (_, row) => briefBody(row), at: 'group_snapshots' }),
  );
  app.get('/group_snapshots/detail', contracts.details, (request) =>
    list(request, { show: detailBody, at: 'group_snapshots/detail' }),
  );
  app.get('/group_snapshots/:id', contracts.show, async (request) => ({
    group_snapshot: detailBody(request, await snapshots.get(callerOf(request), request.params.id)),
  }));
  app.post('/group_snapshots', contracts.create, async (request, reply) => {
    const { group_id: groupId, ...texts } = request.body.group_snapshot;
    const row = await snapshots.create(callerOf(request), { ...textsOf(texts), groupId });
    return reply.code(202).send({ group_snapshot: { ...briefBody(row), group_type_id: row.group_type_id } });
  });
  app.delete('/group_snapshots/:id', contracts.delete, async (request, reply) => {
    await snapshots.delete(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
  const contract = { summary: 'Do something with a snapshot of a group', rights: 'reader' } as const;
  app.actions('/group_snapshots/:id/action', contract, reset, async (request, reply, { argument }) => {
    const { id } = request.params as { id: string };
    await snapshots.reset(callerOf(request), id, (argument as { status: string }).status.toLowerCase());
    return reply.code(202).send();
  });
}

const briefBody = ({ id, name }: ListedGroupSnapshot) => ({ id, name });

const detailBody = (request: FastifyRequest, row: ListedGroupSnapshot) => ({
  ...{ ...briefBody(row), description: row.description, status: row.status, created_at: cinderTime(row.created_at) },
  ...{ group_id: row.group_id, group_type_id: row.group_type_id },
  ...(request.microversion >= 58 && { project_id: row.project_id }),
});
