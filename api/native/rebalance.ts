/** GET /native/v1/rebalance: which servers should go where so that no host is much fuller than the others, why, and which stay and why. For administrators. */
import { Type } from 'typebox';
import { sentenceOf } from '../../contract/errors.ts';
import type { Imbalance, Rebalance, RebalanceService } from '../../control/compute/rebalance/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { novaSentences } from '../openstack/compute/sentences.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);

const imbalance = Type.Object(
  {
    host: text,
    resource: Type.Enum(['vcpus', 'memory_mib', 'disk_gib']),
    share: Type.Number({ description: 'Of what the host has to give, 0 to 1' }),
    mean: Type.Number({ description: 'The same of all hosts together' }),
    above: Type.Number({ description: 'The one less the other' }),
  },
  { ...exact, title: 'Imbalance', description: 'The host that is furthest above all together, and in what' },
);
const move = Type.Object(
  {
    ...{ server_id: text, name: text, project_id: text, from_host: text, to_host: text },
    why: imbalance,
    gain: Type.Number({ description: 'How much nearer to even: a sum of squares of shares' }),
    cost_mib: Type.Integer({ description: 'Memory and disk that are copied at most' }),
  },
  exact,
);
const stay = Type.Object(
  {
    ...{ server_id: text, name: text, host: text },
    why: Type.String({ description: 'moved_recently, packed, no_host, no_gain, or why the mover refuses it' }),
    message: orNull,
  },
  exact,
);
const document = Type.Object(
  {
    policy: Type.Enum(['off', 'propose', 'do'], { description: 'Setting rebalance; off: nothing is proposed' }),
    upper: Type.Number({ description: 'A host further above than this is relieved' }),
    lower: Type.Number({ description: 'Until it is no further above than this' }),
    before: Type.Union([imbalance, Type.Null()]),
    after: Type.Union([imbalance, Type.Null()]),
    moves: Type.Array(move, { description: 'In this order, one at a time' }),
    stays: Type.Array(stay),
  },
  { ...exact, title: 'Rebalance' },
);
const show = {
  summary: 'What would make hosts even',
  rights: 'admin',
  answers: { 200: Type.Object({ rebalance: document }, exact) },
} as const;

export function rebalanceRoutes(app: Boundary, rebalance: RebalanceService): void {
  app.get('/v1/rebalance', show, async (request) => ({
    rebalance: documentOf(await rebalance.show(callerOf(request))),
  }));
}

function documentOf({ hosts, before, after, moves, stays, refused, ...plain }: Rebalance) {
  const name = (id: string) => hosts.get(id) ?? id;
  const told = ({ host_id, ...numbers }: Imbalance) => ({ host: name(host_id), ...numbers });
  return {
    ...plain,
    before: before && told(before),
    after: after && told(after),
    moves: moves.map(({ server, to, why, gain, cost_mib }) => ({
      ...{ server_id: server.id, name: server.name, project_id: server.project_id },
      ...{ from_host: name(server.host_id), to_host: name(to), why: told(why), gain, cost_mib },
    })),
    stays: stays.map(({ server, why }) => {
      const refusal = refused.get(server.id);
      return {
        ...{ server_id: server.id, name: server.name, host: name(server.host_id) },
        ...{
          why: refusal?.reason ?? why,
          message: refusal ? (sentenceOf(refusal, novaSentences) ?? refusal.message) : null,
        },
      };
    }),
  };
}
