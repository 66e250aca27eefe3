/** Options of domains, roles of domains, revocation events. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { noPolicy } from '../../../control/identity/password-policy.ts';
import { asAdministrator, byPassword, makeTenant, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
let { call, make } = {} as ReturnType<typeof asAdministrator>;

before(async () => {
  api = await testApi({ passwordPolicy: { ...noPolicy, pattern: '.{4,}', patternDescription: 'four characters' } });
  ({ call, make } = asAdministrator(api));
});
after(() => api[Symbol.asyncDispose]());

const custom = { identity: { driver: 'ldap' }, ldap: { url: 'ldap://a.test:389/', user_tree_dn: 'ou=Users,dc=北' } };

test('options of a domain are set, changed and removed as a whole, by group and one by one', async () => {
  const { id } = await make('domain', { name: unique() });
  const url = `domains/${id}/config`;
  assert.equal((await call('GET', url)).status, 404);
  const put = await call('PUT', url, { config: custom });
  assert.deepEqual([put.status, put.body.config], [201, custom]);
  assert.equal((await call('PUT', url, { config: custom })).status, 200);
  assert.deepEqual((await call('GET', `${url}/ldap`)).body.config, { ldap: custom.ldap });
  assert.deepEqual((await call('GET', `${url}/ldap/url`)).body.config, { url: custom.ldap.url });
  const grouped = await call('PATCH', `${url}/identity`, { config: { identity: { driver: 'sql', list_limit: 7 } } });
  assert.deepEqual(grouped.body.config, { ...custom, identity: { driver: 'sql', list_limit: 7 } });
  const single = await call('PATCH', `${url}/identity/driver`, { config: { driver: 'mine' } });
  assert.equal(single.body.config.identity.driver, 'mine');
  assert.equal((await call('PATCH', `${url}/identity`, { config: { ldap: { url: 'x' } } })).status, 403);
  assert.equal((await call('PATCH', `${url}/identity/driver`, { config: { list_limit: 1 } })).status, 403);
  assert.equal((await call('DELETE', `${url}/identity/driver`)).status, 204);
  assert.equal((await call('GET', `${url}/identity/driver`)).status, 404);
  assert.equal((await call('DELETE', `${url}/identity`)).status, 204);
  assert.equal((await call('GET', `${url}/identity`)).status, 404);
  assert.equal((await call('PATCH', `${url}/identity`, { config: { identity: { driver: 'x' } } })).status, 404);
  assert.equal((await call('DELETE', url)).status, 204);
  assert.equal((await call('GET', url)).status, 404);
});

test('options that there are not are refused, and a secret one is told to nobody', async () => {
  const { id } = await make('domain', { name: unique() });
  const url = `domains/${id}/config`;
  for (const config of [{}, { ldap: {} }, { other: { a: 1 } }, { ldap: { other: 1 } }]) {
    assert.equal((await call('PUT', url, { config })).status, 403, JSON.stringify(config));
  }
  assert.equal((await call('GET', `${url}/other`)).status, 403);
  const config = { ldap: { url: 'x', password: 'geheim' } };
  assert.deepEqual((await call('PUT', url, { config })).body.config, { ldap: { url: 'x' } });
  assert.deepEqual((await call('GET', url)).body.config, { ldap: { url: 'x' } });
  const defaults = (await call('GET', 'domains/config/default')).body.config;
  assert.equal(defaults.identity.driver, 'sql');
  assert.equal((await call('GET', 'domains/config/ldap/url/default')).body.config.url, defaults.ldap.url);
  assert.deepEqual((await call('GET', 'domains/config/identity/default')).body.config, { identity: defaults.identity });
});

test('everybody may read what passwords must be like', async () => {
  const { token } = await makeTenant(api);
  const read = (path: string) =>
    api.call({ method: 'GET', path: `/identity/v3/domains/default/config/${path}`, token });
  const { config } = (await read('security_compliance')).body;
  assert.deepEqual(config, {
    security_compliance: { password_regex: '.{4,}', password_regex_description: 'four characters' },
  });
  assert.deepEqual((await read('security_compliance/password_regex')).body.config, { password_regex: '.{4,}' });
  for (const other of ['other', 'constructor']) {
    assert.equal((await read(`security_compliance/${other}`)).status, 403);
  }
  assert.equal((await read('identity')).status, 403);
});

test('the role of a domain may be given on any domain, and only in projects of its own', async () => {
  const [one, two] = [await make('domain', { name: unique() }), await make('domain', { name: unique() })];
  const role = await make('role', { name: unique(), domain_id: one.id });
  const { user, project, password } = await makeTenant(api);
  const own = await make('project', { name: unique(), domain_id: one.id });
  const grant = (place: string) => call('PUT', `${place}/users/${user.id}/roles/${role.id}`);
  assert.equal((await grant(`domains/${two.id}`)).status, 204);
  assert.equal((await grant(`domains/${one.id}`)).status, 204);
  assert.equal((await grant(`projects/${own.id}`)).status, 204);
  assert.equal((await grant(`projects/${project.id}`)).status, 403);
  assert.equal((await grant('system')).status, 400);
  const reader = (await call('GET', 'roles?name=reader')).body.roles[0];
  await call('PUT', `roles/${role.id}/implies/${reader.id}`);
  const auth = { identity: byPassword(user.id, password), scope: { domain: { id: two.id } } };
  const { body } = await api.call({ method: 'POST', path: '/identity/v3/auth/tokens', body: { auth } });
  assert.deepEqual(
    body.token.roles.map(({ name }: { name: string }) => name),
    ['reader'],
    'it counts by what it implies',
  );
});

test('what has ended tokens is told: a revoked one, a changed password, who and what was disabled or deleted', async () => {
  const { user, project, token } = await makeTenant(api);
  const since = new Date().toISOString();
  const { status } = await api.call({
    method: 'DELETE',
    path: '/identity/v3/auth/tokens',
    token: api.admin,
    headers: { 'x-subject-token': token },
  });
  assert.equal(status, 204);
  await call('PATCH', `users/${user.id}`, { user: { description: 'ends nothing' } });
  await call('PATCH', `users/${user.id}`, { user: { password: 'another one' } });
  await call('PATCH', `projects/${project.id}`, { project: { enabled: false } });
  await call('DELETE', `users/${user.id}`);
  const { body } = await call('GET', `OS-REVOKE/events?since=${encodeURIComponent(since)}`);
  const kinds = body.events.map((event: Record<string, string>) =>
    Object.keys(event).find((key) => key.endsWith('_id')),
  );
  assert.deepEqual(kinds, ['audit_id', 'user_id', 'project_id', 'user_id']);
  assert.match(body.events[0].issued_before, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.equal((await call('GET', 'OS-REVOKE/events?since=soon')).status, 400);
  assert.deepEqual((await call('GET', 'OS-REVOKE/events?since=2999-01-01T00:00:00Z')).body.events, []);
});

const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const bare = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;
/** Every time that this dialect tells, in the form that Keystone tells it. */
const times: Record<string, RegExp> = {
  issued_at: zoned,
  'expires_at of tokens': zoned,
  'password_expires_at of tokens': bare,
  'password_expires_at of users': bare,
  'expires_at of application credentials': bare,
  'expires_at of trusts': zoned,
};

test("every time has its own field's form", async () => {
  await using aged = await testApi({ passwordPolicy: { ...noPolicy, days: 9 } });
  const tenant = await makeTenant(aged);
  const as = (method: 'GET' | 'POST', path: string, body?: unknown, headers?: Record<string, string>) =>
    aged.call({ method, path: `/identity/v3/${path}`, token: tenant.token, body, ...(headers && { headers }) });
  const { token } = (await as('GET', 'auth/tokens', undefined, { 'x-subject-token': tenant.token })).body;
  const end = '2999-01-31T12:00:00';
  const application = await as('POST', `users/${tenant.user.id}/application_credentials`, {
    application_credential: { name: 'a', expires_at: end },
  });
  const trust = await as('POST', 'OS-TRUST/trusts', {
    trust: {
      ...{ trustor_user_id: tenant.user.id, trustee_user_id: tenant.user.id, impersonation: false, expires_at: end },
      ...{ project_id: tenant.project.id, roles: [{ name: 'member' }] },
    },
  });
  const told: Record<string, string> = {
    issued_at: token.issued_at,
    'expires_at of tokens': token.expires_at,
    'password_expires_at of tokens': token.user.password_expires_at,
    'password_expires_at of users': tenant.user.password_expires_at,
    'expires_at of application credentials': application.body.application_credential.expires_at,
    'expires_at of trusts': trust.body.trust.expires_at,
  };
  assert.deepEqual(Object.keys(told).sort(), Object.keys(times).sort());
  for (const [name, form] of Object.entries(times)) assert.match(String(told[name]), form, name);
});

test('a page can not go on from what there is not', async () => {
  for (const list of ['users', 'projects', 'domains', 'groups', 'roles']) {
    const { status, body } = await call('GET', `${list}?marker=01a1fc2d-0000-7000-8000-000000000000`);
    assert.equal(status, 404, list);
    assert.match(body.error.message, /marker/i);
    assert.equal((await call('GET', `${list}?marker=none`)).status, 404);
  }
});
