/** X-Auth-Token to Caller, for every OpenStack dialect (as keystonemiddleware's auth_token does it). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { requireAccess } from './access-rules.ts';

/** What the dialects need of the identity service. */
export interface Authenticator {
  /** @throws CloudError `unauthenticated` for a forged, expired or revoked token */
  authenticate(token: string, requestId: string): Promise<Caller>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by {@link authenticateAll}; null only on routes that are open to all. */
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** A route that answers without a token (version documents, token issue). */
    open?: boolean;
  }
}

/** Every route of this plugin's scope needs a token, unless its config says `open`. */
export function authenticateAll(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.open) return;
    const token = request.headers['x-auth-token'];
    if (typeof token !== 'string' || token === '') {
      throw new CloudError('unauthenticated', 'authentication_required', {});
    }
    const caller = await authenticator.authenticate(token, request.id);
    if (caller.accessRules) requireAccess(caller.accessRules, request);
    request.caller = caller;
  });
}

/** The caller of a route that is not open. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new CloudError('unauthenticated', 'authentication_required', {});
  return request.caller;
}
