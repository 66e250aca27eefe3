/** The Object Storage API over a real database and a host's disk on a real socket, with callers by name; for the tests of this folder. */
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { type TestDatabase, testProject } from '../../../control/kit/database/testing.ts';
import type { ContainerService, ObjectService, UploadService } from '../../../control/object/index.ts';
import { type FakeDisks, objectWorld } from '../../../control/object/testing.ts';
import { testAuthenticator, testCaller } from '../../../test/support/callers.ts';
import { type TestTls, testAuthority } from '../../../test/support/certificates.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { observer } from '../../boundary/testing/hold-answers.ts';
import { createApi } from '../../server.ts';
import { objectDialect } from './index.ts';

const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });

export const callers = {
  alice: testCaller(['member', 'reader']),
  bob: testCaller(['member', 'reader']),
  admin: testCaller(['admin', 'manager', 'member', 'reader']),
  reseller: testCaller(['ResellerAdmin', 'reader']),
};
/** Only reads in alice's project. */
const reader = testCaller(['reader'], callers.alice.projectId);

export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  bytes: Buffer;
  text: string;
}

export interface Extra {
  headers?: Record<string, string>;
  body?: string | Buffer;
}

export class ObjectApi implements AsyncDisposable {
  readonly db: TestDatabase;
  readonly app: FastifyInstance;
  readonly disks: FakeDisks;
  readonly containers: ContainerService;
  readonly objects: ObjectService;
  readonly uploads: UploadService;
  readonly entries: readonly RouteEntry[];
  readonly tls: TestTls;
  readonly #agent: https.Agent;
  readonly #closing: (() => Promise<void> | void)[];

  private constructor(
    parts: Pick<ObjectApi, 'db' | 'app' | 'disks' | 'containers' | 'objects' | 'uploads' | 'entries' | 'tls'> & {
      closing: (() => Promise<void> | void)[];
    },
  ) {
    this.db = parts.db;
    this.app = parts.app;
    this.disks = parts.disks;
    this.containers = parts.containers;
    this.objects = parts.objects;
    this.uploads = parts.uploads;
    this.entries = parts.entries;
    this.tls = parts.tls;
    this.#agent = new https.Agent({ keepAlive: true, ca: parts.tls.ca });
    this.#closing = parts.closing;
  }

  static async start(): Promise<ObjectApi> {
    const closing: (() => Promise<void> | void)[] = [];
    const { db, area, disks } = await objectWorld({ after: (close) => closing.push(close as () => Promise<void>) });
    for (const { projectId } of Object.values(callers)) await testProject(db.database, projectId!);
    const tls = await (await testAuthority()).issue('control');
    const observed = observer();
    const app = await createApi({
      tls,
      log,
      dialects: [
        observed.dialect,
        objectDialect({ authenticator: testAuthenticator({ ...callers, reader }), ...area.services }),
      ],
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    closing.unshift(() => app.close());
    return new ObjectApi({ db, app, disks, ...area.services, entries: observed.entries, tls, closing });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    for (const close of this.#closing) await close();
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port;
  }

  /** Names as UTF-8; `*` in a path is alice's account. As `alice GET /c/o?format=json`; over a connection, as clients do. */
  async call(line: string, { headers = {}, body }: Extra = {}): Promise<Answer> {
    const [who, method, path] = line.split(' ', 3) as [string, string, string];
    return this.send(method, `/object/v1/${accountOf(path)}`, {
      headers: { ...(who === 'nobody' ? {} : { 'x-auth-token': who }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
  }

  send(method: string, path: string, { headers = {}, body }: Extra = {}): Promise<Answer> {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const sent = Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]);
    return new Promise((resolve, reject) => {
      const request = https.request({
        ...{ host: '127.0.0.1', port: this.port, agent: this.#agent, method, path },
        headers: {
          ...Object.fromEntries(sent),
          ...(bytes ? { 'content-length': bytes.length } : method === 'PUT' ? { 'content-length': 0 } : {}),
        },
      });
      request.on('error', reject).on('response', (response: http.IncomingMessage) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject).on('end', () => {
          const all = Buffer.concat(pieces);
          const told = Object.entries(response.headers).map(([name, value]) => [
            name,
            Buffer.from(String(value), 'latin1').toString('utf8'),
          ]);
          resolve({
            status: response.statusCode!,
            headers: Object.fromEntries(told),
            ...{ bytes: all, text: all.toString('utf8') },
          });
        });
      });
      request.end(bytes);
    });
  }

  /** @throws where the answer has another status */
  async must(status: number, line: string, extra: Extra = {}): Promise<Answer> {
    const answer = await this.call(line, extra);
    if (answer.status !== status) throw new Error(`${line}: ${answer.status} ${answer.text}`);
    return answer;
  }
}

/** `/c/o` is alice's; `bob:/c/o` is bob's. */
function accountOf(path: string): string {
  const [, owner = 'alice', rest = ''] = /^(?:(\w+):)?(.*)$/s.exec(path) ?? [];
  return `AUTH_${callers[owner as keyof typeof callers].projectId}${rest === '/' ? '' : rest}`;
}
