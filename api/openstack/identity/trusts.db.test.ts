/** Trusts (OS-TRUST), as Keystone's clients use them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asAdministrator, byPassword, makeTenant, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
type Tenant = Awaited<ReturnType<typeof makeTenant>>;
let trustor: Tenant;
let trustee: Tenant;

before(async () => {
  api = await testApi();
  [trustor, trustee] = [await makeTenant(api, ['member', 'reader']), await makeTenant(api)];
});
after(() => api[Symbol.asyncDispose]());

const as = (token: string, method: 'GET' | 'HEAD' | 'POST' | 'DELETE', path: string, body?: unknown) =>
  api.call({ method, path: `/identity/v3/${path}`, token, body });

const wish = (over: object = {}) => ({
  trustor_user_id: trustor.user.id,
  trustee_user_id: trustee.user.id,
  project_id: trustor.project.id,
  impersonation: true,
  roles: [{ name: 'member' }],
  ...over,
});
const ask = (over: object = {}, token = trustor.token) => as(token, 'POST', 'OS-TRUST/trusts', { trust: wish(over) });
const make = async (over: object = {}, token?: string) => {
  const answer = await ask(over, token);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.trust;
};

const login = (id: string, by: Tenant = trustee) =>
  api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity: byPassword(by.user.id, by.password), scope: { 'OS-TRUST:trust': { id } } } },
  });
const valid = async (token: string) =>
  (await api.call({ method: 'GET', path: '/identity/v3/auth/tokens', token, headers: { 'x-subject-token': token } }))
    .status === 200;

test('a trustee acts as the trustor, or as themselves, with the roles that are lent and what these imply', async () => {
  for (const impersonation of [true, false]) {
    const trust = await make({ impersonation });
    assert.deepEqual(
      trust.roles.map(({ name }: { name: string }) => name),
      ['member'],
    );
    const answer = await login(trust.id);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { token } = answer.body;
    assert.equal(token.user.id, impersonation ? trustor.user.id : trustee.user.id);
    assert.equal(token.project.id, trustor.project.id);
    assert.deepEqual(token.roles.map(({ name }: { name: string }) => name).sort(), ['member', 'reader']);
    assert.deepEqual(token['OS-TRUST:trust'], {
      id: trust.id,
      impersonation,
      trustor_user: { id: trustor.user.id },
      trustee_user: { id: trustee.user.id },
    });
  }
});

test('only the trustor trusts, with roles that they have, and only the trustee gets a token', async () => {
  assert.equal((await ask({}, trustee.token)).status, 403);
  assert.equal((await ask({ roles: [] })).status, 403);
  assert.equal((await ask({ roles: [{ name: 'admin' }] })).status, 404);
  assert.equal((await ask({ roles: [{ name: 'nothing' }] })).status, 404);
  assert.equal((await ask({ trustee_user_id: crypto.randomUUID() })).status, 404);
  assert.equal((await ask({ project_id: trustee.project.id })).status, 404, 'no role there');
  const trust = await make();
  assert.equal((await login(trust.id, trustor)).status, 403);
  assert.equal((await login(crypto.randomUUID())).status, 401);
});

test('a trust ends its tokens when it ends, when a lent role is taken back, and when one of the two is disabled', async () => {
  const { call } = asAdministrator(api);
  const tokenOf = async (id: string) => String((await login(id)).headers['x-subject-token']);
  const [one, two] = [await make({ impersonation: false }), await make()];
  const tokens = [await tokenOf(one.id), await tokenOf(two.id)];
  for (const token of tokens) assert.ok(await valid(token));
  assert.equal((await as(trustor.token, 'DELETE', `OS-TRUST/trusts/${one.id}`)).status, 204);
  assert.deepEqual(await Promise.all(tokens.map(valid)), [false, true]);
  const role = two.roles[0].id;
  const grant = `projects/${trustor.project.id}/users/${trustor.user.id}/roles/${role}`;
  await call('DELETE', grant);
  assert.ok(!(await valid(tokens[1]!)), 'the trustor has the role no more');
  assert.equal((await login(two.id)).status, 401);
  await call('PUT', grant);
  assert.ok(await valid(tokens[1]!));
  for (const who of [trustor, trustee]) {
    const other = await make();
    await call('PATCH', `users/${who.user.id}`, { user: { enabled: false } });
    assert.equal((await login(other.id)).status, 401);
    await call('PATCH', `users/${who.user.id}`, { user: { enabled: true } });
    who.token = await who.login();
  }
});

test("a trust's token gets no other token and makes no application credential, and ends when the trust does", async () => {
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  const trust = await make({ expires_at: soon });
  const answer = await login(trust.id);
  const token = String(answer.headers['x-subject-token']);
  assert.equal(Date.parse(answer.body.token.expires_at), Date.parse(soon));
  const identity = { methods: ['token'], token: { id: token } };
  const scope = { project: { id: trustor.project.id } };
  const again = await api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity, scope } },
  });
  assert.equal(again.status, 403);
  const own = byPassword(trustee.user.id, trustee.password);
  for (const methods of [
    ['token', 'password'],
    ['password', 'token'],
  ]) {
    const body = {
      auth: { identity: { ...own, ...identity, methods }, scope: { project: { id: trustee.project.id } } },
    };
    const { status } = await api.call({ method: 'POST', path: '/identity/v3/auth/tokens', body });
    assert.equal(status, 403, methods.join());
  }
  const made = await as(token, 'POST', `users/${trustor.user.id}/application_credentials`, {
    application_credential: { name: unique() },
  });
  assert.equal(made.status, 403);
});

test('uses are counted down to the last, also when many come at once', async () => {
  const trust = await make({ remaining_uses: 2 });
  const answers = await Promise.all([1, 2, 3, 4].map(() => login(trust.id)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 403, 403]);
  assert.equal((await as(trustor.token, 'GET', `OS-TRUST/trusts/${trust.id}`)).status, 404);
  assert.equal((await ask({ remaining_uses: 0 })).status, 400);
});

test('a trust is passed on only if it says so, no wider than it is, and ends those that were made from it', async () => {
  const third = await makeTenant(api);
  const closed = await make();
  const tokenOf = async (id: string) => String((await login(id)).headers['x-subject-token']);
  const onward = { trustee_user_id: third.user.id };
  assert.equal((await ask(onward, await tokenOf(closed.id))).status, 403);
  const open = await make({ allow_redelegation: true, redelegation_count: 2 });
  assert.equal(open.redelegation_count, 2);
  const by = await tokenOf(open.id);
  assert.equal(
    (await ask({ ...onward, roles: [{ name: 'reader' }] }, by)).status,
    403,
    'a role that was not lent by name',
  );
  assert.equal((await ask({ ...onward, remaining_uses: 3 }, by)).status, 403);
  const passed = await make({ ...onward, allow_redelegation: true }, by);
  assert.deepEqual([passed.redelegated_trust_id, passed.redelegation_count], [open.id, 1]);
  const token = String((await login(passed.id, third)).headers['x-subject-token']);
  assert.ok(await valid(token));
  assert.equal((await as(trustor.token, 'DELETE', `OS-TRUST/trusts/${open.id}`)).status, 204);
  assert.ok(!(await valid(token)));
  assert.equal((await ask({ allow_redelegation: true, redelegation_count: 9 })).status, 403);
  assert.equal((await ask({ allow_redelegation: true, remaining_uses: 1 })).status, 400);
});

test('the two see it, others do not; roles are told one by one', async () => {
  const stranger = await makeTenant(api);
  const trust = await make();
  const path = `OS-TRUST/trusts/${trust.id}`;
  for (const { token } of [trustor, trustee]) assert.equal((await as(token, 'GET', path)).body.trust.id, trust.id);
  assert.equal((await as(stranger.token, 'GET', path)).status, 403);
  assert.equal((await as(trustee.token, 'DELETE', path)).status, 403);
  assert.equal((await as(stranger.token, 'GET', 'OS-TRUST/trusts')).status, 403);
  assert.equal((await as(stranger.token, 'GET', `OS-TRUST/trusts?trustor_user_id=${trustor.user.id}`)).status, 403);
  const listed = await as(trustee.token, 'GET', `OS-TRUST/trusts?trustee_user_id=${trustee.user.id}`);
  assert.ok(listed.body.trusts.some(({ id, roles }: { id: string; roles: unknown }) => id === trust.id && !roles));
  assert.ok((await as(api.admin, 'GET', 'OS-TRUST/trusts')).body.trusts.length > 0);
  const role = trust.roles[0];
  assert.deepEqual((await as(trustor.token, 'GET', `${path}/roles`)).body.roles, [role]);
  assert.deepEqual((await as(trustor.token, 'GET', `${path}/roles/${role.id}`)).body.role, role);
  assert.equal((await as(trustor.token, 'HEAD', `${path}/roles/${role.id}`)).status, 200);
  assert.equal((await as(trustor.token, 'HEAD', `${path}/roles/${crypto.randomUUID()}`)).status, 404);
});

test('a time that is none, or over, is refused', async () => {
  for (const expires_at of ['bad.123Z', '2020-01-01T00:00:00Z', '2030-02-30T00:00:00Z', '']) {
    assert.equal((await ask({ expires_at })).status, 400, expires_at);
  }
  const trust = await make({ expires_at: '2999-01-31T12:00:00.123456Z' });
  assert.equal(trust.expires_at, '2999-01-31T12:00:00.123456Z', 'with zone and microseconds, as Keystone tells it');
});
