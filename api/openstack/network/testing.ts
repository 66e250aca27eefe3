/** The dialect alone over a fresh database, without TLS or identity: a token is the key of a caller. Not for production use. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { Database } from '../../../control/kit/database/database.ts';
import { testDatabase, testProject } from '../../../control/kit/database/testing.ts';
import { openNetwork } from '../../../control/network/open.ts';
import { oddName } from '../../../control/network/testing.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { holdAnswers, routeTable } from '../../boundary/testing/hold-answers.ts';
import { networkDialect } from './index.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as a client does
  body: any;
}

/** Somebody who calls, below /network/v2.0 unless the path begins with '/network'. */
export interface Me {
  token: string;
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  put(path: string, body?: unknown): Promise<Answer>;
  delete(path: string): Promise<Answer>;
}

export interface TestApi {
  database: Database;
  app: FastifyInstance;
  entries: readonly RouteEntry[];
  /** Every route, as it was registered. */
  routes: { method: string; url: string; open: boolean }[];
  /** Makes the caller's project too; it is there when the first call is answered. */
  as(caller: Caller): Me;
}

/** Gone after the tests of the file. @param of somebody else's, who also removes it; by default one of its own */
export async function testApi(of?: Database): Promise<TestApi> {
  const own = of ? undefined : await testDatabase();
  const database = of ?? own!.database;
  const callers = new Map<string, Caller>();
  const app = Fastify({
    exposeHeadRoutes: false,
    genReqId: () => `req-${newId()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
  });
  holdAnswers(app);
  const { entries } = routeTable(app);
  const { prefix, plugin } = networkDialect({
    services: openNetwork({ database }),
    authenticator: {
      async authenticate(token) {
        const caller = callers.get(token);
        if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
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
  after(async () => {
    await app.close();
    await own?.[Symbol.asyncDispose]();
  });
  return {
    database,
    app,
    entries,
    routes,
    as(caller) {
      const token = [...callers].find(([, known]) => known === caller)?.[0] ?? newId();
      callers.set(token, caller);
      const project = testProject(database, caller.projectId!);
      const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer> => {
        await project;
        const url = path.startsWith(`${prefix}/`) ? path : `${prefix}/v2.0${path}`;
        const payload = body === undefined ? {} : { payload: body as object };
        const answer = await app.inject({ method, url, headers: { 'x-auth-token': token }, ...payload });
        return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() };
      };
      return {
        token,
        get: (path) => call('GET', path),
        post: (path, body) => call('POST', path, body),
        put: (path, body) => call('PUT', path, body),
        delete: (path) => call('DELETE', path),
      };
    },
  };
}

export const refused = (answer: Answer, status: number, type: string, message?: RegExp): void => {
  assert.deepEqual([answer.status, answer.body?.NeutronError?.type], [status, type], JSON.stringify(answer.body));
  if (message) assert.match(answer.body.NeutronError.message, message);
};

export const newNetwork = async (me: Me, over: object = {}): Promise<string> =>
  (await me.post('/networks', { network: { name: oddName, ...over } })).body.network.id;

export const newSubnet = async (me: Me, network_id: string, cidr: string, over: object = {}) => {
  const ip_version = cidr.includes(':') ? 6 : 4;
  const made = await me.post('/subnets', { subnet: { network_id, cidr, ip_version, name: oddName, ...over } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.subnet;
};
