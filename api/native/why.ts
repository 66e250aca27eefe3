/**
 * GET /native/v1/servers/{id}/why: why a server is where it is, or nowhere, and what would help. Members read what was in the way, how many
 * hosts said it, and what they can do; hosts by name and in numbers, and whose word keeps one closed, are for administrators.
 */
import { Type } from 'typebox';
import { parseId, type ServerId } from '../../contract/ids.ts';
import { type PlacementWhy, whyOfServer } from '../../control/compute/server/index.ts';
import { isAdmin } from '../../control/kit/caller.ts';
import { notFound } from '../../control/kit/refusal.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);
const number = Type.Number();

const check = Type.Object(
  {
    check: Type.String({ description: 'A reason of a refusal, or vcpus, memory_mib, disk_gib of one that is passed' }),
    ok: Type.Boolean(),
    wanted: Type.Optional(Type.Union([number, text, Type.Array(text)])),
    there: Type.Optional(Type.Union([number, text, Type.Array(text), Type.Null()])),
    unit: Type.Optional(text),
    said: Type.Optional(
      Type.Object(
        {
          reason: orNull,
          by: Type.Union([Type.Object({ user_id: text, user_name: text, at: text }, exact), Type.Null()]),
        },
        { ...exact, description: 'Whose word it is' },
      ),
    ),
  },
  exact,
);
const alternative = Type.Object(
  {
    fix: Type.String({ description: 'What who asks, or they with the administrators, can do' }),
    host_id: Type.Optional(text),
    host: Type.Optional(text),
    change: Type.Optional(Type.String({ description: 'What administrators can do' })),
  },
  exact,
);
const placement = {
  outcome: Type.Enum(['placed', 'no_capacity']),
  message: text,
  fix: Type.Union([Type.String({ description: 'The nearest way out' }), Type.Null()]),
  refusals: Type.Record(text, Type.Integer(), { description: 'How many hosts said each' }),
  alternatives: Type.Array(alternative, { description: 'Ways out, nearest first' }),
  hosts: Type.Optional(Type.Integer()),
  request: Type.Optional(Type.Unknown({ description: 'What was asked of placement' })),
  candidates: Type.Optional(
    Type.Array(
      Type.Object(
        {
          ...{ host_id: text, host: text, chosen: Type.Boolean(), fits: Type.Boolean() },
          score: Type.Union([number, Type.Null()]),
          checks: Type.Array(check),
        },
        exact,
      ),
      { description: 'Best first; not all of many' },
    ),
  ),
};
const decided = Type.Object({ ...placement, id: text, kind: text, at: text }, exact);
const now = Type.Object(placement, exact);
const answer = Type.Object(
  {
    why: Type.Object(
      {
        server_id: text,
        host_id: Type.Optional(orNull),
        decided: Type.Union([decided, Type.Null()], { description: 'The last decision; null: none that is kept' }),
        now: Type.Union([now, Type.Null()], { description: 'The same question now; null where it has a host' }),
      },
      { ...exact, title: 'Why' },
    ),
  },
  exact,
);

const why = { summary: 'Why a server is where it is, or nowhere', rights: 'caller', answers: { 200: answer } } as const;

export function whyRoutes(app: Boundary, { database }: Pick<NativeDeps, 'database'>): void {
  app.get('/v1/servers/:id/why', why, async (request) => {
    const caller = callerOf(request);
    const id = parseId<ServerId>(request.params.id);
    if (!id) throw notFound('server', request.params.id);
    const { hostId, decided, now } = await whyOfServer(database, caller, id);
    const all = isAdmin(caller);
    return {
      why: {
        ...{ server_id: id, ...(all && { host_id: hostId }) },
        decided: decided && {
          ...{ id: decided.id, kind: decided.kind, at: decided.at.toISOString() },
          ...document(decided, { all }),
        },
        now: now && document(now, { all }),
      },
    };
  });
}

function document(found: PlacementWhy, { all }: { all: boolean }) {
  const { outcome, message, fix, refusals, alternatives } = found;
  return {
    ...{ outcome, message, fix: fix === '' ? null : fix, refusals },
    alternatives: alternatives.map(({ host_id, name, change, ...way }) => ({
      ...{ fix: way.fix, ...(all && { host_id, host: name, change }) },
    })),
    ...(all && { hosts: found.hosts, request: found.request, candidates: candidates(found) }),
  };
}

const sizes = { vcpus: 'vcpus', memory_mib: 'MiB', disk_gib: 'GiB' } as const;
const refusedFor = { vcpus: 'too_few_vcpus', memory_mib: 'too_little_memory', disk_gib: 'too_little_disk' } as const;

const candidates = ({ verdicts, request, chosenHostId }: PlacementWhy) =>
  verdicts.map(({ host_id, name: host, refusals, failed = [], free, score }) => {
    const passed = (Object.keys(sizes) as (keyof typeof sizes)[]).filter(
      (size) => !refusals.includes(refusedFor[size]),
    );
    return {
      ...{ host_id, host, chosen: host_id === chosenHostId, fits: refusals.length === 0, score },
      checks: [
        ...failed.map((one) => ({ ...one, ok: false })),
        ...passed.map((size) => ({
          check: size,
          ok: true,
          wanted: request[size],
          there: free[size],
          unit: sizes[size],
        })),
      ],
    };
  });
