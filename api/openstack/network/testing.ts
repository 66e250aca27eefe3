/** The dialect alone, without TLS or identity: a token is the key of a caller. Not for production use. */
import Fastify, { type FastifyInstance } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import type { Database } from '../../../control/database/database.ts';
import type { Caller } from '../../../control/identity/caller.ts';
import { networkDialect, networkServices } from './index.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as a client does
  body: any;
}

export interface TestApi {
  app: FastifyInstance;
  /** Every route, as it was registered. */
  routes: { method: string; url: string; open: boolean }[];
  /** Calls as somebody, below /network/v2.0 unless the path begins with '/network'. */
  as(caller: Caller): {
    get(path: string): Promise<Answer>;
    post(path: string, body: unknown): Promise<Answer>;
    put(path: string, body?: unknown): Promise<Answer>;
    delete(path: string): Promise<Answer>;
  };
}

export async function testApi(database: Database): Promise<TestApi> {
  const callers = new Map<string, Caller>();
  const app = Fastify({
    exposeHeadRoutes: false,
    genReqId: () => `req-${newId()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
  });
  const { prefix, plugin } = networkDialect({
    services: networkServices({ database }),
    authenticator: {
      async authenticate(token) {
        const caller = callers.get(token);
        if (!caller) throw new CloudError('unauthenticated', 'The request you have made requires authentication.');
        return caller;
      },
    },
    publicUrl: 'https://cloud.test',
  });
  const routes: TestApi['routes'] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    for (const one of [method].flat()) routes.push({ method: one, url, open: config?.open === true });
  });
  await app.register(plugin, { prefix });
  return {
    app,
    routes,
    as(caller) {
      const token = [...callers].find(([, known]) => known === caller)?.[0] ?? newId();
      callers.set(token, caller);
      const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer> => {
        const url = path.startsWith(`${prefix}/`) ? path : `${prefix}/v2.0${path}`;
        const payload = body === undefined ? {} : { payload: body as object };
        const answer = await app.inject({ method, url, headers: { 'x-auth-token': token }, ...payload });
        return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() };
      };
      return {
        get: (path) => call('GET', path),
        post: (path, body) => call('POST', path, body),
        put: (path, body) => call('PUT', path, body),
        delete: (path) => call('DELETE', path),
      };
    },
  };
}
