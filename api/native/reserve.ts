/** /native/v1/reserve: the loss of hosts that the cloud keeps room for, what each host keeps, and which servers have none. For administrators. */
import { Type } from 'typebox';
import type { ReserveService } from '../../control/compute/reserve/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const survive = Type.Enum(['none', 'host', 'domain'], {
  description: 'host: the loss of any one host; domain: also of all that share a rack, a feed or a switch with it',
});
const document = Type.Object(
  {
    survive,
    servers: Type.Integer({ description: 'That shall be restarted elsewhere, and could be' }),
    kept: Type.Integer({ description: 'Those of them for which a host keeps room' }),
    hosts: Type.Array(
      Type.Object(
        { id: text, name: text, vcpus: Type.Integer(), memory_mib: Type.Integer(), disk_gib: Type.Integer() },
        exact,
      ),
      { description: 'What each keeps: the most that comes to it by any one loss' },
    ),
    without: Type.Array(Type.Object({ id: text, name: text, project_id: text, host_id: text }, exact), {
      description: 'Servers for which there is no room, the first of them',
    }),
  },
  { ...exact, title: 'Reserve' },
);
const answers = { 200: Type.Object({ reserve: document }, exact) };
const show = { summary: 'What is kept for the loss of a host', rights: 'admin', answers } as const;
const put = {
  summary: 'Say what loss room is kept for',
  rights: 'admin',
  body: Type.Object({ reserve: Type.Object({ survive }, exact) }, exact),
  answers,
} as const;

export function reserveRoutes(app: Boundary, reserve: ReserveService): void {
  app.get('/v1/reserve', show, async (request) => ({ reserve: await reserve.show(callerOf(request)) }));
  app.put('/v1/reserve', put, async (request) => ({
    reserve: await reserve.set(callerOf(request), request.body.reserve.survive),
  }));
}
