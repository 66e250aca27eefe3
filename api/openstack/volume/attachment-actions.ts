/** What POST /volumes/{id}/action does with who has a volume: the calls of before there were attachments. */
import { type TSchema, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { ConnectionService } from '../../../control/storage/connection/index.ts';
import type { ActionContract, Input } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import * as a from './answers.ts';
import { connectionInfo, nestedInfo } from './connection-info.ts';
import * as v from './validate.ts';

export interface AttachmentCall {
  connections: ConnectionService;
  caller: Caller;
  /** The volume's. */
  id: string;
}

export interface AttachmentAction extends ActionContract {
  /** @returns the answer's body; nothing: 202 without one */
  run(call: AttachmentCall, argument: unknown): unknown;
}

function action<B extends TSchema>(
  contract: Omit<ActionContract, 'body' | 'rights'> & {
    rights?: 'admin';
    body: B;
    run(call: AttachmentCall, argument: Input<B, unknown>): unknown;
  },
): AttachmentAction {
  return { rights: 'member', ...contract } as AttachmentAction;
}

const optional = Type.Optional;
const accepted = { 202: null } as const;
const anything = Type.Unknown();
const id = Type.Union([v.uuid, Type.Null()]);
const attach = v.strict({
  ...{ instance_uuid: optional(id), mountpoint: v.text(1, 255), host_name: optional(v.text(0, 255)) },
  mode: optional(Type.Enum(['rw', 'ro'])),
});
const detach = Type.Union([v.strict({ attachment_id: optional(id), connector: optional(anything) }), Type.Null()]);
const connection = v.strict({ connector: Type.Record(Type.String(), Type.Unknown()) });

export const attachmentActions: Readonly<Record<string, AttachmentAction>> = {
  'os-attach': action({
    summary: 'Say that a volume is attached to a machine',
    body: attach,
    answers: accepted,
    run({ connections, caller, id: volume }, { instance_uuid, host_name, mountpoint: device, mode = 'rw' }) {
      if (instance_uuid && host_name) {
        const both = `Invalid request to attach volume to an instance ${instance_uuid} and a host ${host_name} simultaneously`;
        throw new Refusal('invalid', both);
      }
      if (!instance_uuid && !host_name) {
        throw new Refusal('invalid', 'Invalid request to attach volume to an invalid target');
      }
      const serverId = instance_uuid ? parseId(instance_uuid)! : null;
      return connections.attach(caller, volume, { serverId, hostName: host_name || null, device, mode });
    },
  }),
  'os-detach': action({
    summary: 'Say that a volume is attached to nobody any more',
    body: detach,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.detach(caller, volume, { force: false }),
  }),
  'os-force_detach': action({
    summary: 'Say that a volume is attached to nobody any more, whatever its status',
    rights: 'admin',
    body: detach,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.detach(caller, volume, { force: true }),
  }),
  'os-reserve': action({
    summary: 'Keep a volume for somebody who will attach it',
    body: anything,
    answers: accepted,
    async run({ connections, caller, id: volume }) {
      await connections.reserve(caller, volume, { serverId: null, mode: null, begun: true });
    },
  }),
  'os-unreserve': action({
    summary: 'Keep a volume no more',
    body: anything,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.unreserve(caller, volume),
  }),
  'os-begin_detaching': action({
    summary: 'Say that a volume is about to be detached',
    body: anything,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.setDetaching(caller, volume, true),
  }),
  'os-roll_detaching': action({
    summary: 'Say that a volume is not to be detached after all',
    body: anything,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.setDetaching(caller, volume, false),
  }),
  'os-initialize_connection': action({
    summary: 'Ask for the way to a volume',
    body: connection,
    answers: { 200: a.record({ connection_info: nestedInfo }) },
    async run({ connections, caller, id: volume }, { connector }) {
      return { connection_info: connectionInfo(await connections.connect(caller, volume, connector))! };
    },
  }),
  'os-terminate_connection': action({
    summary: 'Give up the way to a volume',
    body: connection,
    answers: accepted,
    run: ({ connections, caller, id: volume }) => connections.disconnect(caller, volume),
  }),
};
