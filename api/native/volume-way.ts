/** GET /native/v1/volumes/{id}/way: a volume on its way to another host, and how far it is. Whoever sees the volume sees it. */
import { Type } from 'typebox';
import { volumeWay } from '../../control/storage/volume/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);

const way = Type.Object(
  {
    volume_id: text,
    kind: Type.Enum(['bring', 'carry', 'migrate', 'retype'], {
      description: 'bring: to the server that shall have it; carry: with the server that has it',
    }),
    server_id: orNull(text),
    copied_bytes: Type.Number({ description: 'Of total_bytes, what has been seen at the target' }),
    total_bytes: Type.Number(),
    waiting_for: orNull(text),
    deadline: orNull(Type.String({ description: 'When it is given up; null: with its server' })),
    to_host: orNull(Type.String({ description: 'For administrators' })),
    to_pool: orNull(Type.String({ description: 'For administrators' })),
  },
  { ...exact, title: 'VolumeWay' },
);

const show = {
  summary: 'Show how far a volume is on its way to another host',
  rights: 'caller',
  answers: {
    200: Type.Object({ way: Type.Union([way, Type.Null()], { description: 'Null: it stays where it is' }) }, exact),
  },
} as const;

export function volumeWayRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/volumes/:id/way', show, async (request) => {
    const { id } = request.params;
    const found = await volumeWay(database.query, callerOf(request), id);
    return { way: found && { volume_id: id, ...found, deadline: found.deadline?.toISOString() ?? null } };
  });
}
