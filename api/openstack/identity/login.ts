/** The body of POST /v3/auth/tokens, read into proofs and a scope. Field by field: its many forms are beyond what a schema says clearly. */
import type { CloudError } from '../../../contract/errors.ts';
import type { ProjectId, UserId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import type { DomainReference, ScopeRequest } from '../../../control/identity/authorization.ts';
import type { LoginRequest } from '../../../control/identity/index.ts';
import type { Proof, UserReference } from '../../../control/identity/login.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { anyId, type Deps, domainId } from './resource.ts';

type Fields = Record<string, unknown>;

/** @throws CloudError `invalid`, `unauthenticated` for a method that there is not */
export async function readLogin(deps: Deps, body: unknown): Promise<LoginRequest> {
  const auth = object(body, 'auth', 'the request');
  const identity = object(auth, 'identity', 'auth');
  const { methods } = identity;
  if (!Array.isArray(methods) || methods.length === 0 || methods.length > 8) throw expecting('methods', 'identity');
  const proofs = await Promise.all([...new Set(methods)].map((method) => readProof(deps, identity, method)));
  return { proofs, scope: auth.scope === undefined || auth.scope === null ? null : await readScope(deps, auth.scope) };
}

async function readProof(deps: Deps, identity: Fields, method: unknown): Promise<Proof> {
  switch (method) {
    case 'password': {
      const user = object(object(identity, 'password', 'identity'), 'user', 'password');
      const password = new Secret(string(user, 'password', 'user'));
      return { method, user: await readUser(deps, user), password };
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
      const user = await readUser(deps, object(given, 'user', 'application_credential'));
      return { method, credential: { name, user }, secret };
    }
    default:
      throw new Refusal('unauthenticated', 'Attempted to authenticate with an unsupported method.');
  }
}

async function readUser(deps: Deps, user: Fields): Promise<UserReference> {
  if (user.id !== undefined) return { id: anyId<UserId>(string(user, 'id', 'user')) };
  return { name: string(user, 'name', 'user'), domain: await readDomain(deps, object(user, 'domain', 'user')) };
}

async function readDomain(deps: Deps, domain: Fields): Promise<DomainReference> {
  if (domain.id !== undefined) return { id: await domainId(deps, string(domain, 'id', 'domain')) };
  return { name: string(domain, 'name', 'domain') };
}

async function readScope(deps: Deps, given: unknown): Promise<ScopeRequest> {
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
      if (project.id !== undefined) return { type: 'project', id: anyId<ProjectId>(string(project, 'id', 'project')) };
      const name = string(project, 'name', 'project');
      return { type: 'project', name, domain: await readDomain(deps, object(project, 'domain', 'project')) };
    }
    case 'domain':
      return { type: 'domain', domain: await readDomain(deps, object(scope, 'domain', 'scope')) };
    case 'system':
      if (object(scope, 'system', 'scope').all !== true) throw expecting('all', 'system');
      return { type: 'system' };
    case 'unscoped':
      return { type: 'unscoped' };
    default:
      throw new Refusal('invalid', 'trusts are not there yet');
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
