import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { UserId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import type { NewApplicationCredential } from '../../../../control/identity/application-credentials.ts';
import type { AccessRule } from '../../../../control/kit/caller.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import { anyId, body, collection, flag, nullable, params, query, type Routes, text, wrapped } from '../resource.ts';
import { accessRuleView, credentialView } from '../views.ts';

const short = Type.String({ minLength: 1, maxLength: 255 });
const properties = {
  name: text,
  description: nullable(text),
  secret: nullable(text),
  expires_at: nullable(text),
  unrestricted: nullable(flag),
  roles: nullable(
    Type.Array(Type.Union([Type.Object({ id: short }), Type.Object({ name: short })]), { maxItems: 1000 }),
  ),
  access_rules: nullable(
    Type.Array(
      Type.Union([
        Type.Object({ id: short }, { additionalProperties: false }),
        Type.Object(
          {
            service: short,
            method: Type.Union(
              ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((name) => Type.Literal(name)),
            ),
            path: Type.String({ minLength: 1, maxLength: 128, pattern: '^/' }),
          },
          { additionalProperties: true },
        ),
      ]),
      { maxItems: 100 },
    ),
  ),
};

interface Given {
  name: string;
  description?: string | null;
  secret?: string | null;
  expires_at?: string | null;
  unrestricted?: boolean | null;
  roles?: ({ id: string } | { name: string })[] | null;
  access_rules?: ({ id: string } | AccessRule)[] | null;
}

const wantedOf = (given: Given): NewApplicationCredential => ({
  name: given.name,
  description: given.description ?? null,
  secret: given.secret ? new Secret(given.secret) : null,
  expiresAt: given.expires_at ?? null,
  unrestricted: given.unrestricted ?? false,
  roles: given.roles?.map((role) => ('id' in role ? { id: anyId(role.id) } : { name: role.name })) ?? null,
  accessRules:
    given.access_rules?.map((rule) =>
      'id' in rule && !('path' in rule)
        ? { id: anyId(rule.id) }
        : {
            service: (rule as AccessRule).service,
            method: (rule as AccessRule).method,
            path: (rule as AccessRule).path,
          },
    ) ?? null,
});

const userOf = (request: FastifyRequest): UserId => anyId(params(request).id!);
const one = (request: FastifyRequest): [UserId, string] => [userOf(request), anyId(params(request).one!)];

export const applicationCredentialRoutes: Routes = (app, deps) => {
  const { applicationCredentials: credentials } = deps.identity;
  const view = credentialView(deps);
  const url = '/v3/users/:id/application_credentials';

  app.post(url, body(wrapped('application_credential', properties, ['name'])), async (request, reply) => {
    const given = (request.body as { application_credential: Given }).application_credential;
    if (given.secret === '') throw new Refusal('invalid', 'a secret can not be empty');
    const { credential, secret } = await credentials.create(callerOf(request), userOf(request), wantedOf(given));
    // The only time that anyone sees it.
    return reply.code(201).send({ application_credential: { ...view(credential), secret: secret.reveal() } });
  });

  app.route({
    method: ['GET', 'HEAD'],
    url,
    handler: async (request) => {
      const rows = await credentials.list(callerOf(request), userOf(request), { name: query(request).name });
      return collection(deps, request, 'application_credentials', rows, view);
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: `${url}/:one`,
    handler: async (request) => ({
      application_credential: view(await credentials.get(callerOf(request), ...one(request))),
    }),
  });

  app.delete(`${url}/:one`, async (request, reply) => {
    await credentials.delete(callerOf(request), ...one(request));
    return reply.code(204).send();
  });

  const rules = '/v3/users/:id/access_rules';
  app.route({
    method: ['GET', 'HEAD'],
    url: rules,
    handler: async (request) => {
      const rows = await credentials.accessRules(callerOf(request), userOf(request));
      return collection(deps, request, 'access_rules', rows, accessRuleView(deps, userOf(request)));
    },
  });
  app.route({
    method: ['GET', 'HEAD'],
    url: `${rules}/:one`,
    handler: async (request) => ({
      access_rule: accessRuleView(
        deps,
        userOf(request),
      )(await credentials.accessRule(callerOf(request), ...one(request))),
    }),
  });
  app.delete(`${rules}/:one`, async (request, reply) => {
    await credentials.deleteAccessRule(callerOf(request), ...one(request));
    return reply.code(204).send();
  });
};
