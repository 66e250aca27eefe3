/** Log-in with an access token of another identity provider, and what its bearer may scope to (Keystone's older addresses). */
import type { FastifyRequest } from 'fastify';
import { Secret } from '../../../../contract/secret.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { shows } from '../contracts.ts';
import { collection, type Routes } from '../resource.ts';
import { domainView, projectView, tokenDocument } from '../views.ts';

const contracts = {
  login: {
    summary: 'Log in with an access token of an identity provider (Authorization: Bearer)',
    rights: 'open',
    answers: { 201: a.token },
  },
  projects: shows('List the projects to scope to', 'caller', a.many('projects', a.project)),
  domains: shows('List the domains to scope to', 'caller', a.many('domains', a.domain)),
} as const;

/** RFC 6750, section 2.1. */
function bearer(request: FastifyRequest): Secret | undefined {
  const [, token] = /^Bearer +([A-Za-z0-9\-._~+/]{1,8192}=*)$/i.exec(request.headers.authorization ?? '') ?? [];
  return token === undefined ? undefined : new Secret(token);
}

export const federatedAuthRoutes: Routes = (app, deps) => {
  const { identity } = deps;
  const url = '/v3/OS-FEDERATION/identity_providers/:id/protocols/:protocol/auth';
  app.route(['GET', 'POST'], url, contracts.login, async (request, reply) => {
    const { id, protocol } = request.params;
    const { token, entry } = await identity.loginFederated(id, protocol, bearer(request), request.id);
    reply.code(201).header('x-subject-token', token).header('vary', 'X-Auth-Token').type('application/json');
    return reply.send(await tokenDocument(deps, entry));
  });
  app.read('/v3/OS-FEDERATION/projects', contracts.projects, async (request) => {
    const caller = callerOf(request);
    const rows = await identity.projects.forUser(caller, caller.userId, { enabledOnly: true });
    return collection(deps, request, 'projects', rows, projectView(deps));
  });
  app.read('/v3/OS-FEDERATION/domains', contracts.domains, async (request) =>
    collection(deps, request, 'domains', await identity.domains.forUser(callerOf(request)), domainView(deps)),
  );
};
