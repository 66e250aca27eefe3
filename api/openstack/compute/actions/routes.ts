import type { ServerService } from '../../../../control/compute/server/index.ts';
import type { Boundary } from '../../../boundary/boundary.ts';
import { callerOf } from '../../common/authenticate.ts';
import { serverIdOf } from '../servers.ts';
import { actions } from './table.ts';

export function serverActionRoutes(app: Boundary, servers: ServerService): void {
  const contract = { summary: 'Act on a server', rights: 'caller' } as const;
  app.actions('/servers/:id/action', contract, actions, async (request, reply, { action, argument }) => {
    reply.code(202);
    const call = { servers, caller: callerOf(request), id: serverIdOf(request), request, reply };
    return (await action.run(call, argument)) ?? reply.send();
  });
}
