/**
 * GET /native/v1/consolidation: which hosts are not needed, which are switched off, and why the others stay. POST /native/v1/hosts/{id}/wake: one that is in standby shall be there.
 * For administrators.
 */
import { Type } from 'typebox';
import {
  type ConsolidationService,
  type ConsolidationShown,
  standbyState,
} from '../../control/compute/consolidation/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);
const share = Type.Number({ description: 'Of the scarcest resource, what is given away or kept, 0 to 1' });

const move = Type.Object({ server_id: text, name: text, project_id: text, to_host: text }, exact);
const standby = Type.Object(
  {
    host: text,
    state: Type.Enum(['emptying', 'shutting_down', 'standby', 'waking', 'overdue'], {
      description: 'overdue: it was turned on, and does not come back',
    }),
    ...{ reason: text, wake_reason: orNull, error: orNull, since: text, off_at: orNull },
    wake_seconds: Type.Union([Type.Integer(), Type.Null()], {
      description: 'From the word to its BMC until it was heard, the last time',
    }),
  },
  exact,
);
const document = Type.Object(
  {
    policy: Type.Enum(['off', 'propose', 'do'], { description: 'Setting consolidate; off: nothing is proposed' }),
    sleep_below: Type.Number({ description: 'A host may sleep if no more of the others would be given away' }),
    wake_above: Type.Number({ description: 'One is woken where more of those that are awake is given away' }),
    zones: Type.Array(
      Type.Object({ availability_zone: text, awake: Type.Integer(), standby: Type.Integer(), share }, exact),
    ),
    sleep: Type.Union([
      Type.Object(
        { host: text, share, moves: Type.Array(move) },
        { ...exact, description: 'The one that is not needed' },
      ),
      Type.Null(),
    ]),
    wake: Type.Array(Type.Object({ host: text, share }, exact), { description: 'Those that are needed now' }),
    stays: Type.Array(
      Type.Object(
        {
          host: text,
          why: Type.String({
            description:
              'no_bmc, no_uuid_of_its_own, has_control, came_lately, has_volumes, in_quarantine, only_one_with_an_image, only_one_on_a_network, server_that_stays, last_of_its_zone, needed, no_host_for_a_server, refused_lately, others_first',
          }),
        },
        exact,
      ),
    ),
    standby: Type.Array(standby, { description: 'Hosts on their way to standby, there, or on their way back' }),
  },
  { ...exact, title: 'Consolidation' },
);
const show = {
  summary: 'Which hosts are not needed, and which are in standby',
  rights: 'admin',
  answers: { 200: Type.Object({ consolidation: document }, exact) },
} as const;
const wake = { summary: 'Wake a host that is in standby', rights: 'admin', answers: { 202: null } } as const;

export function consolidationRoutes(app: Boundary, consolidation: ConsolidationService): void {
  app.get('/v1/consolidation', show, async (request) => ({
    consolidation: documentOf(await consolidation.show(callerOf(request))),
  }));
  app.post('/v1/hosts/:id/wake', wake, async (request, reply) => {
    await consolidation.wake(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
}

function documentOf({ policy, sleepBelow, wakeAbove, zones, sleep, wake, stays, standby, hosts }: ConsolidationShown) {
  const name = (id: string) => hosts.get(id) ?? id;
  return {
    ...{ policy, sleep_below: sleepBelow, wake_above: wakeAbove, zones },
    sleep: sleep && {
      ...{ host: name(sleep.host_id), share: sleep.share },
      moves: sleep.moves.map(({ server, to }) => ({
        ...{ server_id: server.id, name: server.name, project_id: server.project_id, to_host: name(to) },
      })),
    },
    wake: wake.map(({ host_id, share }) => ({ host: name(host_id), share })),
    stays: stays.map(({ host_id, why }) => ({ host: name(host_id), why })),
    standby: standby.map((row) => ({
      ...{ host: name(row.host_id), state: standbyState(row), reason: row.reason, wake_reason: row.wake_reason },
      ...{ error: row.error, since: row.created_at.toISOString(), off_at: row.off_at?.toISOString() ?? null },
      wake_seconds: row.wake_seconds,
    })),
  };
}
