/**
 * GET /native/v1/servers/{id}/proof: whether a host can have a server, check by check, now and by what the change log says up to a position. Administrators name the host;
 * for members it is the best one now, without its name, and each check without names and numbers of what there is.
 */
import { Type } from 'typebox';
import { hostLimits } from '../../contract/host/index.ts';
import { parseId, type ServerId } from '../../contract/ids.ts';
import { proveServer } from '../../control/compute/server/index.ts';
import { isAdmin } from '../../control/kit/caller.ts';
import { notFound } from '../../control/kit/refusal.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { parameters } from './query.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const number = Type.Number();

const check = Type.Object(
  {
    check: Type.String({
      description:
        'A reason for which hosts refuse servers; assertion_violated, which refuses nothing: a reachability assertion that is true now and would not be there',
    }),
    ok: Type.Boolean(),
    why: Type.Optional(Type.String({ description: 'Of one that does not hold' })),
    fix: Type.Optional(Type.String({ description: 'What who asks can do, or they with the administrators' })),
    cure: Type.Optional(Type.String({ description: 'What administrators can do' })),
    wanted: Type.Optional(Type.Union([number, text, Type.Array(text)])),
    there: Type.Optional(Type.Union([number, text, Type.Array(text), Type.Null()])),
    unit: Type.Optional(text),
  },
  exact,
);
const assertions = Type.Object(
  {
    concerned: Type.Integer({ description: 'About networks of the server' }),
    looked_at: Type.Integer({ description: 'Of those the ones that hold and that the place of a server can change' }),
    broken: Type.Array(
      Type.Object({ id: text, name: text, kind: Type.Enum(['must', 'never']), project_id: text }, exact),
      { description: 'That would not be true there' },
    ),
  },
  { ...exact, description: 'Reachability assertions that the caller sees' },
);
const answer = Type.Object(
  {
    proof: Type.Object(
      {
        server_id: text,
        host_id: Type.Optional(Type.Union([text, Type.Null()])),
        host: Type.Optional(Type.Union([text, Type.Null()])),
        holds: Type.Boolean(),
        position: Type.String({ description: 'All changes before it are in the proof' }),
        tunnels: Type.Optional(
          Type.Union(
            [
              Type.Object(
                { peers: Type.Integer(), tried: Type.Integer(), faults: Type.Integer(), age_ms: Type.Integer() },
                exact,
              ),
              Type.Null(),
            ],
            {
              description:
                'Tunnels of the host to others that were tried, and how old the oldest try is at most; null: not known',
            },
          ),
        ),
        checks: Type.Array(check),
        assertions: Type.Union([assertions, Type.Null()]),
      },
      { ...exact, title: 'Proof' },
    ),
  },
  exact,
);

const proof = {
  summary: 'Whether a host can have a server',
  rights: 'caller',
  query: parameters({ host: Type.Optional(Type.String({ minLength: 1, maxLength: hostLimits.nameLength })) }),
  answers: { 200: answer },
} as const;

export function proofRoutes(app: Boundary, { database }: Pick<NativeDeps, 'database'>): void {
  app.get('/v1/servers/:id/proof', proof, async (request) => {
    const caller = callerOf(request);
    const id = parseId<ServerId>(request.params.id);
    if (!id) throw notFound('server', request.params.id);
    const { host, holds, position, tunnels, checks, assertions } = await proveServer(database, caller, {
      id,
      host: request.query.host,
    });
    const all = isAdmin(caller);
    return {
      proof: {
        ...{ server_id: id, ...(all && { host_id: host?.id ?? null, host: host?.name ?? null }), holds, position },
        ...(all && { tunnels }),
        assertions: assertions && { ...assertions, broken: assertions.broken.map((one) => ({ ...one })) },
        checks: checks.map(({ check, ok, why, fix, cure, wanted, there, unit }) => ({
          ...{ check, ok, ...(!ok && { why: why!, fix: fix! }) },
          ...(all &&
            !ok && {
              cure: cure!,
              ...(wanted !== undefined && { wanted }),
              ...(there !== undefined && { there }),
              ...(unit && { unit }),
            }),
        })),
      },
    };
  });
}
