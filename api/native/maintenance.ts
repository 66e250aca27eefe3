/**
 * /native/v1/hosts/{id}/maintenance: a host that shall be empty, how far it is, and what does not go and why. For administrators; of itself a host says and asks
 * the same under /native/v1/hosts/self/maintenance, by its certificate.
 */
import { Type } from 'typebox';
import { type CloudError, type Reason, sentenceOf } from '../../contract/errors.ts';
import type { LeftServer, Maintenance } from '../../control/compute/maintenance/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { novaSentences } from '../openstack/compute/sentences.ts';
import { type HostsDeps, hostOf } from './hosts.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);

const left = Type.Object(
  {
    ...{ id: text, name: text, project_id: text },
    state: Type.Enum(['moving', 'waiting', 'stuck'], {
      description:
        'moving: on its way, or its host has yet to let go of it; waiting: for its turn, or for what is under way (see why); stuck: see why',
    }),
    to_host: Type.Union([Type.String({ description: 'Where it goes, or would' }), Type.Null()]),
    progress: Type.Union([
      Type.Object({ transferred_bytes: Type.Integer(), total_bytes: Type.Integer() }, exact),
      Type.Null(),
    ]),
    why: Type.Union([
      Type.Object(
        { reason: text, message: text, cure: Type.String({ description: 'What would let it go' }) },
        { ...exact, description: 'Why it does not go' },
      ),
      Type.Null(),
    ]),
    attempts: Type.Integer({ description: 'How many have come to nothing' }),
    retry_at: orNull,
    last_error: orNull,
  },
  { ...exact, title: 'ServerThatIsLeft' },
);
const document = Type.Object(
  {
    ...{ host_id: text, host: text },
    cause: Type.Enum(['administrator', 'shutdown', 'consolidation']),
    reason: orNull,
    by: Type.Union([Type.String({ description: 'The name of whoever asked for it' }), Type.Null()]),
    since: text,
    state: Type.Enum(['draining', 'drained', 'blocked'], {
      description: 'drained: no server is left; blocked: of what is left nothing goes by itself',
    }),
    moved: Type.Integer({ description: 'Servers that have left it since' }),
    left: Type.Integer({ description: 'Servers that are left; the first hundred are in servers' }),
    servers: Type.Array(left),
    volumes: Type.Integer({
      description: 'Volumes on its disks, which stay: they are in the way of leaving the cloud',
    }),
  },
  { ...exact, title: 'Maintenance' },
);
const answer = Type.Object(
  { maintenance: Type.Union([document, Type.Null()], { description: 'null: it need not be empty' }) },
  exact,
);
const bootId = Type.String({ pattern: '^[0-9a-f-]{1,64}$', description: 'Of the start of the machine that asks' });

const show = { summary: 'How far a host is that shall be empty', rights: 'admin', answers: { 200: answer } } as const;
const begin = {
  summary: 'Empty a host: its servers move away, and it gets no new ones',
  rights: 'admin',
  body: Type.Object(
    {
      maintenance: Type.Object(
        { reason: Type.Optional(Type.Union([Type.String({ maxLength: 255 }), Type.Null()])) },
        exact,
      ),
    },
    exact,
  ),
  answers: { 200: answer },
} as const;
const end = { summary: 'Let a host carry servers again', rights: 'admin', answers: { 204: null } } as const;
const showOwn = {
  summary: 'How far the host is whose certificate the connection has',
  rights: 'open',
  answers: { 200: answer },
} as const;
const beginOwn = {
  summary: 'Empty the host whose certificate the connection has',
  rights: 'open',
  body: Type.Object(
    {
      maintenance: Type.Object(
        { cause: Type.Enum(['administrator', 'shutdown']), boot_id: Type.Optional(bootId) },
        exact,
      ),
    },
    exact,
  ),
  answers: { 200: answer },
} as const;
const endOwn = {
  summary: 'Let the host carry servers again whose certificate the connection has',
  rights: 'open',
  query: Type.Object(
    {
      shutdown_only: Type.Optional(
        Type.Enum(['true'], { description: 'Only what it has asked for because its machine goes down' }),
      ),
      except_boot_id: Type.Optional(bootId),
    },
    exact,
  ),
  answers: { 204: null },
} as const;

export function maintenanceRoutes(app: Boundary, { hosts }: { hosts: HostsDeps }): void {
  const answered = (found: Maintenance | null) => ({ maintenance: found && maintenanceDocument(found) });
  app.get('/v1/hosts/self/maintenance', showOwn, async (request) =>
    answered(await hosts.maintenance.ofHost(hostOf(request, hosts.ca).id)),
  );
  app.put('/v1/hosts/self/maintenance', beginOwn, async (request) => {
    const { cause, boot_id = null } = request.body.maintenance;
    return answered(await hosts.maintenance.beginOwn(hostOf(request, hosts.ca).id, { cause, bootId: boot_id }));
  });
  app.delete('/v1/hosts/self/maintenance', endOwn, async (request, reply) => {
    const { shutdown_only: shutdownOnly, except_boot_id: exceptBootId = null } = request.query;
    await hosts.maintenance.endOwn(hostOf(request, hosts.ca).id, {
      shutdownOnly: shutdownOnly !== undefined,
      exceptBootId,
    });
    return reply.code(204).send();
  });
  app.get('/v1/hosts/:id/maintenance', show, async (request) =>
    answered(await hosts.maintenance.show(callerOf(request), request.params.id)),
  );
  app.put('/v1/hosts/:id/maintenance', begin, async (request) => {
    const { reason = null } = request.body.maintenance;
    return answered(await hosts.maintenance.begin(callerOf(request), request.params.id, { reason }));
  });
  app.delete('/v1/hosts/:id/maintenance', end, async (request, reply) => {
    await hosts.maintenance.end(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

/** As it is answered; for the command line too. */
export const maintenanceDocument = ({ host_name: host, by, boot_id: _, servers, ...found }: Maintenance) => ({
  ...{ ...found, host, by: by?.user_name ?? null },
  servers: servers.map(leftDocument),
});

const leftDocument = ({ progress, to, why, retry_at: at, ...server }: LeftServer) => ({
  ...server,
  to_host: to,
  progress: progress && { transferred_bytes: progress.transferred, total_bytes: progress.total },
  why: why && { reason: why.reason, message: sentenceOf(why, novaSentences) ?? why.message, cure: cureOf(why) },
  retry_at: at?.toISOString() ?? null,
});

const cures: Partial<Record<Reason, string>> = {
  server_with_tpm: 'its TPM is on this host alone: stop it for the time, or delete it',
  local_volumes: 'do with the volume what the message says, or detach it',
  move_of_medium: 'stop it for the time, or delete it',
  move_of_rescued: 'end the rescue (openstack server unrescue)',
  source_host_away: 'bring the host back: what it has can be had from nowhere else',
  source_host_unable: 'upgrade the host',
  no_able_host: 'upgrade another host, or add one',
  server_never_placed: 'wait: it is being made',
};

function cureOf(why: CloudError): string {
  const known = cures[why.reason];
  if (known !== undefined) return known;
  if (why.reason === 'no_other_host') return 'make room on another host, or add one: see the message';
  const { attribute, value } = why.fields as { attribute?: string; value?: string };
  if (attribute === 'task_state') return `wait for what is under way (${value})`;
  if (value === 'resized') return 'confirm or revert its resize (openstack server resize confirm)';
  if (value === 'suspended') return 'resume it, or shelve it';
  if (value === 'rescued') return cures.move_of_rescued!;
  if (value === 'soft-delete') return 'delete it for good, or restore it';
  return 'see its fault, and stop, rebuild or delete it (openstack server show)';
}
