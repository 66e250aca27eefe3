/** The ways to a token, and the ways that do not lead to one. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { PasswordHasher } from '../../../control/identity/index.ts';
import { adminPassword } from '../../../control/identity/testing.ts';
import { byPassword, makeTenant, type TestApi, testApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await testApi();
});
after(() => api[Symbol.asyncDispose]());

const path = '/identity/v3/auth/tokens';
const ask = (identity: unknown, scope?: unknown) =>
  api.call({ method: 'POST', path, body: { auth: { identity, ...(scope === undefined ? {} : { scope }) } } });
const admin = (method: 'PUT' | 'PATCH' | 'DELETE' | 'POST' | 'GET', to: string, body?: unknown) =>
  api.call({ method, path: `/identity/v3${to}`, token: api.admin, body });
const tokenOf = (answer: { headers: Record<string, unknown> }) => String(answer.headers['x-subject-token']);
const byToken = (id: string) => ({ methods: ['token'], token: { id } });

test('the default domain can be named default wherever a domain id comes in', async () => {
  const user = { name: 'admin', domain: { id: 'default' }, password: adminPassword.reveal() };
  const identity = { methods: ['password'], password: { user } };
  for (const domain of [
    { id: 'default' },
    { id: api.defaultDomain },
    { id: api.defaultDomain.replaceAll('-', '') },
    { name: 'Default' },
  ]) {
    assert.equal((await ask(identity, { project: { name: 'admin', domain } })).status, 201, JSON.stringify(domain));
  }
  assert.equal((await admin('GET', '/domains/default')).body.domain.id, 'default');
  assert.equal((await admin('GET', '/projects?domain_id=default')).body.projects.length, 1);
  const made = await admin('POST', '/projects', {
    project: { name: 'in default', domain_id: 'default', parent_id: 'default' },
  });
  assert.equal(made.body.project.domain_id, 'default');
  assert.equal(made.body.project.parent_id, 'default', 'a project at the top has its domain as parent');
});

test('who was wrong often for one name, known or not, waits before the next try', async () => {
  const known = `known ${newId()}`;
  await admin('POST', '/users', { user: { name: known, password: 'right' } });
  for (const name of [known, `unknown ${newId()}`]) {
    const login = (password: string) =>
      ask({ methods: ['password'], password: { user: { name, domain: { id: 'default' }, password } } });
    for (let n = 0; n < 10; n++) assert.equal((await login(`guess ${n}`)).status, 401);
    const held = await login('right');
    assert.equal(held.status, 429);
    assert.match(held.body.error.message, /too many wrong logins of this user from this address; try again in 1 s/);
    assert.equal(held.headers['retry-after'], '1');
  }
});

test('wrong passwords, users, projects and domains all get the same answer', async () => {
  const tenant = await makeTenant(api);
  const other = await makeTenant(api);
  const right = byPassword(tenant.user.id, tenant.password);
  const refused = [
    await ask(byPassword(tenant.user.id, 'wrong')),
    await ask(byPassword('01a1fc2d-0000-7000-8000-000000000000', 'wrong')),
    await ask(byPassword('not an id', 'wrong')),
    await ask(byPassword(tenant.user.id, 'x'.repeat(5000))),
    await ask({
      methods: ['password'],
      password: { user: { name: 'nobody', domain: { name: 'nowhere' }, password: 'x' } },
    }),
    await ask(right, { project: { id: other.project.id } }),
    await ask(right, { project: { name: other.project.name, domain: { id: 'default' } } }),
    await ask(right, { project: { id: 'not an id' } }),
    await ask(right, { domain: { id: 'default' } }),
    await ask(right, { system: { all: true } }),
  ];
  const [first] = refused;
  assert.equal(first!.status, 401);
  for (const answer of refused) assert.deepEqual([answer.status, answer.body], [401, first!.body]);
  assert.equal((await ask({ methods: ['oauth9'] })).status, 401);
  assert.equal((await ask(byToken('forged'))).status, 404, 'as Keystone says of a token that is the proof');
});

test('malformed requests are 400, in Keystone’s form', async () => {
  const bodies = [
    undefined,
    {},
    { auth: null },
    { auth: [] },
    { auth: { identity: {} } },
    { auth: { identity: { methods: 'password' } } },
    { auth: { identity: { methods: [] } } },
    { auth: { identity: { methods: ['password'] } } },
    { auth: { identity: { methods: ['password'], password: { user: {} } } } },
    { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'x' } } } } },
    { auth: { identity: { methods: ['password'], password: { user: { id: 1, password: 'x' } } } } },
    { auth: { identity: byPassword('x', 'nul \0') } },
    { auth: { identity: byPassword('x', 'y'), scope: {} } },
    { auth: { identity: byPassword('x', 'y'), scope: { project: {} } } },
    { auth: { identity: byPassword('x', 'y'), scope: { project: { name: 'x' } } } },
    { auth: { identity: byPassword('x', 'y'), scope: { system: {} } } },
    { auth: { identity: byPassword('x', 'y'), scope: { project: { id: 'x' }, domain: { id: 'y' } } } },
  ];
  for (const body of bodies) {
    const answer = await api.call({ method: 'POST', path, body });
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.deepEqual(Object.keys(answer.body.error), ['code', 'message', 'title']);
  }
  const broken = await api.app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/json' },
    payload: '{"auth": ',
  });
  assert.equal(broken.statusCode, 400);
  const huge = await api.app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/json' },
    payload: `{"auth": "${'x'.repeat(2_000_000)}"}`,
  });
  assert.equal(huge.statusCode, 413);
});

test('without a scope the default project counts where it holds, and else the token is unscoped', async () => {
  const tenant = await makeTenant(api);
  const project = async () => (await ask(byPassword(tenant.user.id, tenant.password))).body.token.project;
  assert.equal(await project(), undefined);
  await admin('PATCH', `/users/${tenant.user.id}`, { user: { default_project_id: tenant.project.id } });
  assert.equal((await project()).id, tenant.project.id);
  const explicit = await ask(byPassword(tenant.user.id, tenant.password), 'unscoped');
  assert.equal(explicit.body.token.project, undefined);
  await admin('PATCH', `/projects/${tenant.project.id}`, { project: { enabled: false } });
  assert.equal(await project(), undefined);
});

test('a token can be scoped anew; it lasts no longer, and revoking the new one leaves the old', async () => {
  const tenant = await makeTenant(api);
  const unscoped = await ask(byPassword(tenant.user.id, tenant.password));
  const scoped = await ask(byToken(tokenOf(unscoped)), { project: { id: tenant.project.id } });
  assert.equal(scoped.status, 201);
  assert.equal(scoped.body.token.expires_at, unscoped.body.token.expires_at);
  assert.deepEqual(new Set(scoped.body.token.methods), new Set(['password', 'token']));
  assert.deepEqual(scoped.body.token.user, unscoped.body.token.user);
  assert.equal(scoped.body.token.audit_ids[1], unscoped.body.token.audit_ids[0]);
  const third = await ask(byToken(tokenOf(scoped)), { project: { id: tenant.project.id } });
  assert.equal(third.body.token.audit_ids[1], unscoped.body.token.audit_ids[0], 'the chain keeps its first');
  assert.equal(third.body.token.expires_at, unscoped.body.token.expires_at);
  await api.call({ method: 'DELETE', path, token: tokenOf(scoped), headers: { 'x-subject-token': tokenOf(scoped) } });
  assert.equal((await ask(byToken(tokenOf(scoped)))).status, 404);
  assert.equal((await ask(byToken(tokenOf(unscoped)), { project: { id: tenant.project.id } })).status, 201);
});

test('scoping anew widens nothing', async () => {
  const tenant = await makeTenant(api);
  const other = await makeTenant(api);
  for (const scope of [
    { project: { id: other.project.id } },
    { domain: { id: 'default' } },
    { system: { all: true } },
  ]) {
    assert.equal((await ask(byToken(tenant.token), scope)).status, 401, JSON.stringify(scope));
  }
  const system = await ask(byToken(api.admin), { system: { all: true } });
  assert.equal(system.status, 201, 'an administrator has a role there');
  assert.equal(
    (await ask(byToken(tokenOf(system)), { project: { name: 'admin', domain: { id: 'default' } } })).status,
    403,
    'as Keystone',
  );
});

test('two methods must be of one user', async () => {
  const [one, two] = [await makeTenant(api), await makeTenant(api)];
  const both = (token: string) => ({
    ...byPassword(one.user.id, one.password),
    methods: ['password', 'token'],
    token: { id: token },
  });
  const own = await ask(both(one.token));
  assert.deepEqual([own.status, own.body.token.methods], [201, ['password', 'token']]);
  assert.equal((await ask(both(two.token))).status, 401);
});

test('an application credential gives a token for its project and roles, and for no other scope', async () => {
  const tenant = await makeTenant(api, ['member']);
  const url = `/identity/v3/users/${tenant.user.id}/application_credentials`;
  const make = (body: object) =>
    api.call({ method: 'POST', path: url, token: tenant.token, body: { application_credential: body } });
  const made = await make({
    name: '小屋 🏔 "x"; drop',
    secret: 'my own',
    roles: [{ name: 'reader' }],
    description: 'd',
  });
  assert.equal(made.status, 201);
  const { id, secret, roles, project_id } = made.body.application_credential;
  assert.deepEqual([secret, roles.length, roles[0].name, project_id], ['my own', 1, 'reader', tenant.project.id]);
  const byId = { methods: ['application_credential'], application_credential: { id, secret } };
  const byName = {
    methods: ['application_credential'],
    application_credential: {
      name: '小屋 🏔 "x"; drop',
      secret,
      user: { name: tenant.user.name, domain: { id: 'default' } },
    },
  };
  for (const identity of [byId, byName]) {
    const { token } = (await ask(identity)).body;
    assert.equal(token.project.id, tenant.project.id);
    assert.deepEqual(
      token.roles.map((role: { name: string }) => role.name),
      ['reader'],
    );
    assert.deepEqual(token.application_credential, { id, name: '小屋 🏔 "x"; drop', restricted: true });
    assert.deepEqual(token.methods, ['application_credential']);
  }
  assert.equal((await ask(byId, { project: { id: tenant.project.id } })).status, 403);
  assert.equal((await ask({ ...byId, application_credential: { id, secret: 'wrong' } })).status, 401);

  const token = await api.login(byId);
  assert.equal((await ask(byToken(token), { system: { all: true } })).status, 403);
  const again = await ask(byToken(token));
  assert.equal(again.body.token.application_credential.id, id, 'it stays a token of the credential');
  const forbidden = await api.call({
    method: 'POST',
    path: url,
    token,
    body: { application_credential: { name: 'more' } },
  });
  assert.equal(forbidden.status, 403, 'a restricted credential makes no others');
  assert.equal((await api.call({ method: 'DELETE', path: `${url}/${id}`, token })).status, 403);
  const shown = await api.call({ method: 'GET', path: `${url}/${id}`, token });
  assert.ok(!('secret' in shown.body.application_credential));

  assert.equal((await make({ name: '小屋 🏔 "x"; drop' })).status, 409);
  assert.equal((await make({ name: 'too much', roles: [{ name: 'admin' }] })).status, 400);
  assert.equal((await make({ name: 'past', expires_at: '2001-01-01T00:00:00' })).status, 400);
  for (const expires_at of ['tomorrow', '2030-02-30T00:00:00', '2030-01-01']) {
    assert.equal((await make({ name: 'odd', expires_at })).status, 400, expires_at);
  }
  assert.equal((await make({ name: '' })).status, 400);
  const unrestricted = (await make({ name: 'free', unrestricted: true })).body.application_credential;
  const free = await api.login({
    methods: ['application_credential'],
    application_credential: { id: unrestricted.id, secret: unrestricted.secret },
  });
  assert.equal(
    (
      await api.call({
        method: 'POST',
        path: url,
        token: free,
        body: { application_credential: { name: 'made by it' } },
      })
    ).status,
    201,
  );
  const listed = await api.call({ method: 'GET', path: `${url}?name=free`, token: tenant.token });
  assert.deepEqual(
    listed.body.application_credentials.map((one: { name: string }) => one.name),
    ['free'],
  );
});

test('access rules bound what the credential’s tokens may ask for, and outlive the credential', async () => {
  const tenant = await makeTenant(api);
  const url = `/identity/v3/users/${tenant.user.id}`;
  const rule = { service: 'identity', method: 'GET', path: '/v3/auth/projects' };
  const made = await api.call({
    method: 'POST',
    path: `${url}/application_credentials`,
    token: tenant.token,
    body: { application_credential: { name: 'bound', access_rules: [rule] } },
  });
  const { id, secret, access_rules } = made.body.application_credential;
  const { id: ruleId, ...rest } = access_rules[0];
  assert.deepEqual(rest, rule);
  const token = await api.login({ methods: ['application_credential'], application_credential: { id, secret } });
  const get = (to: string) => api.call({ method: 'GET', path: `/identity/v3${to}`, token });
  assert.equal((await get('/auth/projects')).status, 200);
  assert.equal((await get('/auth/domains')).status, 403);
  const rules = () => api.call({ method: 'GET', path: `${url}/access_rules`, token: tenant.token });
  const remove = () => api.call({ method: 'DELETE', path: `${url}/access_rules/${ruleId}`, token: tenant.token });
  assert.equal((await remove()).status, 403, 'in use');
  await api.call({ method: 'DELETE', path: `${url}/application_credentials/${id}`, token: tenant.token });
  assert.equal((await rules()).body.access_rules.length, 1);
  assert.equal(
    (await api.call({ method: 'GET', path: `${url}/access_rules/${ruleId}`, token: tenant.token })).status,
    200,
  );
  assert.equal((await remove()).status, 204);
  assert.equal((await rules()).body.access_rules.length, 0);
});

test('a token with access rules is shown only to a service that says that it follows them', async () => {
  const tenant = await makeTenant(api);
  const made = async (rules: object) => {
    const answer = await api.call({
      method: 'POST',
      path: `/identity/v3/users/${tenant.user.id}/application_credentials`,
      token: tenant.token,
      body: { application_credential: { name: crypto.randomUUID(), ...rules } },
    });
    const { id, secret } = answer.body.application_credential;
    return api.login({ methods: ['application_credential'], application_credential: { id, secret } });
  };
  const show = async (token: string, headers: Record<string, string> = {}) =>
    (await api.call({ method: 'GET', path, token: api.admin, headers: { 'x-subject-token': token, ...headers } }))
      .status;
  const bound = await made({ access_rules: [{ service: 'compute', method: 'GET', path: '/v2.1/servers' }] });
  assert.equal(await show(bound), 404);
  assert.equal(await show(bound, { 'openstack-identity-access-rules': '0.9' }), 404);
  assert.equal(await show(bound, { 'openstack-identity-access-rules': 'x' }), 404);
  assert.equal(await show(bound, { 'openstack-identity-access-rules': '1.0' }), 200);
  assert.equal(await show(await made({})), 200, 'without rules there is nothing to follow');
});

test('a password hashed at another cost is hashed anew at the next login', async () => {
  const tenant = await makeTenant(api);
  const { identity } = await api.cloud.another({
    passwords: new PasswordHasher({ cost: { memoryKiB: 128, passes: 1, parallelism: 1 } }),
  });
  const hash = async () =>
    (
      await sql<{ hash: string }>`select hash from user_password where user_id = ${tenant.user.id}`.execute(
        api.cloud.db.database.query,
      )
    ).rows[0]!.hash;
  assert.match(await hash(), /m=64,/);
  const { Secret } = await import('../../../contract/secret.ts');
  await identity.login(
    {
      proofs: [{ method: 'password', user: { id: tenant.user.id }, password: new Secret(tenant.password) }],
      scope: null,
    },
    'r',
  );
  assert.match(await hash(), /m=128,/);
  assert.equal((await ask(byPassword(tenant.user.id, tenant.password))).status, 201);
  await api.cloud.identity.authenticate(tenant.token, 'r');
});

test('no secret reaches the change log', async () => {
  const tenant = await makeTenant(api);
  const { rows } = await sql<{ text: string }>`select string_agg(body::text, ' ') as text from change`.execute(
    api.cloud.db.database.query,
  );
  const { text } = rows[0]!;
  for (const secret of ['argon2id', tenant.password, adminPassword.reveal(), tenant.token.split('.')[2]!]) {
    assert.ok(!text.includes(secret), secret.slice(0, 8));
  }
});
