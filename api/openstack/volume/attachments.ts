/** /attachments (3.27): who has a volume. Servers of this cloud are seen here too; what becomes of theirs is the compute service's. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { ConnectionService, FoundAttachment, ShownAttachment } from '../../../control/storage/connection/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { flatConnectionInfo, flatInfo } from './connection-info.ts';
import { refuseFilters } from './filters.ts';
import { listPage } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const summary = {
  ...{ id: a.id, volume_id: a.id, instance: a.orNull(a.id) },
  status: a.one('reserved', 'attaching', 'attached', 'detaching'),
};
/** Cinder has an empty text for a time that has not come. */
const detail = a.record({
  ...{ ...summary, attached_at: Type.Union([a.time, Type.Literal('')]), detached_at: Type.Literal('') },
  ...{ attach_mode: a.one('rw', 'ro'), connection_info: flatInfo },
});
const whole = a.record({ attachment: detail });

const connector = Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]);
const mode = Type.Enum(['rw', 'ro']);
const wish = (version: number) =>
  v.strict({
    attachment: v.strict({
      volume_uuid: v.uuid,
      instance_uuid: Type.Optional(v.uuid),
      connector: Type.Optional(connector),
      mode: v.when(version >= 54, mode),
    }),
  });

const versions = { from: 27 };
const query = a.query(
  ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants'],
  ...['volume_id', 'volume_id~', 'status', 'status~', 'attach_status', 'attach_status~', 'instance_id', 'instance_id~'],
);
const contracts = {
  list: {
    summary: 'List attachments of volumes',
    rights: 'reader',
    versions,
    query,
    answers: { 200: a.record({ attachments: a.list(summary) }) },
  },
  details: {
    summary: 'List attachments of volumes in full',
    rights: 'reader',
    versions,
    query,
    answers: { 200: a.record({ attachments: a.listOf(detail) }) },
  },
  show: { summary: 'Show an attachment of a volume', rights: 'reader', versions, answers: { 200: whole } },
  create: {
    summary: 'Reserve a volume',
    rights: 'member',
    versions,
    body: v.since([1, 54], wish),
    answers: { 200: whole },
  },
  update: {
    summary: 'Ask for the way to a reserved volume',
    rights: 'member',
    versions,
    body: v.strict({ attachment: v.strict({ connector: Type.Record(Type.String(), Type.Unknown()) }) }),
    answers: { 200: whole },
  },
  remove: {
    summary: 'Give a volume back',
    rights: 'member',
    versions,
    answers: { 200: a.record({ attachments: a.list(summary) }) },
  },
} as const;

const complete = {
  'os-complete': {
    summary: 'Say that a reserved volume is attached',
    rights: 'member',
    versions: { from: 44 },
    body: Type.Unknown(),
    answers: { 204: null },
  },
} as const;

const listed = {
  columns: { created_at: 'created_at', id: 'id', volume_id: 'volume_id', attach_status: 'status' },
  filters: { volume_id: 'volume_id', status: 'status', attach_status: 'status', instance_id: 'instance' },
  parts: {
    ...{ volume_id: 'volume_like', instance_id: 'instance_like', status: 'status_like', attach_status: 'status_like' },
  },
  owned: true,
};

export function attachmentRoutes(app: Boundary, connections: ConnectionService): void {
  const list = async (request: FastifyRequest): Promise<ShownAttachment[]> => {
    refuseFilters(request, 'attachment');
    const { rows } = await listPage(request, 'attachments', listed, (...asked) =>
      connections.list(callerOf(request), ...asked),
    );
    return rows;
  };
  const shown = async (request: FastifyRequest, id: string) => ({
    attachment: detailBody(await connections.get(callerOf(request), id)),
  });
  app.get('/attachments', contracts.list, async (request) => ({ attachments: (await list(request)).map(body) }));
  app.get('/attachments/detail', contracts.details, async (request) => ({
    attachments: (await list(request)).map(detailBody),
  }));
  app.get('/attachments/:id', contracts.show, (request) => shown(request, request.params.id));
  app.post('/attachments', contracts.create, async (request) => {
    const { volume_uuid, instance_uuid, connector: given, mode: asked } = request.body.attachment;
    const [caller, volumeId] = [callerOf(request), parseId(volume_uuid)!];
    if (instance_uuid === undefined && request.microversion < 54) {
      throw new Refusal('invalid', "Must specify 'instance_uuid' to create attachment.");
    }
    const serverId = instance_uuid === undefined ? null : parseId(instance_uuid)!;
    if (given && Object.keys(given).length > 0) {
      const reservation = { serverId, mode: asked ?? null };
      return { attachment: detailBody(await connections.connect(caller, volumeId, given, reservation)) };
    }
    const id = await connections.reserve(caller, volumeId, { serverId, mode: asked ?? null, begun: false });
    return shown(request, id);
  });
  app.put('/attachments/:id', contracts.update, async (request) => {
    const { connector } = request.body.attachment;
    return {
      attachment: detailBody(await connections.connectReserved(callerOf(request), request.params.id, connector)),
    };
  });
  app.delete('/attachments/:id', contracts.remove, async (request) => {
    await connections.remove(callerOf(request), request.params.id);
    // Nobody else shares the connection.
    return { attachments: [] };
  });
  const contract = { summary: 'Act on an attachment', rights: 'caller' } as const;
  app.actions('/attachments/:id/action', contract, complete, async (request, reply) => {
    const { id } = request.params as { id: string };
    await connections.complete(callerOf(request), id);
    return reply.code(204).send();
  });
}

const body = ({ id, status, instance, volume_id }: ShownAttachment) => ({ id, status, instance, volume_id });

/** In lists nobody is told how to connect. */
function detailBody(attachment: ShownAttachment | FoundAttachment) {
  const { attached_at, mode: attach_mode } = attachment;
  return {
    ...body(attachment),
    ...{ attached_at: attached_at ? cinderTime(attached_at) : '', detached_at: '' as const, attach_mode },
    connection_info: flatConnectionInfo(attachment),
  };
}
