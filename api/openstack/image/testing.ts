/** The Image API over a real database and a store on a real socket, with callers by name; for the tests of this folder. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { sql } from 'kysely';
import pino from 'pino';
import { type HostId, newId } from '../../../contract/ids.ts';
import { HostClient, registerHost } from '../../../control/host/index.ts';
import {
  ImageController,
  ImageCopies,
  ImageDigests,
  ImageImporter,
  ImageImportService,
  ImageMemberService,
  ImageService,
  ImageTransfer,
  PropertyProtections,
  type PropertyRule,
  WebSource,
  webRules,
} from '../../../control/image/index.ts';
import { MetadefService } from '../../../control/image/metadef/index.ts';
import { ChangeFeed } from '../../../control/kit/change-log/changes.ts';
import { type TestDatabase, testDatabase, testProject } from '../../../control/kit/database/testing.ts';
import { WorkQueue } from '../../../control/kit/queue/queue.ts';
import { testAuthenticator, testCaller } from '../../../test/support/callers.ts';
import { type TestAuthority, type TestTls, testAuthority } from '../../../test/support/certificates.ts';
import { FakeImageStore } from '../../../test/support/fake-image-store.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { observer } from '../../boundary/testing/hold-answers.ts';
import { createApi } from '../../server.ts';
import { imageDialect } from './index.ts';

const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });

export const callers = {
  alice: testCaller(['member', 'reader']),
  bob: testCaller(['member', 'reader']),
  admin: testCaller(['admin', 'manager', 'member', 'reader']),
};
/** Only reads in alice's project. */
const reader = testCaller(['reader'], callers.alice.projectId);
/** Writes, and has no project. */
const homeless = testCaller(['member', 'reader'], null);

export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any shape
  body: any;
}

export class ImageApi implements AsyncDisposable {
  readonly db: TestDatabase;
  readonly app: FastifyInstance;
  readonly store: FakeImageStore;
  readonly hostId: HostId;
  readonly controller: ImageController;
  readonly tls: TestTls;
  readonly authority: TestAuthority;
  /** Every route with its contract. */
  readonly entries: readonly RouteEntry[];
  /** That an import by URL may name. */
  readonly webPorts: number[];
  readonly #closing: (() => Promise<void> | void)[];

  private constructor(
    parts: Omit<ImageApi, 'port' | 'call' | 'create' | 'settle' | typeof Symbol.asyncDispose> & {
      closing: (() => Promise<void> | void)[];
    },
  ) {
    this.db = parts.db;
    this.app = parts.app;
    this.store = parts.store;
    this.hostId = parts.hostId;
    this.controller = parts.controller;
    this.tls = parts.tls;
    this.authority = parts.authority;
    this.entries = parts.entries;
    this.webPorts = parts.webPorts;
    this.#closing = parts.closing;
  }

  static async start(options: { protections?: PropertyRule[]; copies?: number } = {}): Promise<ImageApi> {
    const protections = new PropertyProtections(options.protections);
    const db = await testDatabase();
    const { database } = db;
    const authority = await testAuthority();
    const tls = await authority.issue('control');
    const store = await FakeImageStore.start();
    const hostId = newId<HostId>();
    for (const { projectId } of Object.values(callers)) await testProject(database, projectId!);
    await registerHost(database, { id: hostId, name: 'store' });
    await sql`update host set connected = true, facts = ${JSON.stringify({ url: '' })} where id = ${hostId}`.execute(
      database.query,
    );
    const feed = new ChangeFeed({ database, url: db.url, log });
    await feed.start();
    const client = new HostClient({ tls, local: { id: hostId, socket: store.socket } });
    const images = new ImageService({ database, log, protections });
    const transfer = new ImageTransfer({ database, images, client, log });
    const wantedCopies = options.copies ?? 1;
    const copies = new ImageCopies({ database, client, transfer, log, copies: wantedCopies });
    const digests = new ImageDigests({ database, client, log });
    const controller = new ImageController({ database, feed, client, copies, digests, wantedCopies, log });
    controller.start();
    const queue = new WorkQueue({ database, log });
    // Where the tests' own sources of bytes are; all else of this machine stays closed.
    const ports: number[] = [];
    const rules = webRules({ database, ranges: ['127.0.0.2'], ports });
    const importer = new ImageImporter({ database, transfer, web: new WebSource({ rules }), log });
    await queue.start({ ...controller.tasks, ...importer.tasks }, { concurrency: 2 });
    const observed = observer();
    const app = await createApi({
      tls,
      dialects: [
        observed.dialect,
        imageDialect({
          authenticator: testAuthenticator({ ...callers, reader, homeless }),
          images,
          members: new ImageMemberService({ database }),
          transfer,
          imports: new ImageImportService({ database, region: 'here', protections }),
          webRules: rules,
          metadefs: new MetadefService({ database }),
        }),
      ],
      log,
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const closing = [
      () => app.close(),
      () => transfer.stop(),
      () => importer.stop(),
      () => copies.stop(),
      () => controller.stop(),
      () => queue.stop(),
      () => feed.stop(),
      () => client.close(),
      () => store[Symbol.asyncDispose](),
      () => db[Symbol.asyncDispose](),
    ];
    return new ImageApi({
      db,
      app,
      store,
      hostId,
      controller,
      tls,
      authority,
      entries: observed.entries,
      webPorts: ports,
      closing,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close();
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port;
  }

  /** As 'alice GET /images?limit=1'; the path without /image/v2. A body that is no string and no buffer goes as JSON. */
  async call(line: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const [who, method, path] = line.split(' ', 3) as [string, string, string];
    const plain = typeof body === 'string' || Buffer.isBuffer(body);
    const answer = await this.app.inject({
      method: method as NonNullable<InjectOptions['method']>,
      url: `/image/v2${path}`,
      headers: {
        ...(who === 'nobody' ? {} : { 'x-auth-token': who }),
        accept: 'application/json',
        ...(body === undefined || plain ? {} : { 'content-type': method === 'PATCH' ? patch : 'application/json' }),
        ...(Buffer.isBuffer(body) ? { 'content-type': 'application/octet-stream' } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: plain ? (body as string | Buffer) : JSON.stringify(body) }),
    });
    const json = answer.headers['content-type']?.includes('json');
    return {
      status: answer.statusCode,
      headers: answer.headers as Answer['headers'],
      body: json ? answer.json() : answer.rawPayload.length > 0 ? answer.rawPayload : undefined,
    };
  }

  /** A new image's id; with bytes when given. */
  async create(who: string, fields: object = {}, bytes?: Buffer): Promise<string> {
    const { status, body } = await this.call(`${who} POST /images`, {
      disk_format: 'raw',
      container_format: 'bare',
      ...fields,
    });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
    if (bytes) {
      const put = await this.call(`${who} PUT /images/${body.id}/file`, bytes);
      if (put.status !== 204) throw new Error(`${put.status} ${JSON.stringify(put.body)}`);
    }
    return body.id;
  }
}

const patch = 'application/openstack-images-v2.1-json-patch';
