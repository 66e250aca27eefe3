/**
 * Until 2.35 Nova handed volumes and their snapshots on to the volume service. They are that service's; here they have Nova's older form.
 * Until then too a server that boots from a volume could be made at a path of its own.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import type { ListedSnapshot, SnapshotService } from '../../../control/storage/snapshot/index.ts';
import {
  emptyWish,
  type ListedVolume,
  snapshotStatus,
  type VolumeService,
  volumeStatus,
  zoneOf,
} from '../../../control/storage/volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';
import { plainTime } from './server-view.ts';
import * as v from './validate.ts';

const attachment = a.record({
  id: a.some(a.id),
  volumeId: a.some(a.id),
  serverId: a.some(a.id),
  device: a.some(a.text),
});
const volume = a.record({
  ...{ id: a.id, status: a.text, size: a.integer, availabilityZone: a.text, createdAt: a.text },
  ...{ attachments: a.listOf(attachment), displayName: a.text, displayDescription: a.orNull(a.text) },
  ...{ volumeType: a.orNull(a.text), snapshotId: a.orNull(a.id), metadata: a.textsByName },
});
const snapshot = a.record({
  ...{ id: a.id, volumeId: a.id, status: a.text, size: a.integer, createdAt: a.text },
  ...{ displayName: a.text, displayDescription: a.orNull(a.text) },
});

const optional = Type.Optional;
const textOrNull = Type.Union([v.text(0, 255), Type.Null()]);
const size = v.integer(0);
const volumeWish = v.strict({
  volume: v.strict({
    ...{
      volume_type: optional(Type.Union([v.text(0, 255), Type.Null()])),
      metadata: optional(Type.Union([v.metadata, Type.Null()])),
    },
    ...{ snapshot_id: optional(Type.Union([v.uuid, Type.Null()])), size: Type.Union([size, Type.Null()]) },
    ...{
      availability_zone: optional(textOrNull),
      display_name: optional(textOrNull),
      display_description: optional(textOrNull),
    },
  }),
});
const snapshotWish = v.strict({
  snapshot: v.strict({
    ...{ volume_id: v.uuid, force: optional(v.boolean) },
    ...{ display_name: optional(textOrNull), display_description: optional(textOrNull) },
  }),
});

const proxy = { versions: { to: 35 } } as const;
const query = a.query('limit', 'offset');
const volumes = { 200: a.record({ volumes: a.listOf(volume) }) };
const snapshots = { 200: a.record({ snapshots: a.listOf(snapshot) }) };
const contracts = {
  list: { summary: 'List volumes', rights: 'reader', ...proxy, query, answers: volumes },
  show: { summary: 'Show a volume', rights: 'reader', ...proxy, answers: { 200: a.record({ volume }) } },
  create: {
    summary: 'Create a volume',
    rights: 'member',
    ...proxy,
    body: volumeWish,
    answers: { 200: a.record({ volume }) },
  },
  remove: { summary: 'Delete a volume', rights: 'member', ...proxy, answers: { 202: null } },
} as const;
const snapshotContracts = {
  list: { summary: 'List snapshots of volumes', rights: 'reader', ...proxy, query, answers: snapshots },
  show: {
    summary: 'Show a snapshot of a volume',
    rights: 'reader',
    ...proxy,
    answers: { 200: a.record({ snapshot }) },
  },
  create: {
    summary: 'Make a snapshot of a volume',
    rights: 'member',
    ...proxy,
    body: snapshotWish,
    answers: { 200: a.record({ snapshot }) },
  },
  remove: { summary: 'Delete a snapshot of a volume', rights: 'member', ...proxy, answers: { 202: null } },
} as const;

export function volumeRoutes(app: Boundary, service: VolumeService): void {
  const list = async (request: FastifyRequest) => {
    refuseEmptyId(request);
    const rows = await service.list(callerOf(request), { filter: {}, ...pageOf(request) }, { allProjects: false });
    return { volumes: rows.map(volumeBody) };
  };
  app.get('/os-volumes', contracts.list, list);
  app.get('/os-volumes/detail', { ...contracts.list, summary: 'List volumes in full' }, list);
  app.get('/os-volumes/:id', contracts.show, async (request) => ({
    volume: volumeBody(await service.get(callerOf(request), request.params.id)),
  }));
  app.post('/os-volumes', contracts.create, async (request) => {
    const { display_name, display_description, size: asked, ...wish } = request.body.volume;
    const made = await namedInBody(() =>
      service.create(callerOf(request), {
        ...{ ...emptyWish, name: display_name ?? '', description: display_description ?? null },
        ...{ sizeGib: wholeSize(asked), type: wish.volume_type || null, zone: wish.availability_zone || null },
        ...{ snapshotId: wish.snapshot_id ? parseId(wish.snapshot_id)! : null, metadata: wish.metadata ?? {} },
      }),
    );
    return { volume: volumeBody(made) };
  });
  app.delete('/os-volumes/:id', contracts.remove, async (request, reply) => {
    await service.delete(callerOf(request), request.params.id, { cascade: false, force: false });
    return reply.code(202).send();
  });
}

export function snapshotRoutes(app: Boundary, service: SnapshotService): void {
  const list = async (request: FastifyRequest) => {
    refuseEmptyId(request);
    const rows = await service.list(callerOf(request), { filter: {}, ...pageOf(request) }, { allProjects: false });
    return { snapshots: rows.map(snapshotBody) };
  };
  app.get('/os-snapshots', snapshotContracts.list, list);
  app.get('/os-snapshots/detail', { ...snapshotContracts.list, summary: 'List snapshots of volumes in full' }, list);
  app.get('/os-snapshots/:id', snapshotContracts.show, async (request) => ({
    snapshot: snapshotBody(await service.get(callerOf(request), request.params.id)),
  }));
  app.post('/os-snapshots', snapshotContracts.create, async (request) => {
    const { volume_id, display_name, display_description, force } = request.body.snapshot;
    const made = await service.create(callerOf(request), {
      ...{ volumeId: parseId(volume_id)!, name: display_name ?? '', description: display_description ?? null },
      ...{ metadata: {}, inUse: force !== undefined && v.toBoolean(force) },
    });
    return { snapshot: snapshotBody(made) };
  });
  app.delete('/os-snapshots/:id', snapshotContracts.remove, async (request, reply) => {
    await service.delete(callerOf(request), request.params.id, { force: false });
    return reply.code(202).send();
  });
}

/** Only the snapshot is looked for first, and is then no bad request. */
async function namedInBody<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isCloudError(error, 'not_found') && error.reason === 'volume_type_not_found') throw error.as('invalid');
    throw error;
  }
}

/** @throws Refusal as Cinder has it */
function wholeSize(size: string | number | null): number | null {
  if (size === null) return null;
  if (Number(size) > 0) return Number(size);
  throw new Refusal('invalid', `Invalid input received: Volume size '${size}' must be an integer and greater than 0`);
}

/** `/os-volumes/` names a volume without an id, and no list: clients could not read one there. */
function refuseEmptyId({ url }: FastifyRequest): void {
  if (url.split('?')[0]!.endsWith('/')) throw new Refusal('not_found', 'The resource could not be found.');
}

const most = 1000;

/** @throws Refusal */
function pageOf(request: FastifyRequest): { limit: number; offset: number } {
  const number = (key: string, otherwise: number) => {
    const text = first(queryOf(request), key);
    if (text === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(text)) throw new Refusal('invalid', `${key} param must be an integer`);
    return Number(text);
  };
  return { limit: Math.min(number('limit', most) || most, most), offset: number('offset', 0) };
}

function volumeBody(row: ListedVolume) {
  const { attachment: has } = row;
  const attached = has && volumeStatus(row) === 'in-use';
  const attachments = attached
    ? [
        {
          id: row.id,
          volumeId: row.id,
          ...(has.instance_id && { serverId: has.instance_id }),
          ...(has.device && { device: has.device }),
        },
      ]
    : [{}];
  return {
    ...{ id: row.id, status: volumeStatus(row), size: row.size_gib, availabilityZone: zoneOf(row) },
    ...{
      createdAt: plainTime(row.created_at)!,
      attachments,
      displayName: row.name,
      displayDescription: row.description,
    },
    ...{ volumeType: row.type_name, snapshotId: row.source_snapshot_id, metadata: row.metadata },
  };
}

const snapshotBody = (row: ListedSnapshot) => ({
  ...{ id: row.id, volumeId: row.volume_id, status: snapshotStatus(row), size: row.size_gib },
  ...{ createdAt: plainTime(row.created_at)!, displayName: row.name, displayDescription: row.description },
});
