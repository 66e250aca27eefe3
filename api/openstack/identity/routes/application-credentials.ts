import { Type } from 'typebox';
import type { UserId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import type { NewApplicationCredential } from '../../../../control/identity/application-credentials.ts';
import type { AccessRule } from '../../../../control/kit/caller.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, flag, nullable, query, type Routes, text, type With, wrapped } from '../resource.ts';
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

const userOf = (request: With): UserId => anyId(request.params.id);
const one = (request: With<'id' | 'one'>): [UserId, string] => [userOf(request), anyId(request.params.one)];

const noun = 'application_credential';
const contracts = {
  create: {
    summary: 'Make an application credential',
    rights: 'caller',
    body: wrapped(noun, properties, ['name']),
    answers: { 201: a.one(noun, a.newCredential) },
  },
  list: lists('List application credentials', 'caller', a.many(`${noun}s`, a.credential), 'name'),
  show: shows('Show an application credential', 'caller', a.one(noun, a.credential)),
  remove: quiet('Remove an application credential', 'caller'),
  rules: lists('List access rules', 'caller', a.many('access_rules', a.accessRule)),
  rule: shows('Show an access rule', 'caller', a.one('access_rule', a.accessRule)),
  removeRule: quiet('Remove an access rule', 'caller'),
} as const;

export const applicationCredentialRoutes: Routes = (app, deps) => {
  const { applicationCredentials: credentials } = deps.identity;
  const view = credentialView(deps);
  const url = '/v3/users/:id/application_credentials';

  app.post(url, contracts.create, async (request, reply) => {
    const given = request.body.application_credential as unknown as Given;
    if (given.secret === '') throw new Refusal('invalid', 'a secret can not be empty');
    const { credential, secret } = await credentials.create(callerOf(request), userOf(request), wantedOf(given));
    // The only time that anyone sees it.
    return reply.code(201).send({ application_credential: { ...view(credential), secret: secret.reveal() } });
  });

  app.read(url, contracts.list, async (request) => {
    const rows = await credentials.list(callerOf(request), userOf(request), { name: query(request).name });
    return collection(deps, request, 'application_credentials', rows, view);
  });

  app.read(`${url}/:one`, contracts.show, async (request) => ({
    application_credential: view(await credentials.get(callerOf(request), ...one(request))),
  }));

  app.delete(`${url}/:one`, contracts.remove, async (request, reply) => {
    await credentials.delete(callerOf(request), ...one(request));
    return reply.code(204).send();
  });

  const rules = '/v3/users/:id/access_rules';
  app.read(rules, contracts.rules, async (request) => {
    const rows = await credentials.accessRules(callerOf(request), userOf(request));
    return collection(deps, request, 'access_rules', rows, accessRuleView(deps, userOf(request)));
  });
  app.read(`${rules}/:one`, contracts.rule, async (request) => ({
    access_rule: accessRuleView(
      deps,
      userOf(request),
    )(await credentials.accessRule(callerOf(request), ...one(request))),
  }));
  app.delete(`${rules}/:one`, contracts.removeRule, async (request, reply) => {
    await credentials.deleteAccessRule(callerOf(request), ...one(request));
    return reply.code(204).send();
  });
};
