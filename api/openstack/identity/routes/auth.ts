/** Tokens, and what their bearers may scope to. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { CloudError } from '../../../../contract/errors.ts';
import { InsufficientFactors } from '../../../../control/identity/factors.ts';
import type { TokenEntry } from '../../../../control/identity/token-cache.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { explainLogin, loginBody, readLogin } from '../login.ts';
import { asks, collection, type Deps, query, type Routes } from '../resource.ts';
import { domainName, domainView, projectView, tokenDocument, tokenTime, tokenView } from '../views.ts';

const subjectOf = (request: FastifyRequest): string => {
  const token = request.headers['x-subject-token'];
  if (typeof token !== 'string' || token === '') {
    throw new Refusal('invalid', 'Expecting to find X-Subject-Token in the headers of the request.');
  }
  return token;
};

async function sendToken(deps: Deps, request: FastifyRequest, reply: FastifyReply, token: string, entry: TokenEntry) {
  reply.header('x-subject-token', token).header('vary', 'X-Auth-Token').type('application/json');
  return 'nocatalog' in query(request)
    ? reply.send({ token: await tokenView(deps, entry, false) })
    : reply.send(await tokenDocument(deps, entry));
}

/** As Keystone where the proofs are right and too few: 401 with a receipt for them, and the rules that they are a part of. */
async function sendReceipt(deps: Deps, reply: FastifyReply, insufficient: InsufficientFactors) {
  const { receipt, text } = await deps.identity.receipt(insufficient);
  return reply
    .code(401)
    .header('openstack-auth-receipt', text)
    .header('vary', 'X-Auth-Token')
    .send({
      receipt: {
        methods: receipt.methods,
        user: { ...insufficient.user, domain: domainName(deps)(insufficient.user.domain) },
        issued_at: tokenTime(receipt.issuedAt),
        expires_at: tokenTime(receipt.expiresAt),
      },
      required_auth_methods: insufficient.required,
    });
}

/**
 * As Keystone: a service that does not say that it follows access rules is not told of a token that has some; it would let
 * everything through.
 * @throws CloudError `not_found`
 */
function requireUnderstanding(request: FastifyRequest, { authorization }: TokenEntry): void {
  const understood = Number(request.headers['openstack-identity-access-rules'] ?? 0) >= 1;
  if (authorization.applicationCredential?.accessRules && !understood) {
    throw new CloudError('not_found', 'token_not_found', {});
  }
}

const contracts = {
  login: {
    summary: 'Log in: have a token issued',
    rights: 'open',
    body: loginBody,
    query: asks('nocatalog'),
    answers: { 201: a.token, 401: Type.Union([a.keystoneFault, a.receipt]) },
    explain: { body: explainLogin },
  },
  show: lists('Show the token of X-Subject-Token', 'caller', a.token, 'nocatalog'),
  revoke: quiet('Revoke the token of X-Subject-Token', 'caller'),
  catalog: shows('Show the catalogue', 'caller', a.catalogueAnswer),
  projects: shows('List the projects to scope to', 'caller', a.many('projects', a.project)),
  domains: shows('List the domains to scope to', 'caller', a.many('domains', a.domain)),
  system: shows('Ask whether the system can be scoped to', 'caller', a.systems),
} as const;

export const authRoutes: Routes = (app, deps) => {
  const { identity } = deps;

  app.post('/v3/auth/tokens', contracts.login, async (request, reply) => {
    const receipt = request.headers['openstack-auth-receipt'];
    const asked = { ...readLogin(request.body, identity.defaultDomainId), address: request.ip };
    if (typeof receipt === 'string') asked.receipt = receipt;
    try {
      const { token, entry } = await identity.login(asked, request.id);
      return sendToken(deps, request, reply.code(201), token, entry);
    } catch (error) {
      if (error instanceof InsufficientFactors) return sendReceipt(deps, reply, error);
      throw error;
    }
  });

  app.read('/v3/auth/tokens', contracts.show, async (request, reply) => {
    const token = subjectOf(request);
    const entry = await identity.show(callerOf(request), token);
    requireUnderstanding(request, entry);
    return sendToken(deps, request, reply, token, entry);
  });

  app.delete('/v3/auth/tokens', contracts.revoke, async (request, reply) => {
    await identity.revoke(callerOf(request), subjectOf(request));
    return reply.code(204).send();
  });

  app.read('/v3/auth/catalog', contracts.catalog, async (request) => {
    const { userId, projectId, domainId, system } = callerOf(request);
    if (!projectId && !domainId && !system) {
      throw new Refusal('forbidden', 'the catalogue needs a token with a scope');
    }
    return {
      catalog: await identity.catalogue.document({ userId, projectId }),
      links: { self: `${deps.base}/v3/auth/catalog`, previous: null, next: null },
    };
  });

  app.read('/v3/auth/projects', contracts.projects, async (request) => {
    const caller = callerOf(request);
    const rows = await identity.projects.forUser(caller, caller.userId, { enabledOnly: true });
    return collection(deps, request, 'projects', rows, projectView(deps));
  });

  app.read('/v3/auth/domains', contracts.domains, async (request) =>
    collection(deps, request, 'domains', await identity.domains.forUser(callerOf(request)), domainView(deps)),
  );

  app.read('/v3/auth/system', contracts.system, async (request) => ({
    system: (await identity.assignments.hasSystemRole(callerOf(request))) ? [{ all: true }] : [],
    links: { self: `${deps.base}/v3/auth/system`, previous: null, next: null },
  }));
};
