/**
 * The body of POST /v3/auth/tokens, read into proofs and a scope. The schema tells its forms; what is said of each fault, and
 * which parts a method needs, is read field by field.
 */
import { Type } from 'typebox';
import type { CloudError } from '../../../contract/errors.ts';
import type { DomainId, ProjectId, UserId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import type { DomainReference } from '../../../control/identity/authorization.ts';
import type { LoginRequest } from '../../../control/identity/index.ts';
import type { Proof, UserReference } from '../../../control/identity/login.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { anyId } from './resource.ts';

const text = Type.String({ maxLength: 65_535 });
const reference = { id: Type.Optional(text), name: Type.Optional(text) };
const domain = Type.Object(reference, { title: 'Domain reference' });
const user = { ...reference, domain: Type.Optional(domain) };

export const loginBody = Type.Object({
  auth: Type.Object(
    {
      identity: Type.Object({
        methods: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 8 }),
        password: Type.Optional(Type.Object({ user: Type.Object({ ...user, password: text }) })),
        totp: Type.Optional(Type.Object({ user: Type.Object({ ...user, passcode: text }) })),
        token: Type.Optional(Type.Object({ id: text })),
        application_credential: Type.Optional(
          Type.Object({ ...reference, secret: text, user: Type.Optional(Type.Object(user)) }),
        ),
      }),
      scope: Type.Optional(
        Type.Union([
          Type.Object({
            project: Type.Optional(Type.Object(user)),
            domain: Type.Optional(domain),
            system: Type.Optional(Type.Object({ all: Type.Literal(true) })),
            'OS-TRUST:trust': Type.Optional(Type.Object({ id: text })),
            unscoped: Type.Optional(Type.Unknown()),
          }),
          Type.Literal('unscoped'),
          Type.Null(),
        ]),
      ),
    },
    { title: 'Log-in' },
  ),
});

type Fields = Record<string, unknown>;

/** @throws CloudError `invalid`, `unauthenticated` for a method that there is not */
export function readLogin(body: unknown, defaultDomain: DomainId): LoginRequest {
  const auth = object(body, 'auth', 'the request');
  const identity = object(auth, 'identity', 'auth');
  const { methods } = identity;
  if (!Array.isArray(methods) || methods.length === 0 || methods.length > 8) throw expecting('methods', 'identity');
  const reader = new Reader(defaultDomain);
  const proofs = [...new Set(methods)].map((method) => reader.proof(identity, method));
  return { proofs, scope: auth.scope === undefined || auth.scope === null ? null : reader.scope(auth.scope) };
}

/** Says in Keystone's words what the schema refuses, where the reader refuses it too. */
export const explainLogin = (body: unknown): unknown => readLogin(body, anyId<DomainId>('default'));

class Reader {
  readonly #defaultDomain: DomainId;

  constructor(defaultDomain: DomainId) {
    this.#defaultDomain = defaultDomain;
  }

  proof(identity: Fields, method: unknown): Proof {
    switch (method) {
      case 'password': {
        const given = object(object(identity, 'password', 'identity'), 'user', 'password');
        const password = new Secret(string(given, 'password', 'user'));
        return { method, user: this.#user(given), password };
      }
      case 'totp': {
        const given = object(object(identity, 'totp', 'identity'), 'user', 'totp');
        return { method, user: this.#user(given), passcode: new Secret(string(given, 'passcode', 'user')) };
      }
      case 'token':
        return { method, token: new Secret(string(object(identity, 'token', 'identity'), 'id', 'token')) };
      case 'application_credential': {
        const given = object(identity, 'application_credential', 'identity');
        const secret = new Secret(string(given, 'secret', 'application_credential'));
        if (given.id !== undefined) {
          return { method, credential: { id: anyId(string(given, 'id', 'application_credential')) }, secret };
        }
        const name = string(given, 'name', 'application_credential');
        return {
          method,
          credential: { name, user: this.#user(object(given, 'user', 'application_credential')) },
          secret,
        };
      }
      default:
        throw new Refusal('unauthenticated', 'Attempted to authenticate with an unsupported method.');
    }
  }

  scope(given: unknown): NonNullable<LoginRequest['scope']> {
    if (given === 'unscoped') return { type: 'unscoped' };
    if (typeof given !== 'object' || Array.isArray(given)) throw expecting('scope', 'auth');
    const scope = given as Fields;
    const kinds = ['project', 'domain', 'system', 'unscoped', 'OS-TRUST:trust'].filter(
      (kind) => scope[kind] !== undefined,
    );
    if (kinds.length !== 1) throw new Refusal('invalid', 'a scope is exactly one of project, domain, system, unscoped');
    switch (kinds[0]) {
      case 'project': {
        const project = object(scope, 'project', 'scope');
        if (project.id !== undefined)
          return { type: 'project', id: anyId<ProjectId>(string(project, 'id', 'project')) };
        const name = string(project, 'name', 'project');
        return { type: 'project', name, domain: this.#domain(object(project, 'domain', 'project')) };
      }
      case 'domain':
        return { type: 'domain', domain: this.#domain(object(scope, 'domain', 'scope')) };
      case 'system':
        if (object(scope, 'system', 'scope').all !== true) throw expecting('all', 'system');
        return { type: 'system' };
      case 'unscoped':
        return { type: 'unscoped' };
      default:
        return { type: 'trust', id: anyId(string(object(scope, 'OS-TRUST:trust', 'scope'), 'id', 'OS-TRUST:trust')) };
    }
  }

  #user(given: Fields): UserReference {
    if (given.id !== undefined) return { id: anyId<UserId>(string(given, 'id', 'user')) };
    return { name: string(given, 'name', 'user'), domain: this.#domain(object(given, 'domain', 'user')) };
  }

  #domain(given: Fields): DomainReference {
    if (given.id === undefined) return { name: string(given, 'name', 'domain') };
    const id = string(given, 'id', 'domain');
    return { id: id === 'default' ? this.#defaultDomain : anyId<DomainId>(id) };
  }
}

function object(from: unknown, name: string, where: string): Fields {
  const value = from !== null && typeof from === 'object' ? (from as Fields)[name] : undefined;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw expecting(name, where);
  return value as Fields;
}

function string(from: Fields, name: string, where: string): string {
  const value = from[name];
  if (typeof value !== 'string' || value.length > 65_535) throw expecting(name, where);
  return value;
}

const expecting = (attribute: string, target: string): CloudError =>
  new Refusal('invalid', `Expecting to find ${attribute} in ${target}.`);
