/** The placement dialect over a test database, spoken to by inject. Tests only. */
import Fastify, { type FastifyInstance } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { ResourceProviderService } from '../../../control/compute/resource-provider/index.ts';
import { type ServerCloud, serverCloud } from '../../../control/compute/server/testing.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { type TestDatabase, testDatabase } from '../../../control/kit/database/testing.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { holdAnswers, routeTable } from '../../boundary/testing/hold-answers.ts';
import { placementDialect } from './index.ts';

export interface PlacementApi extends AsyncDisposable {
  db: TestDatabase;
  cloud: ServerCloud;
  app: FastifyInstance;
  entries: readonly RouteEntry[];
  /** @param path below /placement */
  call(
    caller: Caller | null,
    method: string,
    path: string,
    options?: { body?: unknown; version?: number | 'latest'; raw?: string },
    // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  ): Promise<{ status: number; body: any; headers: Record<string, unknown> }>;
}

export async function placementApi(): Promise<PlacementApi> {
  const db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const callers = new Map<string, Caller>();
  const authenticator = {
    async authenticate(token: string, requestId: string) {
      const caller = callers.get(token);
      if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
      return { ...caller, requestId };
    },
  };
  const dialect = placementDialect({ authenticator, providers: new ResourceProviderService(db) });
  const app = Fastify({
    genReqId: () => `req-${newId()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    exposeHeadRoutes: false,
  });
  const { entries } = routeTable(app);
  holdAnswers(app);
  await app.register(dialect.plugin, { prefix: dialect.prefix });
  await app.ready();
  return {
    ...{ db, cloud, app, entries },
    async call(caller, method, path, { body, version, raw } = {}) {
      const asked =
        version === undefined
          ? {}
          : { 'openstack-api-version': `placement ${version === 'latest' ? version : `1.${version}`}` };
      if (caller) callers.set(caller.userId, caller);
      const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const {
        statusCode,
        payload: text,
        headers,
      } = await app.inject({
        method: method as 'GET',
        url: `/placement${path}`,
        headers: {
          ...(caller && { 'x-auth-token': caller.userId }),
          ...asked,
          ...(payload !== undefined && { 'content-type': 'application/json' }),
        },
        ...(payload !== undefined && { payload }),
      });
      return { status: statusCode, body: text === '' ? null : JSON.parse(text), headers };
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await db[Symbol.asyncDispose]();
    },
  };
}
