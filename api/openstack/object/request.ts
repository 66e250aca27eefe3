/** Who asks for what: the exact names that a request is about, and a visitor with all that it brought along. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import type { ProjectId } from '../../../contract/ids.ts';
import type { Right, Visit, Where } from '../../../control/object/index.ts';
import { objectStoreLimits as limits } from '../../../control/object/limits.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { requireAccess } from '../common/access-rules.ts';
import type { Authenticator } from '../common/authenticate.ts';
import { type Target, targetOf } from './path.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the client's own target names; undefined on routes that are of no account. */
    target: Target | undefined;
    /** Set by {@link admitVisitors}. */
    visit: Visit;
    /** As it came: a type that is none may still be kept with an object. */
    givenType: string | undefined;
  }
}

/** Of all requests with these parameters; the contract has checked them. */
export interface Names {
  account: string;
  container: string;
  object: string;
}

export function admitVisitors(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('target');
  app.decorateRequest('visit');
  app.decorateRequest('givenType');
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request) => {
    // Fastify would refuse what is no media type.
    request.givenType = headersOf(request)['content-type'];
    delete request.headers['content-type'];
    request.visit = { caller: null, referrer: request.headers.referer };
    if (!request.is404) readTarget(request);
    const { 'x-auth-token': own, 'x-storage-token': older } = request.headers;
    const token = [own ?? older].flat()[0];
    if (!token || request.method === 'OPTIONS') return;
    try {
      request.caller = await authenticator.authenticate(token, request.id);
    } catch (error) {
      // What everybody may read, also who has a token of yesterday may.
      if (!isCloudError(error, 'unauthenticated')) throw error;
      return;
    }
    if (request.caller.accessRules) requireAccess(request.caller.accessRules, request);
    request.visit = { ...request.visit, caller: request.caller };
  });
  // Which methods there are is no stranger's to learn, as in the other services.
  app.addHook('onRequest', async ({ caller, routeOptions }) => {
    if (routeOptions.config.refusesMethod && !caller) throw new Refusal('unauthenticated', '');
  });
}

/** The router saw places only; the parameters are what the client's target has there. */
function readTarget(request: FastifyRequest): void {
  if (!request.routeOptions.url?.includes(':account')) return;
  let target: Target | undefined;
  try {
    target = targetOf(request.originalUrl);
  } catch {
    // Escapes that are no UTF-8.
  }
  if (!target || Object.values(target).some((name) => name.includes('\0'))) {
    throw new Refusal('invalid', 'Invalid UTF8 or contains NULL', { details: { httpStatus: 412 } });
  }
  request.target = target;
  request.params = target;
}

/** The project of an account's name: `AUTH_` and its id, with or without hyphens. @throws Refusal as of anybody else's account */
export function projectOf(request: FastifyRequest): ProjectId {
  const { account } = request.params as Names;
  const [, ...parts] =
    /^AUTH_([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i.exec(account) ?? [];
  if (parts.length > 0) return parts.join('-').toLowerCase() as ProjectId;
  if (request.visit.caller) throw new Refusal('forbidden', '');
  throw new Refusal('unauthenticated', '');
}

export function whereOf(request: FastifyRequest): Where {
  const { container } = request.params as Names;
  const length = Buffer.byteLength(container);
  if (length > limits.containerNameBytes) {
    throw new Refusal('invalid', `Container name length of ${length} longer than ${limits.containerNameBytes}`);
  }
  return { projectId: projectOf(request), container };
}

export function objectOf(request: FastifyRequest): string {
  const { object } = request.params as Names;
  const length = Buffer.byteLength(object);
  if (length <= limits.objectNameBytes) return object;
  throw new Refusal('invalid', `Object name length of ${length} longer than ${limits.objectNameBytes}`);
}

/** As the cloud itself: for what a request needs and its visitor need not see (keys of signatures, settings). */
export const cloudItself: Visit = { caller: null, granted: ['read', 'list', 'write', 'own'] };

/** What a signature gives, and where: never beyond whose key it was made with. */
export const granted = (visit: Visit, rights: readonly Right[], grantedIn: NonNullable<Visit['grantedIn']>): Visit => ({
  ...visit,
  granted: rights,
  grantedIn,
});

export const truthy = (text: string | undefined): boolean =>
  text !== undefined && ['true', '1', 'yes', 'on', 't', 'y'].includes(text.toLowerCase());

/** One value of the query. */
export function queryOf(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : Array.isArray(value) ? String(value[0]) : undefined;
}

const _header = (request: FastifyRequest, name: string): string | undefined => headersOf(request)[name];
