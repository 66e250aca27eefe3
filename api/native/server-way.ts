/** GET /native/v1/servers/{id}/way: a server on its way to another host, how far it is, and when it will be there. Whoever sees the server sees it. */
import { Type } from 'typebox';
import { parseId, type ServerId } from '../../contract/ids.ts';
import { wayOfServer } from '../../control/compute/server/index.ts';
import { notFound } from '../../control/kit/refusal.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const number = Type.Number();
const orNull = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);

const memory = Type.Object(
  {
    ...{ total_bytes: number, remaining_bytes: number },
    sent_bytes: Type.Number({ description: 'What was sent again counts again' }),
    dirtied_bytes_per_second: Type.Number({ description: 'What the guest writes to' }),
    throughput_bytes_per_second: number,
    throttle_percent: Type.Integer({ description: 'Of the processors’ time, taken away so that it ends' }),
  },
  exact,
);
const forecast = Type.Object(
  {
    remaining_ms: orNull(Type.Number({ description: 'Until the memory is there; null: not at this rate' })),
    why: text,
    fix: orNull(text),
  },
  exact,
);
const way = Type.Object(
  {
    ...{ server_id: text, migration_id: text },
    kind: Type.Enum(['migration', 'live-migration', 'resize']),
    phase: Type.Enum(['preparing', 'copying', 'handing-over', 'cancelling']),
    cause: orNull(Type.Enum(['maintenance', 'rebalance'], { description: 'Null: a person asked for it' })),
    waiting_for: text,
    forced: Type.Boolean({ description: 'The guest is held still until the rest of its memory is there' }),
    disks: orNull(Type.Object({ total_bytes: number, copied_bytes: number }, exact)),
    memory: orNull(memory),
    forecast: orNull(forecast),
    created_at: text,
    error: orNull(Type.Object({ code: text, message: text }, { ...exact, description: 'For administrators' })),
    from_host: orNull(Type.String({ description: 'For administrators' })),
    to_host: orNull(Type.String({ description: 'For administrators' })),
  },
  { ...exact, title: 'ServerWay' },
);

const show = {
  summary: 'Show how far a server is on its way to another host',
  rights: 'caller',
  answers: {
    200: Type.Object({ way: Type.Union([way, Type.Null()], { description: 'Null: it stays where it is' }) }, exact),
  },
} as const;

export function serverWayRoutes(app: Boundary, { database }: Pick<NativeDeps, 'database'>): void {
  app.get('/v1/servers/:id/way', show, async (request) => {
    const id = parseId<ServerId>(request.params.id);
    if (!id) throw notFound('server', request.params.id);
    const found = await wayOfServer(database, callerOf(request), id);
    if (!found) return { way: null };
    const { id: migrationId, disks, memory: sent, created_at: createdAt, ...rest } = found;
    return {
      way: {
        ...{ server_id: id, migration_id: migrationId, ...rest, created_at: createdAt.toISOString() },
        disks: disks && { total_bytes: disks.total, copied_bytes: disks.copied },
        memory: sent
          ? {
              ...{ total_bytes: sent.total, remaining_bytes: sent.remaining, sent_bytes: sent.sent },
              ...{ dirtied_bytes_per_second: sent.dirtied, throughput_bytes_per_second: sent.throughput },
              throttle_percent: sent.throttle,
            }
          : null,
      },
    };
  });
}
