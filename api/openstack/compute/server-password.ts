/** /servers/{id}/os-server-password: what a guest posted of its password to the metadata service; as a rule sealed with its key pair. */
import type { ServerService } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { serverIdOf } from './servers.ts';

const contracts = {
  show: {
    summary: 'Show the password that a server posted; empty: none',
    rights: 'reader',
    answers: { 200: a.record({ password: a.text }) },
  },
  clear: {
    summary: 'Clear the password that a server posted; it may post another',
    rights: 'member',
    answers: { 204: null },
  },
} as const;

export function serverPasswordRoutes(app: Boundary, servers: ServerService): void {
  const path = '/servers/:id/os-server-password' as const;
  app.get(path, contracts.show, async (request) => {
    const { guest_password: password } = await servers.get(callerOf(request), serverIdOf(request));
    return { password: password ?? '' };
  });
  app.delete(path, contracts.clear, async (request, reply) => {
    await servers.clearGuestPassword(callerOf(request), serverIdOf(request));
    return reply.code(204).send();
  });
}
