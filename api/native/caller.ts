/** Tokens in the native dialect: as `Authorization: Bearer` or, as OpenStack's clients send them, `X-Auth-Token`. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CloudError } from '../../contract/errors.ts';
import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import { Refusal } from '../boundary/refusal.ts';
import { requireAccess } from '../openstack/common/access-rules.ts';
import type { Authenticator } from '../openstack/common/authenticate.ts';

export interface NativeAuthenticator extends Authenticator {
  /** Called when someone's rights may have changed. Answers the way to stop that. */
  onRightsChange(listener: () => void): () => void;
}

export function tokenOf(request: FastifyRequest): string {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const token = bearer ?? request.headers['x-auth-token'];
  if (typeof token !== 'string' || token === '') throw new CloudError('unauthenticated', 'authentication_required', {});
  return token;
}

export function authenticateNative(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open) return;
    const caller = await authenticator.authenticate(tokenOf(request), request.id);
    if (caller.accessRules) requireAccess(caller.accessRules, request);
    request.caller = caller;
  });
}

/**
 * The project whose things the caller may read here; undefined is every project's.
 * @throws CloudError `forbidden`
 */
export function projectToRead(caller: Caller, allProjects: boolean): string | undefined {
  if (allProjects) {
    if (!isAdmin(caller))
      throw new Refusal('forbidden', 'reading all projects needs the role admin', { details: { needs: 'admin' } });
    return undefined;
  }
  if (!caller.projectId) {
    throw new Refusal(
      'forbidden',
      'this needs a token that is scoped to a project, or all_projects and the role admin',
    );
  }
  return caller.projectId;
}
