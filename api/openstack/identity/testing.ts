/** The identity dialect over a test database, spoken to without a socket. Tests only. */
import assert from 'node:assert/strict';
import type { FastifyInstance } from 'fastify';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import type { IdentityOptions } from '../../../control/identity/index.ts';
import { adminPassword, type TestIdentity, testIdentity, testUrl } from '../../../control/identity/testing.ts';
import type { RouteEntry } from '../../boundary/contract.ts';
import { observer } from '../../boundary/testing/hold-answers.ts';
import { createApi, type Dialect } from '../../server.ts';
import { identityDialect } from './index.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: documents of every shape, read by tests
  body: any;
  headers: Record<string, unknown>;
}

export interface Call {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  token?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface TestApi extends AsyncDisposable {
  cloud: TestIdentity;
  app: FastifyInstance;
  /** Every route with its contract. */
  entries: readonly RouteEntry[];
  call(call: Call): Promise<Answer>;
  /** Issues a token; throws unless that succeeds. */
  login(identity: unknown, scope?: unknown): Promise<string>;
  /** The first administrator's token in project admin. */
  admin: string;
  /** The id of the default domain's row, which no answer tells. */
  defaultDomain: string;
}

export const byPassword = (id: string, password: string) => ({
  methods: ['password'],
  password: { user: { id, password } },
});

export async function testApi(
  options: Partial<IdentityOptions> & { dialects?: (cloud: TestIdentity) => Dialect[] } = {},
): Promise<TestApi> {
  const { dialects, ...rest } = options;
  const cloud = await testIdentity(rest);
  await sql`insert into cloud (id, region) values (${newId()}, 'here') on conflict do nothing`.execute(
    cloud.db.database.query,
  );
  const observed = observer();
  const app = await createApi({
    // No socket is opened, so no certificate is needed.
    tls: {} as never,
    dialects: [
      observed.dialect,
      identityDialect({ identity: cloud.identity, publicUrl: testUrl }),
      ...(dialects?.(cloud) ?? []),
    ],
    log: pino({ level: 'silent' }),
  });
  const call = async ({ method, path, token, body, headers = {} }: Call): Promise<Answer> => {
    const answer = await app.inject({
      method,
      url: path,
      headers: { ...(token ? { 'x-auth-token': token } : {}), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    if (path.startsWith('/identity/')) {
      assert.ok(!answer.payload.includes(cloud.identity.defaultDomainId), 'the default domain has one id: default');
    }
    const isJson = String(answer.headers['content-type']).startsWith('application/json') && answer.payload !== '';
    return { status: answer.statusCode, body: isJson ? answer.json() : answer.payload, headers: answer.headers };
  };
  const login = async (identity: unknown, scope?: unknown): Promise<string> => {
    const auth = { identity, ...(scope === undefined ? {} : { scope }) };
    const answer = await call({ method: 'POST', path: '/identity/v3/auth/tokens', body: { auth } });
    if (answer.status !== 201) throw new Error(`login failed: ${JSON.stringify(answer.body)}`);
    return String(answer.headers['x-subject-token']);
  };
  const user = { name: 'admin', domain: { id: 'default' }, password: adminPassword.reveal() };
  const admin = await login(
    { methods: ['password'], password: { user } },
    { project: { name: 'admin', domain: { id: 'default' } } },
  );
  return {
    cloud,
    app,
    entries: observed.entries,
    call,
    login,
    admin,
    defaultDomain: cloud.identity.defaultDomainId,
    async [Symbol.asyncDispose]() {
      await app.close();
      await cloud[Symbol.asyncDispose]();
    },
  };
}

/** A name that meets every quoting mistake on its way. */
export const odd = '小屋 🏔 "x"; drop';
export const unique = () => `n-${newId().slice(-12)}`;
export const names = (rows: { name: string }[]) => rows.map((row) => row.name);

/** Calls as the first administrator, below /identity/v3. */
export function asAdministrator(api: TestApi) {
  const call = (method: Call['method'], path: string, body?: unknown) =>
    api.call({ method, path: `/identity/v3/${path}`, token: api.admin, body });
  const make = async (noun: string, body: object) => {
    const answer = await call('POST', `${noun}s`, { [noun]: body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body[noun];
  };
  return { call, make };
}

/** A user with a password and roles in a new project, made through the API. */
export async function makeTenant(api: TestApi, roles: string[] = ['member']) {
  const { call, admin: token } = api;
  const unique = newId().slice(-12);
  const password = `password of ${unique}`;
  const project = (
    await call({ method: 'POST', path: '/identity/v3/projects', token, body: { project: { name: `p-${unique}` } } })
  ).body.project;
  const user = (
    await call({ method: 'POST', path: '/identity/v3/users', token, body: { user: { name: `u-${unique}`, password } } })
  ).body.user;
  for (const role of roles) {
    const found = (await call({ method: 'GET', path: `/identity/v3/roles?name=${role}`, token })).body.roles[0];
    await call({
      method: 'PUT',
      path: `/identity/v3/projects/${project.id}/users/${user.id}/roles/${found.id}`,
      token,
    });
  }
  const login = () => api.login(byPassword(user.id, password), { project: { id: project.id } });
  return { user, project, password, login, token: await login() };
}
