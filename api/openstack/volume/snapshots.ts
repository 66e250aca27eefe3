/** /snapshots: what volumes were at a moment. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { notFound } from '../../../control/kit/refusal.ts';
import type { ListedSnapshot, SnapshotService } from '../../../control/storage/snapshot/index.ts';
import { snapshotStatus } from '../../../control/storage/volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { ActionContract } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { unmanageable } from './manage.ts';
import { nextLinks } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';
import { listOf, snapshotColumns, snapshotFilter, snapshotParameters } from './volume-query.ts';
import { updatedAt } from './volume-view.ts';

const optional = Type.Optional;
const brief = {
  ...{ id: a.id, created_at: a.time, updated_at: a.orNull(a.time), name: a.orNull(a.text) },
  ...{ description: a.orNull(a.text), volume_id: a.id, status: a.text, size: a.integer, metadata: a.textsByName },
};
const whole = {
  ...brief,
  ...{ group_snapshot_id: a.some(a.orNull(a.id)), user_id: a.some(a.id), consumes_quota: a.some(a.boolean) },
  'os-extended-snapshot-attributes:project_id': a.some(a.id),
  'os-extended-snapshot-attributes:progress': a.some(a.text),
};
const shown = a.record({ snapshot: a.record(whole) });
const page = {
  200: a.record({ snapshots: Type.Array(a.record(whole)), snapshots_links: a.some(a.links), count: a.some(a.integer) }),
};
const names = {
  ...{ name: optional(v.nameOrNull), description: optional(v.description), display_name: optional(v.nameOrNull) },
  display_description: optional(v.description),
};

const contracts = {
  list: { summary: 'List snapshots', rights: 'reader', query: a.query(...snapshotParameters), answers: page },
  detail: {
    summary: 'List snapshots with all that is shown of them',
    rights: 'reader',
    query: a.query(...snapshotParameters),
    answers: page,
  },
  show: { summary: 'Show a snapshot', rights: 'reader', answers: { 200: shown } },
  create: {
    summary: 'Make a snapshot of a volume',
    rights: 'member',
    body: v.strict({
      snapshot: v.strict({
        ...names,
        // Cinder takes null and finds no such volume.
        ...{ volume_id: v.uuidOrNull, force: optional(v.boolean) },
        metadata: optional(Type.Union([v.metadata, Type.Null()])),
      }),
    }),
    answers: { 202: shown },
  },
  update: {
    summary: 'Change what is written on a snapshot',
    rights: 'member',
    body: v.strict({ snapshot: v.strict(names) }),
    answers: { 200: shown },
  },
  delete: { summary: 'Delete a snapshot', rights: 'member', answers: { 202: null } },
} as const;

const anything = Type.Unknown();
interface SnapshotAction extends ActionContract {
  run(snapshots: SnapshotService, call: Parameters<SnapshotService['get']>, argument: never): Promise<unknown>;
}
const actions: Readonly<Record<string, SnapshotAction>> = {
  'os-reset_status': {
    summary: 'Declare the status of a snapshot, or take that back',
    rights: 'admin',
    body: v.strict({ status: v.text(1, 255) }),
    answers: { 202: null },
    run: (snapshots, call, { status }: { status: string }) => snapshots.reset(...call, status.toLowerCase()),
  },
  'os-update_snapshot_status': {
    summary: 'Say how far a snapshot is',
    rights: 'member',
    body: v.strict({ status: v.text(1, 255), progress: optional(Type.Union([v.text(0, 255), Type.Null()])) }),
    answers: { 202: null },
    run: (snapshots, call, { status, progress }: { status: string; progress?: string | null }) => {
      if (progress && !/^(100|\d{1,2})%?$/.test(progress)) {
        throw new Refusal('invalid', `Invalid input for field/attribute progress. Value: ${progress}.`);
      }
      return snapshots.tell(...call, { status, progress: progress || null });
    },
  },
  'os-force_delete': {
    summary: 'Delete a snapshot, whatever its status',
    rights: 'admin',
    body: anything,
    answers: { 202: null },
    run: (snapshots, call) => snapshots.delete(...call, { force: true }),
  },
  'os-unmanage': {
    summary: 'Take a snapshot out of the cloud and leave its content where it is',
    rights: 'admin',
    body: anything,
    answers: { 202: null },
    async run(snapshots, call) {
      await snapshots.get(...call);
      throw new Refusal('invalid', unmanageable);
    },
  },
};

function briefBody(snapshot: ListedSnapshot) {
  const { id, name, description, volume_id, size_gib: size, metadata } = snapshot;
  return {
    ...{ id, created_at: cinderTime(snapshot.created_at), updated_at: updatedAt(snapshot), name, description },
    ...{ volume_id, status: snapshotStatus(snapshot), size, metadata },
  };
}

const snapshotBody = ({ microversion: version }: FastifyRequest, snapshot: ListedSnapshot) => ({
  ...briefBody(snapshot),
  ...(version >= 14 && { group_snapshot_id: snapshot.group_snapshot_id }),
  ...(version >= 41 && { user_id: snapshot.user_id }),
  ...(version >= 65 && { consumes_quota: snapshot.consumes_quota }),
});

/** With what an extension adds where it is shown. */
const wholeBody = (request: FastifyRequest, snapshot: ListedSnapshot) => ({
  ...snapshotBody(request, snapshot),
  'os-extended-snapshot-attributes:project_id': snapshot.project_id,
  'os-extended-snapshot-attributes:progress':
    snapshot.fault?.progress ?? (snapshotStatus(snapshot) === 'creating' ? '0%' : '100%'),
});

export function snapshotRoutes(app: Boundary, snapshots: SnapshotService): void {
  app.get('/snapshots', contracts.list, (request) => list(request, snapshots, { detailed: false }));
  app.get('/snapshots/detail', contracts.detail, (request) => list(request, snapshots, { detailed: true }));
  app.get('/snapshots/:id', contracts.show, async (request) => ({
    snapshot: wholeBody(request, await snapshots.get(callerOf(request), request.params.id)),
  }));
  app.post('/snapshots', contracts.create, async (request, reply) => {
    const { volume_id: volumeId, force, metadata, ...wish } = request.body.snapshot;
    if (volumeId === null) throw notFound('volume', 'None');
    const forced = force !== undefined && v.toBoolean(force);
    // From 3.66 on nobody has to insist; who insists on not is told.
    const always = request.microversion >= 66;
    if (always && force !== undefined && !forced) throw new Refusal('invalid', noForce);
    const snapshot = await snapshots.create(callerOf(request), {
      ...{ volumeId, name: (wish.name ?? wish.display_name ?? '').trim(), metadata: metadata ?? {} },
      ...{ description: (wish.description ?? wish.display_description)?.trim() ?? null, inUse: forced || always },
    });
    return reply.code(202).send({ snapshot: snapshotBody(request, snapshot) });
  });
  app.put('/snapshots/:id', contracts.update, async (request) => {
    const wish = request.body.snapshot;
    if (Object.keys(wish).length === 0) throw new Refusal('invalid', 'Something to change of the snapshot is wanted.');
    const [name, description] = [wish.name ?? wish.display_name, wish.description ?? wish.display_description];
    const snapshot = await snapshots.update(callerOf(request), request.params.id, {
      ...(name != null && { name: name.trim() }),
      ...(description != null && { description: description.trim() }),
    });
    return { snapshot: snapshotBody(request, snapshot) };
  });
  app.delete('/snapshots/:id', contracts.delete, async (request, reply) => {
    await snapshots.delete(callerOf(request), request.params.id, { force: false });
    return reply.code(202).send();
  });
  app.actions(
    '/snapshots/:id/action',
    { summary: 'Do something with a snapshot', rights: 'reader' },
    actions,
    async (request, reply, { action, argument }) => {
      await action.run(snapshots, [callerOf(request), request.params.id], argument as never);
      return reply.code(202).send();
    },
  );
}

const noForce =
  "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward compatability, however, when the 'force' flag is passed with a value evaluating to True, it is silently ignored.";

async function list(request: FastifyRequest, snapshots: SnapshotService, { detailed }: { detailed: boolean }) {
  const caller = callerOf(request);
  const { page, allProjects, counted } = listOf(request, 'snapshot', snapshotColumns);
  const filter = snapshotFilter(request);
  const [rows, count] = await Promise.all([
    page.limit === 0 ? [] : snapshots.list(caller, { ...page, filter }, { allProjects }),
    counted ? snapshots.count(caller, filter, { allProjects }) : undefined,
  ]);
  const collection = detailed ? 'snapshots/detail' : 'snapshots';
  const links = nextLinks(request, collection, { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
  return {
    snapshots: rows.map((row) => (detailed ? wholeBody(request, row) : briefBody(row))),
    ...(links && { snapshots_links: links }),
    ...(count !== undefined && { count }),
  };
}
