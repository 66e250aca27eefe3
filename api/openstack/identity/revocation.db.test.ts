/** What ends a token, in this process and in another one over the same database. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import type { IdentityService } from '../../../control/identity/index.ts';
import { PasswordHasher } from '../../../control/identity/index.ts';
import { adminPassword, testIdentity } from '../../../control/identity/testing.ts';
import { patienceMs } from '../../../test/support/until.ts';
import { byPassword, makeTenant, type TestApi, testApi } from './testing.ts';

let api: TestApi;
let other: IdentityService;
before(async () => {
  api = await testApi();
  ({ identity: other } = await api.cloud.another());
});
after(() => api[Symbol.asyncDispose]());

type Tenant = Awaited<ReturnType<typeof makeTenant>>;
const v3 = '/identity/v3';
const admin = (method: 'PUT' | 'PATCH' | 'DELETE' | 'POST' | 'GET', path: string, body?: unknown) =>
  api.call({ method, path: `${v3}${path}`, token: api.admin, body });
const roleId = async (name: string) => (await admin('GET', `/roles?name=${name}`)).body.roles[0].id as string;

async function isRefused(identity: IdentityService, token: string): Promise<boolean> {
  try {
    await identity.authenticate(token, 'req-test');
    return false;
  } catch (error) {
    assert.ok(isCloudError(error, 'unauthenticated'), String(error));
    return true;
  }
}

/** The change feed carries it to the other process: soon, not at once. */
async function becomesRefused(identity: IdentityService, token: string): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    if (await isRefused(identity, token)) return true;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return false;
}

/** The deed that ends a tenant's token, each by its own way. */
const endings: Record<string, (tenant: Tenant) => Promise<unknown>> = {
  'the token is revoked': (tenant) =>
    api.call({
      method: 'DELETE',
      path: `${v3}/auth/tokens`,
      token: tenant.token,
      headers: { 'x-subject-token': tenant.token },
    }),
  'the user is disabled': (tenant) => admin('PATCH', `/users/${tenant.user.id}`, { user: { enabled: false } }),
  'the user is disabled and enabled again': async (tenant) => {
    await admin('PATCH', `/users/${tenant.user.id}`, { user: { enabled: false } });
    await admin('PATCH', `/users/${tenant.user.id}`, { user: { enabled: true } });
  },
  'the user is deleted': (tenant) => admin('DELETE', `/users/${tenant.user.id}`),
  'the user changes the password': (tenant) =>
    api.call({
      method: 'POST',
      path: `${v3}/users/${tenant.user.id}/password`,
      body: { user: { original_password: tenant.password, password: 'new' } },
    }),
  'an administrator changes the password': (tenant) =>
    admin('PATCH', `/users/${tenant.user.id}`, { user: { password: 'new' } }),
  'the project is disabled': (tenant) =>
    admin('PATCH', `/projects/${tenant.project.id}`, { project: { enabled: false } }),
  'the project is deleted': (tenant) => admin('DELETE', `/projects/${tenant.project.id}`),
  'the last role is taken away': async (tenant) =>
    admin('DELETE', `/projects/${tenant.project.id}/users/${tenant.user.id}/roles/${await roleId('member')}`),
};

for (const [ending, deed] of Object.entries(endings)) {
  test(`a token is dead when ${ending}`, async () => {
    const tenant = await makeTenant(api);
    assert.ok(!(await isRefused(api.cloud.identity, tenant.token)));
    assert.ok(!(await isRefused(other, tenant.token)), 'the other process holds it now, too');
    const answer = (await deed(tenant)) as { status: number } | undefined;
    if (answer) assert.ok(answer.status < 300, JSON.stringify(answer));
    assert.ok(await isRefused(api.cloud.identity, tenant.token), 'at once in the process that did it');
    assert.ok(await becomesRefused(other, tenant.token), 'soon in another one');
    const asked = await api.call({ method: 'GET', path: `${v3}/auth/projects`, token: tenant.token });
    assert.equal(asked.status, 401);
    assert.match(String(asked.headers['www-authenticate']), /^Keystone uri=/);
    assert.equal(asked.body.error.title, 'Unauthorized');
    const shown = await api.call({
      method: 'GET',
      path: `${v3}/auth/tokens`,
      token: api.admin,
      headers: { 'x-subject-token': tenant.token },
    });
    assert.equal(shown.status, 404, 'as a subject it is not found');
  });
}

test('a token is dead when the domain of its user is disabled', async () => {
  const domain = (await admin('POST', '/domains', { domain: { name: `d-${newId()}` } })).body.domain;
  const user = (await admin('POST', '/users', { user: { name: 'u', domain_id: domain.id, password: 'p' } })).body.user;
  const token = await api.login(byPassword(user.id, 'p'));
  assert.ok(!(await isRefused(other, token)));
  await admin('PATCH', `/domains/${domain.id}`, { domain: { enabled: false } });
  assert.ok(await isRefused(api.cloud.identity, token));
  assert.ok(await becomesRefused(other, token));
});

test('a role that is taken away is gone from a living token, with what it implied', async () => {
  const tenant = await makeTenant(api, ['manager', 'reader']);
  const roles = async (identity: IdentityService) => [...(await identity.authenticate(tenant.token, 'r')).roles].sort();
  assert.deepEqual(await roles(api.cloud.identity), ['manager', 'member', 'reader']);
  await admin('DELETE', `/projects/${tenant.project.id}/users/${tenant.user.id}/roles/${await roleId('manager')}`);
  assert.deepEqual(await roles(api.cloud.identity), ['reader']);
});

test('a role by a group lasts as long as the membership', async () => {
  const tenant = await makeTenant(api, []).catch(() => null);
  assert.equal(tenant, null, 'without any role there is no token in the project');
  const project = (await admin('POST', '/projects', { project: { name: `p-${newId()}` } })).body.project;
  const user = (await admin('POST', '/users', { user: { name: `u-${newId()}`, password: 'p' } })).body.user;
  const group = (await admin('POST', '/groups', { group: { name: `g-${newId()}`.slice(0, 60) } })).body.group;
  await admin('PUT', `/projects/${project.id}/groups/${group.id}/roles/${await roleId('reader')}`);
  await admin('PUT', `/groups/${group.id}/users/${user.id}`);
  const token = await api.login(byPassword(user.id, 'p'), { project: { id: project.id } });
  await admin('DELETE', `/groups/${group.id}`);
  assert.ok(await isRefused(api.cloud.identity, token));
});

test('an application credential ends its tokens with itself, with its time, and with its user’s role', async () => {
  const tenant = await makeTenant(api);
  const path = `${v3}/users/${tenant.user.id}/application_credentials`;
  const make = async (name: string, more: object = {}) =>
    (await api.call({ method: 'POST', path, token: tenant.token, body: { application_credential: { name, ...more } } }))
      .body.application_credential;
  const login = ({ id, secret }: { id: string; secret: string }) =>
    api.login({ methods: ['application_credential'], application_credential: { id, secret } });

  const [first, second, third] = [await make('first'), await make('second'), await make('third')];
  const token = await login(first);
  assert.equal((await api.call({ method: 'DELETE', path: `${path}/${first.id}`, token: tenant.token })).status, 204);
  assert.ok(await isRefused(api.cloud.identity, token), 'deleted');
  await assert.rejects(login(first));

  const late = await login(second);
  await sql`update application_credential set expires_at = now() - interval '1 second' where id = ${second.id}`.execute(
    api.cloud.db.database.query,
  );
  assert.ok(await becomesRefused(api.cloud.identity, late), 'expired');
  await assert.rejects(login(second));

  const last = await login(third);
  await admin('DELETE', `/projects/${tenant.project.id}/users/${tenant.user.id}/roles/${await roleId('member')}`);
  assert.ok(await isRefused(api.cloud.identity, last), 'without a role');
});

test('a token of an application credential ends when the credential does', async () => {
  const tenant = await makeTenant(api);
  const expires = new Date(Date.now() + 60_000).toISOString().replace('Z', '123');
  const { body } = await api.call({
    method: 'POST',
    path: `${v3}/users/${tenant.user.id}/application_credentials`,
    token: tenant.token,
    body: { application_credential: { name: 'short', expires_at: expires } },
  });
  const { id, secret, expires_at } = body.application_credential;
  assert.equal(expires_at, expires, 'to the microsecond, as it was given');
  const token = await api.login({ methods: ['application_credential'], application_credential: { id, secret } });
  const { identity } = api.cloud;
  const { claims } = await identity.show(await identity.authenticate(token, 'r'), token);
  assert.equal(new Date(claims.expiresAt).toISOString(), expires.replace('123', 'Z'));
});

test('forged, foreign, altered and odd tokens are refused, and cost the database nothing', async () => {
  const tenant = await makeTenant(api);
  const [header = '', payload = ''] = tenant.token.split('.');
  const kid = JSON.parse(Buffer.from(header, 'base64url').toString()).kid;
  const forged = createHmac('sha256', 'guessed').update(`${header}.${payload}`).digest('base64url');
  const body = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const later = Buffer.from(JSON.stringify({ ...body, exp: body.exp + 1000 })).toString('base64url');
  const unknown = Buffer.from(JSON.stringify({ alg: 'HS256', kid: newId() })).toString('base64url');
  const tokens = [
    `${header}.${payload}.${forged}`,
    `${header}.${later}.${tenant.token.split('.')[2]}`,
    `${unknown}.${payload}.${forged}`,
    'gAAAAABmZZ',
    'x'.repeat(5000),
    '.',
  ];
  assert.ok(kid);
  for (const token of tokens) {
    assert.ok(await isRefused(api.cloud.identity, token));
    assert.equal((await api.call({ method: 'GET', path: `${v3}/auth/projects`, token })).status, 401);
  }
});

test('an expired token is refused', async () => {
  await using cloud = await testIdentity({ tokenLifetimeMs: 40 });
  const token = await adminToken(cloud.identity);
  assert.ok(!(await isRefused(cloud.identity, token)));
  assert.ok(await becomesRefused(cloud.identity, token));
});

/** This process's clock is so far from the database's. */
function clockOff(t: TestContext, byMs: number): void {
  const now = Date.now.bind(Date);
  t.mock.method(Date, 'now', () => now() + byMs);
}

const hourMs = 3_600_000;

test('a clock that is behind prolongs no token, and revives none that was revoked', async (t) => {
  await using cloud = await testIdentity({ tokenLifetimeMs: 1500 });
  const { identity } = cloud;
  clockOff(t, -hourMs);
  const first = await adminToken(identity);
  const caller = await identity.authenticate(first, 'r');
  await identity.revoke(caller, first);
  // Another revocation takes away those whose tokens have ended.
  await sql`select pg_sleep(extract(epoch from max(expires_at) - clock_timestamp())) from token_revocation`.execute(
    cloud.db.database.query,
  );
  const third = await adminToken(identity);
  await identity.revoke(caller, third);
  for (const token of [first, third]) assert.ok(await isRefused(identity, token));
});

test('a clock that is ahead ends no token, and keys sign as long as ever', async (t) => {
  await using cloud = await testIdentity({ tokenLifetimeMs: hourMs / 2 });
  clockOff(t, 8 * 24 * hourMs);
  const { identity } = await cloud.another({ tokenLifetimeMs: hourMs / 2 });
  const token = await adminToken(identity);
  for (const each of [identity, identity, cloud.identity]) assert.ok(!(await isRefused(each, token)));
  const { rows } = await sql<{ keys: number }>`select count(*)::integer as keys from token_key`.execute(
    cloud.db.database.query,
  );
  assert.equal(rows[0]!.keys, 1);
});

async function adminToken(identity: IdentityService): Promise<string> {
  const proof = { method: 'password', user: await adminReference(identity), password: adminPassword } as const;
  return (await identity.login({ proofs: [proof], scope: null }, 'r')).token;
}

async function adminReference(identity: IdentityService) {
  return { name: 'admin', domain: { id: identity.defaultDomainId } };
}

test('tokens live on over a rotation of keys and are known to a process that has not seen the new key', async () => {
  const before = await makeTenant(api);
  await api.cloud.identity.keys.rotate();
  const after = await makeTenant(api);
  const keyOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid;
  assert.notEqual(keyOf(before.token), keyOf(after.token));
  assert.ok(!(await isRefused(api.cloud.identity, before.token)));
  const deadline = Date.now() + patienceMs;
  // Unknown keys are looked up at most once a second.
  while ((await isRefused(other, after.token)) && Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!(await isRefused(other, after.token)));
  assert.ok(!(await isRefused(other, before.token)));
});

test('while the change feed does not listen, every validation reads the database', async () => {
  const deaf = { listening: false, subscribe: () => () => {}, onTurn: () => () => {} };
  const { identity } = await api.cloud.another({ feed: deaf });
  const tenant = await makeTenant(api);
  assert.ok(!(await isRefused(identity, tenant.token)));
  await admin('PATCH', `/users/${tenant.user.id}`, { user: { enabled: false } });
  assert.ok(await isRefused(identity, tenant.token), 'at once, although nothing told it');
});

test('what was copied before the feed went deaf does not come back when it hears again', async () => {
  const feed = { listening: true, subscribe: () => () => {}, onTurn: () => () => {} };
  const { identity } = await api.cloud.another({ feed });
  const tenant = await makeTenant(api);
  assert.ok(!(await isRefused(identity, tenant.token)));
  feed.listening = false;
  assert.ok(!(await isRefused(identity, tenant.token)));
  await admin('PATCH', `/users/${tenant.user.id}`, { user: { enabled: false } });
  feed.listening = true;
  assert.ok(await isRefused(identity, tenant.token));
});

test('a login that overlaps a password change can not outlive it', async () => {
  const tenant = await makeTenant(api);
  // The password is compared, then the change commits, then the token would be issued.
  let go: () => void = () => {};
  const compared = new Promise<void>((resolve) => {
    go = resolve;
  });
  class Slow extends PasswordHasher {
    override async verify(...args: Parameters<PasswordHasher['verify']>) {
      const right = await super.verify(...args);
      await compared;
      return right;
    }
    override outdated() {
      return false;
    }
  }
  const { identity } = await api.cloud.another({
    passwords: new Slow({ cost: { memoryKiB: 64, passes: 1, parallelism: 1 } }),
  });
  const { Secret } = await import('../../../contract/secret.ts');
  const login = identity.login(
    {
      proofs: [{ method: 'password', user: { id: tenant.user.id }, password: new Secret(tenant.password) }],
      scope: null,
    },
    'r',
  );
  const settled = assert.rejects(login, (error) => isCloudError(error, 'unauthenticated'));
  // The row is read before the hash is computed; give that read its time by reading once ourselves.
  await api.cloud.db.database.reachable();
  await admin('PATCH', `/users/${tenant.user.id}`, { user: { password: 'new' } });
  go();
  await settled;
});
