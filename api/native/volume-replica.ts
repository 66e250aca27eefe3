/**
 * /native/v1/volumes/{id}/replica: how old the replica of a volume is and why, for whoever sees the volume; what administrators do to it. /native/v1/volume-replicas: all
 * of them, or those that are older than they shall be.
 */
import { Type } from 'typebox';
import { hostLossEvidence } from '../../control/compute/server/index.ts';
import type { ReplicaService, ShownReplica } from '../../control/storage/replication/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const orNull = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const text = Type.String();
const number = Type.Number();

const replica = Type.Object(
  {
    volume_id: text,
    status: Type.Enum(['enabling', 'enabled', 'error'], {
      description:
        'enabling: there is no whole one yet, or its second copy is not in sync yet; error: it is older than it shall be, or its second copy was given up',
    }),
    synchronous: Type.Boolean({ description: 'Each write of the volume’s guest waits for it' }),
    in_sync: Type.Boolean({
      description: 'It has all that the guest was told is written; where no guest has the volume, all that is written',
    }),
    rpo_seconds: Type.Integer({ description: 'It shall never be older' }),
    as_of: orNull(Type.String({ description: 'It holds all that was written until then' })),
    age_seconds: orNull(number),
    idle: Type.Boolean({ description: 'Nothing was written since' }),
    round: orNull(Type.Object({ began_at: text, whole: Type.Boolean({ description: 'All of it is copied' }) }, exact)),
    ...{ rounds: Type.Integer(), last_round_bytes: orNull(number), last_round_seconds: orNull(number) },
    problem: orNull(Type.String({ description: 'Why there is no newer one' })),
    ...{ late_since: orNull(text), failed_over_at: orNull(text) },
    former_kept: Type.Boolean({ description: 'What it held on a host that was lost is still kept there' }),
    host: orNull(Type.String({ description: 'For administrators' })),
    pool: orNull(Type.String({ description: 'For administrators' })),
  },
  { ...exact, title: 'VolumeReplica' },
);
const promotion = Type.Object(
  { volume_id: text, as_of: text, age_seconds: number, evidence: Type.Record(Type.String(), Type.Unknown()) },
  exact,
);

const show = {
  summary: 'Show the replica of a volume',
  rights: 'caller',
  answers: { 200: Type.Object({ replica: orNull(replica) }, exact) },
} as const;
const list = {
  summary: 'List replicas of volumes',
  rights: 'admin',
  query: Type.Object({ late: Type.Optional(Type.Enum(['true', 'false'])) }, exact),
  answers: { 200: Type.Object({ replicas: Type.Array(replica) }, exact) },
} as const;
const failOver = {
  summary: 'Let the replica of a volume take its place, whose host is lost',
  rights: 'admin',
  answers: { 200: Type.Object({ failover: promotion }, exact) },
} as const;
const resync = { summary: 'Copy a volume to its replica anew', rights: 'admin', answers: { 204: null } } as const;
const giveUp = {
  summary: 'Remove what a volume held on a host that was lost',
  rights: 'admin',
  answers: { 204: null },
} as const;

const atMost = 1000;

export function volumeReplicaRoutes(app: Boundary, replicas: ReplicaService): void {
  app.get('/v1/volume-replicas', list, async (request) => {
    const found = await replicas.list(callerOf(request), { late: request.query.late === 'true', limit: atMost });
    return { replicas: found.map(document) };
  });
  app.get('/v1/volumes/:id/replica', show, async (request) => {
    const found = await replicas.get(callerOf(request), request.params.id);
    return { replica: found && document(found) };
  });
  app.post('/v1/volumes/:id/replica/failover', failOver, async (request) => {
    const { evidence, ...done } = await replicas.failOver(callerOf(request), request.params.id, hostLossEvidence);
    return { failover: { ...done, evidence: { ...evidence } } };
  });
  app.post('/v1/volumes/:id/replica/resync', resync, async (request, reply) => {
    await replicas.resync(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
  app.delete('/v1/volumes/:id/replica/former', giveUp, async (request, reply) => {
    await replicas.giveUpFormer(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

const time = (at: Date | null): string | null => at?.toISOString() ?? null;

const document = ({ fault, host_name, pool_name, round_began_at, round_full, ...known }: ShownReplica) => ({
  ...{ volume_id: known.volume_id, status: known.status, rpo_seconds: known.rpo_seconds, idle: known.idle },
  ...{ synchronous: known.synchronous, in_sync: known.in_sync },
  ...{ as_of: time(known.as_of), age_seconds: known.age_seconds, former_kept: known.former_kept },
  round: round_began_at && { began_at: round_began_at.toISOString(), whole: round_full },
  ...{ rounds: known.rounds, last_round_bytes: known.last_round_bytes, last_round_seconds: known.last_round_seconds },
  ...{
    problem: fault?.message ?? null,
    late_since: time(known.late_since),
    failed_over_at: time(known.failed_over_at),
  },
  ...{ host: host_name, pool: pool_name },
});
