/** The compute dialect over a test database, spoken to by inject. Tests only. */

import { PassThrough } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { AggregateService } from '../../../control/compute/aggregate/index.ts';
import { ConsoleService } from '../../../control/compute/console/index.ts';
import { FlavorService } from '../../../control/compute/flavor/index.ts';
import { HypervisorService } from '../../../control/compute/hypervisor/index.ts';
import { KeyPairService } from '../../../control/compute/key-pair/index.ts';
import { type ServerCloud, serverCloud } from '../../../control/compute/server/testing.ts';
import { ServerGroupService } from '../../../control/compute/server-group/index.ts';
import { MigrationService } from '../../../control/compute/server-migration/index.ts';
import { TenantUsageService } from '../../../control/compute/tenant-usage/index.ts';
import { ImageService } from '../../../control/image/index.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { type TestDatabase, testDatabase } from '../../../control/kit/database/testing.ts';
import { QuotaService } from '../../../control/kit/quota/index.ts';
import { FloatingIpService } from '../../../control/network/floating-ip/service.ts';
import { NetworkService } from '../../../control/network/network/service.ts';
import { SecurityGroupService } from '../../../control/network/security-group/service.ts';
import { usage, userUsage } from '../../../control/resources.ts';
import { SnapshotService } from '../../../control/storage/snapshot/index.ts';
import { VolumeService } from '../../../control/storage/volume/index.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { holdAnswers, routeTable } from '../../boundary/testing/hold-answers.ts';
import { computeDialect } from './index.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  body: any;
  headers: Record<string, unknown>;
}

export interface ComputeApi extends AsyncDisposable {
  db: TestDatabase;
  cloud: ServerCloud;
  app: FastifyInstance;
  entries: readonly RouteEntry[];
  /** @param path below /compute/v2.1 */
  call(
    caller: Caller | null,
    method: string,
    path: string,
    options?: { body?: unknown; version?: number | 'latest'; headers?: Record<string, string>; raw?: string },
  ): Promise<Answer>;
}

export async function computeApi(): Promise<ComputeApi> {
  const db = await testDatabase();
  const { database } = db;
  const cloud = await serverCloud(database);
  const callers = new Map<string, Caller>();
  const log = pino({ level: 'silent' });
  const images = new ImageService({ database, log });
  const dialect = computeDialect({
    authenticator: {
      async authenticate(token, requestId) {
        const caller = callers.get(token);
        if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
        return { ...caller, requestId };
      },
    },
    servers: cloud.service,
    consoles: new ConsoleService({ database, hosts: { console: async () => new PassThrough() } }),
    aggregates: new AggregateService({ database }),
    migrations: new MigrationService({ database }),
    tenantUsages: new TenantUsageService({ database }),
    serverGroups: new ServerGroupService({ database }),
    flavors: new FlavorService({ database }),
    keyPairs: new KeyPairService({ database }),
    hypervisors: new HypervisorService({
      database,
      hosts: { load: async () => ({ users: 1, averages: [7, 150, 12345] }) },
    }),
    quotas: new QuotaService({ database, usage, userUsage }),
    securityGroups: new SecurityGroupService({ database }),
    networks: new NetworkService({ database }),
    floatingIps: new FloatingIpService({ database }),
    ...{
      images,
      volumes: new VolumeService({ database, images, log }),
      snapshots: new SnapshotService({ database, log }),
    },
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
    db,
    cloud,
    app,
    entries,
    async call(caller, method, path, { body, version, headers = {}, raw } = {}) {
      if (caller) callers.set(caller.userId, caller);
      const minor = version === 'latest' ? 'latest' : `2.${version}`;
      const answer = await app.inject({
        method: method as 'GET',
        url: path.startsWith('//') ? path.slice(1) : `/compute/v2.1${path}`,
        headers: {
          ...(caller && { 'x-auth-token': caller.userId }),
          ...(version !== undefined && { 'openstack-api-version': `compute ${minor}` }),
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
