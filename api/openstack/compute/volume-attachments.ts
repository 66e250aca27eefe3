/** /servers/{id}/os-volume_attachments: which volumes a server has. Nova calls an attachment by its volume's id. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { type ServerService, serverActions, vmState } from '../../../control/compute/server/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { ServerVolume } from '../../../control/storage/server-volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { Input } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf, refuseUnknown } from './paging.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const optional = Type.Optional;
const device = Type.Union([
  Type.String({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$|^/dev/[a-zA-Z0-9]+$' }),
  Type.Null(),
]);

const shown = (version: number) =>
  a.record({
    ...(version < 89 && { id: a.id }),
    ...{ volumeId: a.id, serverId: a.id, device: a.some(a.text) },
    ...(version >= 70 && { tag: a.orNull(a.text) }),
    ...(version >= 79 && { delete_on_termination: a.boolean }),
    ...(version >= 89 && { attachment_id: a.id, bdm_uuid: a.id }),
  });
/** What a create tells keeps its id in every version. */
const made = (version: number) =>
  a.record({
    ...{ id: a.id, volumeId: a.id, serverId: a.id, device: a.text },
    ...(version >= 70 && { tag: a.orNull(a.text) }),
    ...(version >= 79 && { delete_on_termination: a.boolean }),
  });
const changes = [1, 70, 79, 89];

const attached = (version: number) =>
  v.strict({
    volumeAttachment: v.strict({
      volumeId: v.uuid,
      device: optional(device),
      tag: v.when(version >= 49, v.tag),
      delete_on_termination: v.when(version >= 79, v.boolean),
    }),
  });
const newerUpdate = v.strict({
  volumeAttachment: v.strict({
    ...{ volumeId: v.uuid, id: optional(v.uuid), serverId: optional(v.uuid), device: optional(device) },
    ...{ tag: optional(v.tag), delete_on_termination: optional(v.boolean) },
  }),
});
const updated = (version: number) =>
  version < 85
    ? (v.strict({ volumeAttachment: v.strict({ volumeId: v.uuid }) }) as unknown as typeof newerUpdate)
    : newerUpdate;

const contracts = {
  list: {
    summary: "List a server's volumes",
    rights: 'reader',
    query: a.query('limit', 'offset'),
    answers: { 200: v.since(changes, (version) => a.record({ volumeAttachments: a.listOf(shown(version)) })) },
  },
  show: {
    summary: 'Show a volume of a server',
    rights: 'reader',
    answers: { 200: v.since(changes, (version) => a.record({ volumeAttachment: shown(version) })) },
  },
  attach: {
    summary: 'Attach a volume to a server',
    rights: 'member',
    body: v.since([1, 49, 79], attached),
    answers: { 200: v.since([1, 70, 79], (version) => a.record({ volumeAttachment: made(version) })) },
  },
  update: {
    summary: 'Change whether a volume goes with its server; exchange it for another',
    rights: 'member',
    body: v.since([1, 85], updated),
    answers: { 202: null },
  },
  detach: { summary: 'Detach a volume from a server', rights: 'member', answers: { 202: null } },
} as const;

const pageParameters = ['limit', 'offset'];

export function volumeAttachmentRoutes(app: Boundary, servers: ServerService): void {
  const base = '/servers/:id/os-volume_attachments' as const;
  app.get(base, contracts.list, async (request) => {
    const all = await servers.volumes(callerOf(request), serverIdOf(request), pageOf(request));
    return { volumeAttachments: all.map((volume) => attachmentBody(request, serverIdOf(request), volume)) };
  });
  app.get(`${base}/:volume`, contracts.show, async (request) => {
    const id = serverIdOf(request);
    const all = await servers.volumes(callerOf(request), id);
    const volume = all.find(({ volume_id }) => volume_id === parseId(request.params.volume));
    if (!volume) throw notAttached(id, request.params.volume);
    return { volumeAttachment: attachmentBody(request, id, volume) };
  });
  app.post(base, contracts.attach, async (request) => {
    const [id, asked] = [serverIdOf(request), request.body.volumeAttachment];
    await requireNewEnough(servers, request, 'attach_volume');
    const goes = asked.delete_on_termination !== undefined && v.toBoolean(asked.delete_on_termination);
    const [volumeId, tag] = [parseId(asked.volumeId)!, asked.tag ?? null];
    let device = '';
    const attached = (name: string) => {
      device = name;
    };
    const wish = { volumeId, tag, deleteOnTermination: goes, attached };
    await servers.act(callerOf(request), id, serverActions.attachVolume, wish);
    const version = request.microversion;
    const more = { ...(version >= 70 && { tag }), ...(version >= 79 && { delete_on_termination: goes }) };
    return { volumeAttachment: { id: volumeId, serverId: id, volumeId, device, ...more } };
  });
  app.put(`${base}/:volume`, contracts.update, async (request, reply) => {
    await update(servers, request, request.params.volume, request.body.volumeAttachment);
    return reply.code(202).send();
  });
  app.delete(`${base}/:volume`, contracts.detach, async (request, reply) => {
    const [id, volumeId] = [serverIdOf(request), parseId(request.params.volume)];
    await requireNewEnough(servers, request, 'detach_volume');
    if (!volumeId) throw notAttached(id, request.params.volume);
    await servers.act(callerOf(request), id, serverActions.detachVolume, volumeId);
    return reply.code(202).send();
  });
}

type Update = Input<typeof contracts.update.body, never>['volumeAttachment'];

/**
 * First what may change of the attachment, then the exchange: which Nova leaves to Cinder alone, of a volume that Cinder is moving (Nova's bug 2112187; policy
 * `os-volumes-attachments:swap` is the service role's), and answers administrators 409. Here nobody asks for it: volumes in use move by a retype.
 */
async function update(servers: ServerService, request: FastifyRequest, volume: string, asked: Update): Promise<void> {
  const [caller, id] = [callerOf(request), serverIdOf(request)];
  const other = parseId(asked.volumeId) !== parseId(volume);
  const exchangeOnly = request.microversion < 85;
  const attached = (await servers.volumes(caller, id)).find(({ volume_id }) => volume_id === parseId(volume));
  if (!attached) throw notAttached(id, volume);
  if (exchangeOnly || other) requireAdmin(caller, "exchange a server's volume");
  if (!exchangeOnly) await changeAttachment(servers, request, attached, asked);
  if (exchangeOnly || other) {
    const message = `volume ${attached.volume_id} is not migrating; this API should only be called by Cinder`;
    throw new Refusal('conflict', message);
  }
}

async function changeAttachment(
  servers: ServerService,
  request: FastifyRequest,
  attached: ServerVolume,
  asked: Update,
): Promise<void> {
  const id = serverIdOf(request);
  const fixed: [string, unknown, unknown][] = [
    ['id', asked.id && parseId(asked.id), attached.volume_id],
    ['serverId', asked.serverId && parseId(asked.serverId), id],
    ['device', asked.device, attached.device],
    ['tag', asked.tag, attached.tag],
  ];
  const wrong = fixed.find(([, given, present]) => given !== undefined && given !== present);
  if (wrong) throw new Refusal('invalid', `The ${wrong[0]} property is not mutable`);
  if (asked.delete_on_termination === undefined) return;
  const wish = { volumeId: attached.volume_id, deleteOnTermination: v.toBoolean(asked.delete_on_termination) };
  await servers.act(callerOf(request), id, serverActions.updateAttachment, wish);
}

const notAttached = (server: string, volume: string) =>
  new Refusal('not_found', `Instance ${server} is not attached to volume ${volume.slice(0, 100)}`);

/** Before 2.20 nothing was attached to, or detached from, what is shelved. */
async function requireNewEnough(servers: ServerService, request: FastifyRequest, call: string): Promise<void> {
  if (request.microversion >= 20) return;
  const server = await servers.get(callerOf(request), serverIdOf(request));
  const value = vmState(server);
  if (value !== 'shelved' && value !== 'shelved_offloaded') return;
  throw new CloudError('conflict', 'server_state_conflict', { id: server.id, call, attribute: 'vm_state', value });
}

function attachmentBody({ microversion: version }: FastifyRequest, serverId: string, volume: ServerVolume) {
  return {
    ...(version < 89 && { id: volume.volume_id }),
    ...{ volumeId: volume.volume_id, serverId, ...(volume.device !== null && { device: volume.device }) },
    ...(version >= 70 && { tag: volume.tag }),
    ...(version >= 79 && { delete_on_termination: volume.delete_on_termination }),
    // Nova has a row of its own for what is one here.
    ...(version >= 89 && { attachment_id: volume.id, bdm_uuid: volume.id }),
  };
}

/** @throws Refusal */
function pageOf(request: FastifyRequest): { limit?: number; offset: number } {
  refuseUnknown(request, pageParameters);
  const number = (key: string) => {
    const text = first(queryOf(request), key);
    if (text !== undefined && !/^\d{1,9}$/.test(text))
      throw new Refusal('invalid', `Invalid input for query parameters ${key}. Value: ${text.slice(0, 50)}.`);
    return text === undefined ? undefined : Number(text);
  };
  // A limit of 0 is none, as in Nova.
  const limit = number('limit') || undefined;
  return { offset: number('offset') ?? 0, ...(limit !== undefined && { limit }) };
}
