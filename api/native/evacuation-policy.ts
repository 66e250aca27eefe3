/** /native/v1/servers/{id}/evacuation-policy: what becomes of a server when its host is lost. Whoever may change the server says it. */
import { Type } from 'typebox';
import { parseId, type ServerId } from '../../contract/ids.ts';
import { type EvacuationPolicy, evacuationPolicyOf, setEvacuationPolicy } from '../../control/compute/server/index.ts';
import { notFound } from '../../control/kit/refusal.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';

const exact = { additionalProperties: false } as const;
const fields = {
  restart: Type.Enum(['never', 'elsewhere'], {
    description: 'elsewhere: on another host, as soon as it is certain that its guest does not run where it was',
  }),
  priority: Type.Integer({
    minimum: 0,
    maximum: 1000,
    description: 'The higher is restarted sooner; above 100 by administrators alone',
  }),
  on_lease_end: Type.Enum(['keep', 'pause', 'stop'], {
    description:
      'What its host does with its guest when it has not heard from the cloud for a lease: it runs on, stands still until the cloud is heard again, or ends',
  }),
  disk: Type.Enum(['keep', 'from_image'], {
    description:
      'keep: restarted only where all of its disks can be had elsewhere; from_image: its own disk is made anew of its image, and what was written to it is lost',
  }),
};
const said = Type.Object(
  {
    ...fields,
    warning: Type.Union([Type.String(), Type.Null()], { description: 'What one may not expect of it' }),
  },
  exact,
);
const answer = Type.Object({ evacuation_policy: said }, exact);
const wish = Type.Object({ evacuation_policy: Type.Partial(Type.Object(fields, exact)) }, exact);

const show = {
  summary: 'What becomes of a server when its host is lost',
  rights: 'caller',
  answers: { 200: answer },
} as const;
const put = {
  summary: 'Say what becomes of a server when its host is lost',
  rights: 'member',
  body: wish,
  answers: { 200: answer },
} as const;
const remove = { summary: 'Let a server wait for its host again', rights: 'member', answers: { 204: null } } as const;

export function evacuationPolicyRoutes(app: Boundary, { database }: Pick<NativeDeps, 'database'>): void {
  app.get('/v1/servers/:id/evacuation-policy', show, async (request) => ({
    evacuation_policy: document(await evacuationPolicyOf(database, callerOf(request), serverId(request.params.id))),
  }));
  app.put('/v1/servers/:id/evacuation-policy', put, async (request) => {
    const { evacuation_policy: policy } = request.body;
    return {
      evacuation_policy: document(
        await setEvacuationPolicy(database, callerOf(request), serverId(request.params.id), policy),
      ),
    };
  });
  app.delete('/v1/servers/:id/evacuation-policy', remove, async (request, reply) => {
    await setEvacuationPolicy(database, callerOf(request), serverId(request.params.id), null);
    return reply.code(204).send();
  });
}

function serverId(text: string): ServerId {
  const id = parseId<ServerId>(text);
  if (!id) throw notFound('server', text);
  return id;
}

const document = (policy: EvacuationPolicy) => ({ ...policy, warning: warningOf(policy) });

function warningOf({ restart, on_lease_end }: EvacuationPolicy): string | null {
  if (restart !== 'elsewhere' || on_lease_end !== 'keep') return null;
  return 'Its guest runs on where the cloud can not hear its host: it is restarted elsewhere only when something proves that the host is off, for two of it would run otherwise.';
}
