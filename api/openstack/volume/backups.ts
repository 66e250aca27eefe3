/** /backups: volumes as they were, in a place of their own; made, restored, and told as records that outlive the database. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { ListQuery } from '../../../control/kit/listing.ts';
import type { BackupService, ListedBackup } from '../../../control/storage/backup/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { ActionContract } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { refuseFilters } from './filters.ts';
import { first, linksOf, nextLinks, ofProject, pageOf, queryOf } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';
import { updatedAt } from './volume-view.ts';

const optional = Type.Optional;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const brief = { id: a.id, name: a.orNull(a.text), links: a.links };
const detail = {
  ...{ ...brief, status: a.text, size: a.integer, object_count: a.integer, availability_zone: a.orNull(a.text) },
  ...{ container: a.orNull(a.text), created_at: a.time, updated_at: a.orNull(a.time), description: a.orNull(a.text) },
  ...{ fail_reason: a.orNull(a.text), volume_id: a.id, is_incremental: a.boolean, has_dependent_backups: a.boolean },
  ...{ snapshot_id: a.orNull(a.id), data_timestamp: a.time, 'os-backup-project-attr:project_id': a.some(a.id) },
  ...{ metadata: a.some(a.textsByName), user_id: a.some(a.id) },
  encryption_key_id: a.some(a.id),
};
const page = (item: typeof brief) => ({
  200: a.record({ backups: a.list(item), backups_links: a.some(a.links), count: a.some(a.integer) }),
});
const made = a.record({ backup: a.record({ ...brief, metadata: a.some(a.textsByName) }) });
const query = a.query(
  ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants', 'with_count'],
  ...['name', 'name~', 'status', 'status~', 'volume_id'],
);
const texts = { name: optional(v.nameOrNull), description: optional(v.description) };
const restored = a.record({ restore: a.record({ backup_id: a.id, volume_id: a.id, volume_name: a.text }) });
const record = a.record({ 'backup-record': a.record({ backup_service: a.text, backup_url: a.text }) });

const contracts = {
  list: { summary: 'List backups', rights: 'reader', query, answers: page(brief) },
  details: { summary: 'List backups in full', rights: 'reader', query, answers: page(detail) },
  show: { summary: 'Show a backup', rights: 'reader', answers: { 200: a.record({ backup: a.record(detail) }) } },
  create: {
    summary: 'Back up a volume, or what it was at a snapshot',
    rights: 'member',
    body: v.since([0, 43, 51], (version) =>
      v.strict({
        backup: v.strict({
          ...{ ...texts, volume_id: v.uuid, snapshot_id: optional(v.uuidOrNull) },
          ...{
            container: optional(orNull(v.text(0, 255))),
            incremental: optional(v.boolean),
            force: optional(v.boolean),
          },
          metadata: v.when(version >= 43, orNull(v.metadata)),
          availability_zone: v.when(version >= 51, orNull(v.text(1, 255))),
        }),
      }),
    ),
    answers: { 202: made },
  },
  update: {
    summary: 'Change what is written on a backup',
    rights: 'member',
    versions: { from: 9 },
    body: v.since([0, 43], (version) =>
      v.strict({ backup: v.strict({ ...texts, metadata: v.when(version >= 43, orNull(v.metadata)) }) }),
    ),
    answers: { 200: made },
  },
  delete: { summary: 'Delete a backup', rights: 'member', answers: { 202: null } },
  restore: {
    summary: 'Restore a backup as a new volume, or into one',
    rights: 'member',
    body: v.strict({ restore: v.strict({ name: optional(v.nameOrNull), volume_id: optional(v.uuidOrNull) }) }),
    answers: { 202: restored },
  },
  export: { summary: 'Tell where a backup is', rights: 'admin', answers: { 200: record } },
  import: {
    summary: 'Take in what was told of a backup',
    rights: 'admin',
    body: v.strict({
      'backup-record': v.strict({ backup_service: v.text(1, 255), backup_url: v.text(1, 1_000_000) }),
    }),
    answers: { 201: a.record({ backup: a.record(brief) }) },
  },
} as const;

interface BackupAction extends ActionContract {
  run(backups: BackupService, call: Parameters<BackupService['get']>, argument: never): Promise<unknown>;
}
const actions: Readonly<Record<string, BackupAction>> = {
  'os-reset_status': {
    summary: 'Declare the status of a backup, or take that back',
    rights: 'admin',
    body: v.strict({ status: v.text(1, 255) }),
    answers: { 202: null },
    run: (backups, call, { status }: { status: string }) => backups.reset(...call, status.toLowerCase()),
  },
  'os-force_delete': {
    summary: 'Delete a backup, whatever its status',
    rights: 'admin',
    body: Type.Unknown(),
    answers: { 202: null },
    run: (backups, call) => backups.delete(...call, { force: true }),
  },
};

/** Ours, by the keys that Cinder sorts by. */
const columns = {
  ...{ id: 'id', created_at: 'created_at', updated_at: 'updated_at', name: 'name', display_name: 'name' },
  ...{ status: 'status', size: 'size_gib', volume_id: 'volume_id', data_timestamp: 'data_at' },
  ...{ project_id: 'project_id', user_id: 'user_id' },
};

export function backupRoutes(app: Boundary, backups: BackupService): void {
  app.get('/backups', contracts.list, (request) => list(request, backups, { show: briefBody, at: 'backups' }));
  app.get('/backups/detail', contracts.details, (request) =>
    list(request, backups, { show: detailBody, at: 'backups/detail' }),
  );
  app.get('/backups/:id', contracts.show, async (request) => ({
    backup: detailBody(request, await backups.get(callerOf(request), request.params.id)),
  }));
  app.post('/backups', contracts.create, async (request, reply) => {
    const { backup: wish } = request.body;
    const backup = await backups.create(callerOf(request), {
      ...{ volumeId: wish.volume_id, snapshotId: wish.snapshot_id ?? null, name: wish.name?.trim() ?? '' },
      ...{ description: wish.description?.trim() ?? null, metadata: wish.metadata ?? {} },
      ...{ container: wish.container ?? null, zone: wish.availability_zone ?? null },
      ...{ incremental: v.toBoolean(wish.incremental ?? false), force: v.toBoolean(wish.force ?? false) },
    });
    return reply.code(202).send({ backup: madeBody(request, backup) });
  });
  app.put('/backups/:id', contracts.update, async (request) => {
    const { name, description, metadata } = request.body.backup;
    if (name == null && description == null && metadata == null) {
      throw new Refusal('invalid', 'Missing updated parameters in request body.');
    }
    const backup = await backups.update(callerOf(request), request.params.id, {
      ...(name != null && { name: name.trim() }),
      ...(description != null && { description: description.trim() }),
      ...(metadata != null && { metadata }),
    });
    return { backup: madeBody(request, backup) };
  });
  app.delete('/backups/:id', contracts.delete, async (request, reply) => {
    await backups.delete(callerOf(request), request.params.id, { force: false });
    return reply.code(202).send();
  });
  restoreRoutes(app, backups);
  const acting = { summary: 'Do something with a backup', rights: 'reader' } as const;
  app.actions('/backups/:id/action', acting, actions, async (request, reply, { action, argument }) => {
    const { id } = request.params as { id: string };
    await action.run(backups, [callerOf(request), id], argument as never);
    return reply.code(202).send();
  });
}

function restoreRoutes(app: Boundary, backups: BackupService): void {
  app.post('/backups/:id/restore', contracts.restore, async (request, reply) => {
    const { name, volume_id } = request.body.restore;
    const { id } = request.params;
    const wish = { volumeId: volume_id ?? null, name: name?.trim() || null };
    const { volumeId, volumeName } = await backups.restore(callerOf(request), id, wish);
    return reply.code(202).send({ restore: { backup_id: id, volume_id: volumeId, volume_name: volumeName } });
  });
  app.get('/backups/:id/export_record', contracts.export, async (request) => {
    const { service, record: url } = await backups.export(callerOf(request), request.params.id);
    return { 'backup-record': { backup_service: service, backup_url: url } };
  });
  app.post('/backups/import_record', contracts.import, async (request, reply) => {
    const backup = await backups.import(callerOf(request), request.body['backup-record'].backup_url);
    return reply.code(201).send({ backup: briefBody(request, backup) });
  });
}

async function list<Shown>(
  request: FastifyRequest,
  backups: BackupService,
  { show, at }: { show: (request: FastifyRequest, backup: ListedBackup) => Shown; at: string },
) {
  refuseFilters(request, 'backup');
  const asked = queryOf(request);
  const { marker, ...page } = pageOf(asked, columns);
  const truth = (key: string): boolean => v.looseBoolean(first(asked, key) ?? 'false');
  const wish: ListQuery = {
    ...page,
    filters: [...filtersOf(request), ...ofProject(request, asked)],
    ...(marker !== undefined && { marker }),
  };
  const options = { allProjects: truth('all_tenants') };
  const counted = request.microversion >= 45 && truth('with_count');
  const [rows, count] = await Promise.all([
    page.limit === 0 ? [] : backups.list(callerOf(request), wish, options),
    counted ? backups.count(callerOf(request), wish, options) : undefined,
  ]);
  const links = nextLinks(request, at, { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
  return {
    backups: rows.map((row) => show(request, row)),
    ...(links && { backups_links: links }),
    ...(count !== undefined && { count }),
  };
}

function filtersOf(request: FastifyRequest): { column: string; values: string[] }[] {
  const asked = queryOf(request);
  return (
    [
      ...[['name', 'name', 0] as const, ['status', 'status', 0] as const, ['volume_id', 'volume_id', 0] as const],
      ...[['name~', 'name_like', 34] as const, ['status~', 'status_like', 34] as const],
    ] as const
  ).flatMap(([key, column, from]) => {
    const value = first(asked, key);
    return value === undefined || request.microversion < from ? [] : [{ column, values: [value] }];
  });
}

const briefBody = (request: FastifyRequest, { id, name }: ListedBackup) => ({
  ...{ id, name, links: linksOf(request, 'backups', id) },
});

const madeBody = (request: FastifyRequest, backup: ListedBackup) => ({
  ...briefBody(request, backup),
  ...(request.microversion >= 43 && { metadata: backup.metadata }),
});

function detailBody(request: FastifyRequest, backup: ListedBackup) {
  const { microversion: version } = request;
  const { status, size_gib: size, availability_zone, container, description, volume_id, snapshot_id } = backup;
  return {
    ...{
      ...briefBody(request, backup),
      status,
      size,
      availability_zone,
      container,
      description,
      volume_id,
      snapshot_id,
    },
    // A backup is one file.
    object_count: backup.file_bytes === null ? 0 : 1,
    ...{ created_at: cinderTime(backup.created_at), updated_at: updatedAt(backup) },
    ...{ fail_reason: backup.fault?.message ?? null, is_incremental: backup.parent_id !== null },
    ...{ has_dependent_backups: backup.has_dependents, data_timestamp: cinderTime(backup.data_at) },
    ...(version >= 18 && isAdmin(callerOf(request)) && { 'os-backup-project-attr:project_id': backup.project_id }),
    ...(version >= 43 && { metadata: backup.metadata }),
    ...(version >= 56 && isAdmin(callerOf(request)) && { user_id: backup.user_id }),
    ...(version >= 64 && backup.key_id !== null && { encryption_key_id: backup.key_id }),
  };
}
