/** Every route, called by those who have no right to it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { newId } from '../../../contract/ids.ts';
import { testUrl } from '../../../control/identity/testing.ts';
import type { Contract } from '../../boundary/contract.ts';
import { sample } from '../../boundary/testing/sample.ts';
import type { Dialect } from '../../server.ts';
import { identityDialect } from './index.ts';
import { type Call, makeTenant, type TestApi, testApi } from './testing.ts';

type Tenant = Awaited<ReturnType<typeof makeTenant>>;

const routes: { method: Call['method']; url: string; contract: Contract | undefined }[] = [];
let api: TestApi;
let victim: Tenant;
let stranger: Tenant;
const ids: Record<string, string> = {};

/** The same dialect again below another prefix, with an ear on what it registers. */
const listening = (dialect: Dialect): Dialect => ({
  prefix: '/again',
  async plugin(app: FastifyInstance, options) {
    app.addHook('onRoute', ({ method, url, config }) => {
      for (const one of [method].flat())
        routes.push({
          ...{ method: one as Call['method'], url: url.replace(/^\/again/, '/identity') },
          contract: config?.contract,
        });
    });
    await dialect.plugin(app, options);
  },
});

before(async () => {
  api = await testApi({ dialects: ({ identity }) => [listening(identityDialect({ identity, publicUrl: testUrl }))] });
  victim = await makeTenant(api);
  stranger = await makeTenant(api);
  const make = async (path: string, body: object) =>
    Object.values(
      (await api.call({ method: 'POST', path: `/identity/v3/${path}`, token: api.admin, body })).body,
    )[0] as { id: string };
  ids.domain = (await make('domains', { domain: { name: 'd' } })).id;
  ids.group = (await make('groups', { group: { name: 'g' } })).id;
  ids.role = (await make('roles', { role: { name: 'r' } })).id;
  const credential = await api.call({
    method: 'POST',
    path: `/identity/v3/users/${victim.user.id}/application_credentials`,
    token: victim.token,
    body: {
      application_credential: {
        name: 'a',
        access_rules: [{ service: 'compute', method: 'GET', path: '/v2.1/servers' }],
      },
    },
  });
  ids.credential = credential.body.application_credential.id;
  ids.rule = credential.body.application_credential.access_rules[0].id;
  await api.call({ method: 'PUT', path: `/identity/v3/groups/${ids.group}/users/${victim.user.id}`, token: api.admin });
});
after(() => api[Symbol.asyncDispose]());

const open = new Set([
  'GET /identity/',
  'GET /identity',
  'GET /identity/v3',
  'POST /identity/v3/auth/tokens',
  'POST /identity/v3/users/:id/password',
  'GET /identity/v3/OS-FEDERATION/identity_providers/:id/protocols/:protocol/auth',
  'POST /identity/v3/OS-FEDERATION/identity_providers/:id/protocols/:protocol/auth',
  ...['GET', 'POST'].flatMap((method) => [
    `${method} /identity/v3/auth/OS-FEDERATION/websso/:protocol`,
    `${method} /identity/v3/auth/OS-FEDERATION/identity_providers/:id/protocols/:protocol/websso`,
  ]),
  'GET /identity/v3/auth/OS-FEDERATION/identity_providers/:id/protocols/:protocol/websso/callback',
]);

/** What anyone with a token may: it tells of themselves, or of the cloud as a whole. */
const everyones = new Set([
  '/identity/v3/auth/catalog',
  '/identity/v3/auth/projects',
  '/identity/v3/auth/domains',
  '/identity/v3/auth/system',
  '/identity/v3/OS-FEDERATION/projects',
  '/identity/v3/OS-FEDERATION/domains',
  '/identity/v3/credentials',
  '/identity/v3/registered_limits',
  '/identity/v3/limits',
  '/identity/v3/limits/model',
  '/identity/v3/regions',
  '/identity/v3/regions/:id',
]);

function pathOf(url: string): string {
  const first = /\/v3\/(?:OS-[A-Z-]+\/)?([a-z_]+)/.exec(url)?.[1] ?? '';
  const own: Record<string, string | undefined> = {
    domains: ids.domain,
    groups: ids.group,
    roles: ids.role,
    projects: victim.project.id,
    users: victim.user.id,
    services: ids.role,
    endpoints: ids.role,
    regions: 'RegionOne',
  };
  return url
    .replace(':id', own[first] ?? newId())
    .replace(':project', victim.project.id)
    .replace(':group', 'identity')
    .replace(':option', 'driver')
    .replace(':place', (first === 'domains' ? ids.domain : victim.project.id) ?? '')
    .replace(':actor', (url.includes('/groups/') ? ids.group : victim.user.id) ?? '')
    .replace(':role', ids.role ?? '')
    .replace(':implied', ids.role ?? '')
    .replace(':user', victim.user.id)
    .replace(':tag', 'tag')
    .replace(':one', (url.includes('access_rules') ? ids.rule : ids.credential) ?? '');
}

/** One that the route would take. */
const bodyOf = (contract: Contract | undefined): unknown =>
  contract?.body ? sample(contract.body as TSchema) : undefined;

test('every route that is not open answers 401 without a token and with a forged one', async () => {
  assert.ok(routes.length > 100, `${routes.length}`);
  for (const { method, url, contract } of routes) {
    if (open.has(`${method} ${url}`)) continue;
    for (const token of [undefined, 'forged']) {
      const answer = await api.call({
        method,
        path: pathOf(url),
        ...(token ? { token } : {}),
        body: bodyOf(contract),
      });
      assert.equal(answer.status, 401, `${method} ${url}`);
      if (method !== 'HEAD') assert.equal(answer.body.error.code, 401);
    }
  }
});

test("every route refuses a member of another project what is not that member's own", async () => {
  for (const { method, url, contract } of routes) {
    if (open.has(`${method} ${url}`) || everyones.has(url)) continue;
    const answer = await api.call({
      method,
      path: pathOf(url),
      token: stranger.token,
      body: bodyOf(contract),
      headers: { 'x-subject-token': victim.token },
    });
    assert.ok([403, 404].includes(answer.status), `${method} ${url}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  const after = await api.call({ method: 'GET', path: '/identity/v3/auth/projects', token: victim.token });
  assert.equal(after.body.projects[0].name, victim.project.name, 'and nothing has happened');
});

test('what does not exist is refused like what is hidden', async () => {
  const nobody = '01a1fc2d-0000-7000-8000-000000000000';
  for (const path of [
    `users/${nobody}`,
    'users/admin',
    `users/${nobody}/projects`,
    `projects/${nobody}`,
    `groups/${nobody}`,
    `roles/${nobody}`,
  ]) {
    const answer = await api.call({ method: 'GET', path: `/identity/v3/${path}`, token: stranger.token });
    const known = path.replace(nobody, path.startsWith('projects') ? victim.project.id : victim.user.id);
    const hidden = await api.call({ method: 'GET', path: `/identity/v3/${known}`, token: stranger.token });
    assert.equal(answer.status, hidden.status, path);
  }
});

test('members see and change what is their own', async () => {
  const get = (path: string) => api.call({ method: 'GET', path: `/identity/v3/${path}`, token: victim.token });
  const mine = [
    `users/${victim.user.id}`,
    `users/${victim.user.id}/projects`,
    `users/${victim.user.id}/groups`,
    `users/${victim.user.id}/application_credentials`,
    `users/${victim.user.id}/application_credentials/${ids.credential}`,
    `users/${victim.user.id}/access_rules`,
    `projects/${victim.project.id}`,
    'domains/default',
    'auth/catalog',
    'regions/RegionOne',
  ];
  for (const path of mine) assert.equal((await get(path)).status, 200, path);
  assert.equal((await get('projects')).status, 403);
});

test('a reader of the system reads all and changes nothing', async () => {
  const { user, password } = stranger;
  const reader = (await api.call({ method: 'GET', path: '/identity/v3/roles?name=reader', token: api.admin })).body
    .roles[0];
  await api.call({ method: 'PUT', path: `/identity/v3/system/users/${user.id}/roles/${reader.id}`, token: api.admin });
  const token = await api.login(
    { methods: ['password'], password: { user: { id: user.id, password } } },
    { system: { all: true } },
  );
  for (const list of [
    'users',
    'projects',
    'domains',
    'groups',
    'roles',
    'role_assignments',
    'services',
    'endpoints',
    'credentials',
    'policies',
  ]) {
    assert.equal((await api.call({ method: 'GET', path: `/identity/v3/${list}`, token })).status, 200, list);
  }
  for (const { method, url, contract } of routes) {
    if (method === 'GET' || method === 'HEAD' || open.has(`${method} ${url}`)) continue;
    const answer = await api.call({
      method,
      path: pathOf(url),
      token,
      body: bodyOf(contract),
      headers: { 'x-subject-token': victim.token },
    });
    assert.ok([403, 404].includes(answer.status), `${method} ${url}: ${answer.status}`);
  }
});
