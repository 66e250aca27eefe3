/** The S3 dialect over a real store, spoken to on a TLS socket with real signatures. Tests only. */
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import pino from 'pino';
import { CloudError } from '../../contract/errors.ts';
import { SignedRequests } from '../../control/identity/signed-requests.ts';
import type { Caller } from '../../control/kit/caller.ts';
import { callerOf, type ObjectWorld, objectWorld } from '../../control/object/testing.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { type Keys, signHeaders } from '../../test/support/sign-s3.ts';
import type { RouteEntry } from '../boundary/contract.ts';
import { observer } from '../boundary/testing/hold-answers.ts';
import { createApi } from '../server.ts';
import { s3Dialect } from './index.ts';

export interface S3Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  /** Of a refusal. */
  code: string | undefined;
}

export interface S3Wish {
  body?: Buffer | string;
  headers?: Record<string, string>;
  /** Instead of the hash of the body. */
  payload?: string;
  host?: string;
  /** Nobody signs. */
  unsigned?: boolean;
}

export class S3World {
  readonly world: ObjectWorld;
  readonly port: number;
  readonly ca: string;
  readonly entries: readonly RouteEntry[];
  readonly callers: ReadonlyMap<string, Caller>;

  private constructor(given: {
    world: ObjectWorld;
    port: number;
    ca: string;
    entries: readonly RouteEntry[];
    callers: ReadonlyMap<string, Caller>;
  }) {
    this.world = given.world;
    this.port = given.port;
    this.ca = given.ca;
    this.entries = given.entries;
    this.callers = given.callers;
  }

  /** Callers by name: `owner` and `reader` of one project, `stranger` of another; each is their own key. */
  static async start(t: Pick<TestContext, 'after'>): Promise<S3World> {
    const world = await objectWorld(t);
    const authority = await testAuthority();
    const other = await world.project();
    const callers = new Map<string, Caller>([
      ['owner', world.caller],
      ['reader', callerOf(world.projectId, ['reader'])],
      ['stranger', other.caller],
    ]);
    const observed = observer();
    const app = await createApi({
      tls: await authority.issue('control'),
      log: pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' }),
      dialects: [
        observed.dialect,
        s3Dialect({ ...world.area.services, signedRequests: signedBy(callers), region: 'RegionOne' }),
      ],
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    t.after(() => app.close());
    const { port } = app.server.address() as AddressInfo;
    return new S3World({ world, port, ca: authority.ca, entries: observed.entries, callers });
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  keys = (name: string): Keys => ({ access: name, secret: `${name}'s secret` });

  /** As `owner PUT /bucket/key`. */
  async call(line: string, wish: S3Wish = {}): Promise<S3Answer> {
    const [who, method, target] = line.split(' ') as [string, string, string];
    const { body = '', host = this.host, payload } = wish;
    const sent = { method, target, host, headers: wish.headers ?? {}, body, ...(payload && { payload }) };
    const length: Record<string, string> =
      body.length > 0 || method === 'PUT' || method === 'POST'
        ? { 'content-length': `${Buffer.byteLength(body)}` }
        : {};
    const headers = wish.unsigned ? { host, ...wish.headers } : signHeaders(this.keys(who), sent);
    return this.send(method, target, { ...headers, ...length }, body);
  }

  async send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: Buffer | string = '',
  ): Promise<S3Answer> {
    const request = https.request({
      host: '127.0.0.1',
      port: this.port,
      ca: this.ca,
      agent: false,
      servername: 'localhost',
      method,
      path,
      headers: bytewise(headers),
    });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    // Not as a string: the head would be written in the encoding of the body.
    request.end(Buffer.from(body));
    const [response] = await answered;
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    const whole = Buffer.concat(parts);
    const text = whole.toString('utf8');
    return {
      ...{ status: response.statusCode!, headers: response.headers, body: whole, text },
      code: /<Error>.*?<Code>(.*?)<\/Code>/s.exec(text)?.[1],
    };
  }
}

const signedBy = (callers: ReadonlyMap<string, Caller>): SignedRequests =>
  new SignedRequests({
    find: async (access) => {
      const caller = callers.get(access);
      return (
        caller && {
          ...{ access, secret: `${access}'s secret`, userId: caller.userId, projectId: caller.projectId! },
          ...{ trustId: null, applicationCredentialId: null },
        }
      );
    },
    login: async ({ access }) => ({ token: access }),
    authenticate: async (token, requestId) => {
      const caller = callers.get(token);
      if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
      return { ...caller, requestId };
    },
    listening: () => true,
  });

/** The texts of all elements of a name. */
export const all = (text: string, name: string): string[] =>
  [...text.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(([, found]) => found!);

/** Node writes headers byte for byte. */
const bytewise = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]));
