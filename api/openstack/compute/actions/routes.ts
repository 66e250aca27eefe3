import type { Boundary } from '../../../boundary/boundary.ts';
import { callerOf } from '../../common/authenticate.ts';
import { serverIdOf } from '../servers.ts';
import type { ActionCall } from './action.ts';
import { actions } from './table.ts';

export function serverActionRoutes(
  app: Boundary,
  services: Pick<ActionCall, 'servers' | 'floatingIps' | 'consoles'>,
): void {
  const contract = { summary: 'Act on a server', rights: 'caller' } as const;
  app.actions('/servers/:id/action', contract, actions, async (request, reply, { action, argument }) => {
    reply.code(202);
    const call = { ...services, caller: callerOf(request), id: serverIdOf(request), request, reply };
    return (await action.run(call, argument)) ?? reply.send();
  });
}
