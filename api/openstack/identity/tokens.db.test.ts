import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { adminPassword } from '../../../control/identity/testing.ts';
import { byPassword, makeTenant, type TestApi, testApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await testApi();
});
after(() => api[Symbol.asyncDispose]());

const tokens = '/identity/v3/auth/tokens';

test('version documents need no token and have what clients look for', async () => {
  const all = await api.call({ method: 'GET', path: '/identity' });
  assert.equal(all.status, 300);
  for (const field of ['id', 'links', 'media-types', 'status', 'updated']) {
    assert.ok(field in all.body.versions.values[0], field);
  }
  const one = await api.call({ method: 'GET', path: '/identity/v3/' });
  assert.equal(one.status, 200);
  assert.equal(one.body.version.links[0].href, 'https://cloud.test:8443/identity/v3/');
});

test('a token document is the same when it is issued and when it is validated', async () => {
  const tenant = await makeTenant(api);
  const body = {
    auth: { identity: byPassword(tenant.user.id, tenant.password), scope: { project: { id: tenant.project.id } } },
  };
  const issued = await api.call({ method: 'POST', path: tokens, body });
  assert.equal(issued.status, 201);
  const token = String(issued.headers['x-subject-token']);
  assert.ok(token.length <= 1024);
  const shown = await api.call({ method: 'GET', path: tokens, token, headers: { 'x-subject-token': token } });
  assert.equal(shown.status, 200);
  assert.deepEqual(shown.body, issued.body);
  const { methods, user, project, roles, catalog, is_domain } = issued.body.token;
  assert.deepEqual(methods, ['password']);
  assert.equal(user.domain.name, 'Default');
  assert.equal(project.id, tenant.project.id);
  assert.equal(is_domain, false);
  assert.deepEqual(
    roles.map((role: { name: string }) => role.name),
    ['member', 'reader'],
  );
  assert.ok(catalog.some((service: { type: string }) => service.type === 'compute'));
  const volume = catalog.find((service: { type: string }) => service.type === 'volumev3');
  assert.equal(volume.endpoints[0].url, `https://cloud.test:8443/volume/v3/${tenant.project.id}`);
});

test('an administrator can have a token for the system and for no scope', async () => {
  const user = { name: 'admin', domain: { name: 'Default' }, password: adminPassword.reveal() };
  const identity = { methods: ['password'], password: { user } };
  const system = await api.call({
    method: 'POST',
    path: tokens,
    body: { auth: { identity, scope: { system: { all: true } } } },
  });
  assert.deepEqual(system.body.token.system, { all: true });
  const unscoped = await api.call({ method: 'POST', path: tokens, body: { auth: { identity, scope: 'unscoped' } } });
  for (const field of ['catalog', 'project', 'roles']) assert.ok(!(field in unscoped.body.token), field);
});
