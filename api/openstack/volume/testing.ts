/** The volume dialect over a test database, spoken to by inject. Tests only. */

import Fastify, { type FastifyInstance } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import type { ManageableFiles } from '../../../contract/host/index.ts';
import { newId } from '../../../contract/ids.ts';
import { type ServerCloud, serverCloud, silentLog } from '../../../control/compute/server/testing.ts';
import { testSealer } from '../../../control/identity/testing.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { type TestDatabase, testDatabase } from '../../../control/kit/database/testing.ts';
import { QuotaService } from '../../../control/kit/quota/index.ts';
import { usage, userUsage } from '../../../control/resources.ts';
import { openStorage } from '../../../control/storage/open.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { holdAnswers, routeTable } from '../../boundary/testing/hold-answers.ts';
import { volumeDialect } from './index.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  body: any;
  headers: Record<string, unknown>;
}

export interface VolumeApi extends AsyncDisposable {
  db: TestDatabase;
  cloud: ServerCloud;
  storage: ReturnType<typeof openStorage>;
  /** Files of backups that a host was told to remove. */
  removedFiles: string[];
  /** Files that a host says that it has in the directory `manage` of its pool. */
  manageable: ManageableFiles['files'];
  app: FastifyInstance;
  entries: readonly RouteEntry[];
  /** @param path below /volume/v3; with `//` before it, from the root on */
  call(
    caller: Caller | null,
    method: string,
    path: string,
    options?: { body?: unknown; version?: number | 'latest'; headers?: Record<string, string>; raw?: string },
  ): Promise<Answer>;
}

export async function volumeApi(): Promise<VolumeApi> {
  const db = await testDatabase();
  const { database } = db;
  const cloud = await serverCloud(database);
  const removedFiles: string[] = [];
  const manageable: ManageableFiles['files'] = [];
  const client = {
    deleteBackup: async (_host: unknown, name: string) => void removedFiles.push(name),
    manageable: async () => ({ files: manageable }),
  };
  const storage = openStorage({ database, images: cloud.images, client, sealer: testSealer, log: silentLog });
  const callers = new Map<string, Caller>();
  const dialect = volumeDialect({
    authenticator: {
      async authenticate(token, requestId) {
        const caller = callers.get(token);
        if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
        return { ...caller, requestId };
      },
    },
    ...storage.services,
    quotas: new QuotaService({ database, usage, userUsage }),
  });
  const app = Fastify({
    genReqId: () => `req-${newId()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    exposeHeadRoutes: false,
  });
  // The socket of an injected request has nothing to close.
  app.addHook('onRequest', async ({ raw }) => {
    raw.socket.destroy ??= () => raw.socket;
  });
  holdAnswers(app);
  const { entries } = routeTable(app);
  await app.register(dialect.plugin, { prefix: dialect.prefix });
  return {
    ...{ db, cloud, storage, removedFiles, manageable, app, entries },
    async call(caller, method, path, { body, version, headers = {}, raw } = {}) {
      if (caller) callers.set(caller.userId, caller);
      const minor = version === 'latest' ? 'latest' : `3.${version}`;
      const answer = await app.inject({
        method: method as 'GET',
        url: path.startsWith('//') ? path.slice(1) : `/volume/v3${path}`,
        headers: {
          ...(caller && { 'x-auth-token': caller.userId }),
          ...(version !== undefined && { 'openstack-api-version': `volume ${minor}` }),
          ...((body !== undefined || raw !== undefined) && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(raw !== undefined ? { payload: raw } : body !== undefined && { payload: JSON.stringify(body) }),
      });
      const type = String(answer.headers['content-type'] ?? '');
      return {
        status: answer.statusCode,
        body: type.includes('json') && answer.body !== '' ? answer.json() : answer.body,
        headers: answer.headers,
      };
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await db[Symbol.asyncDispose]();
    },
  };
}
