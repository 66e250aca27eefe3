/** Multi-factor rules and receipts, as Keystone's clients meet them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asAdministrator, byPassword, makeTenant, type TestApi, testApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await testApi();
});
after(() => api[Symbol.asyncDispose]());

type Tenant = Awaited<ReturnType<typeof makeTenant>>;

const setRules = async (tenant: Tenant, options: object) => {
  const { call } = asAdministrator(api);
  const answer = await call('PATCH', `users/${tenant.user.id}`, { user: { options } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
};
const login = (identity: object, receipt?: string) =>
  api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity } },
    ...(receipt === undefined ? {} : { headers: { 'openstack-auth-receipt': receipt } }),
  });

test('a password alone does not meet a rule that asks for more: 401 with a receipt and what is missing', async () => {
  const tenant = await makeTenant(api);
  const own = byPassword(tenant.user.id, tenant.password);
  const rules = [['password', 'totp'], ['token', 'password'], ['application_credential']];
  await setRules(tenant, { multi_factor_auth_enabled: true, multi_factor_auth_rules: rules });
  const refused = await login(own);
  assert.equal(refused.status, 401);
  assert.equal(refused.headers['x-subject-token'], undefined);
  assert.ok(refused.headers['openstack-auth-receipt']);
  const { receipt, required_auth_methods } = refused.body;
  assert.deepEqual(required_auth_methods, rules.slice(0, 2), 'the rules that a password is a part of');
  assert.deepEqual(receipt.methods, ['password']);
  assert.deepEqual(receipt.user, {
    id: tenant.user.id,
    name: tenant.user.name,
    domain: { id: tenant.user.domain_id, name: 'Default' },
  });
  assert.match(receipt.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.equal((await login(byPassword(tenant.user.id, 'wrong'))).headers['openstack-auth-receipt'], undefined);
});

test('a rule that is met, no rule, and rules that are switched off let in', async () => {
  const tenant = await makeTenant(api);
  const own = byPassword(tenant.user.id, tenant.password);
  for (const options of [
    { multi_factor_auth_rules: [['password', 'totp'], ['password']] },
    { multi_factor_auth_rules: [] },
    { multi_factor_auth_enabled: false, multi_factor_auth_rules: [['password', 'totp']] },
    { multi_factor_auth_enabled: null, multi_factor_auth_rules: null },
  ]) {
    await setRules(tenant, options);
    assert.equal((await login(own)).status, 201, JSON.stringify(options));
  }
  await setRules(tenant, { multi_factor_auth_rules: [['password', 'totp']] });
  assert.equal((await login(own)).status, 401, 'on is the default');
});

test('rules bind tokens and application credentials, too; a receipt and the rest of the rule together are enough', async () => {
  const tenant = await makeTenant(api);
  const made = await api.call({
    method: 'POST',
    path: `/identity/v3/users/${tenant.user.id}/application_credentials`,
    token: tenant.token,
    body: { application_credential: { name: 'c' } },
  });
  const { id, secret } = made.body.application_credential;
  const credential = { methods: ['application_credential'], application_credential: { id, secret } };
  await setRules(tenant, { multi_factor_auth_rules: [['password', 'application_credential']] });
  const password = byPassword(tenant.user.id, tenant.password);
  const token = { methods: ['token'], token: { id: tenant.token } };
  for (const identity of [password, credential, token]) assert.equal((await login(identity)).status, 401);
  const receipt = String((await login(password)).headers['openstack-auth-receipt']);
  const both = await login(credential, receipt);
  assert.equal(both.status, 201, JSON.stringify(both.body));
  assert.deepEqual(both.body.token.methods.sort(), ['application_credential', 'password']);

  const another = await makeTenant(api);
  assert.equal((await login(byPassword(another.user.id, another.password), receipt)).status, 401, "another's receipt");
  const forged = `${receipt.slice(0, -3)}${receipt.endsWith('AAA') ? 'BBB' : 'AAA'}`;
  for (const bad of [forged, 'x', '', tenant.token]) assert.equal((await login(credential, bad)).status, 401, bad);
  const asToken = await api.call({ method: 'GET', path: '/identity/v3/auth/projects', token: receipt });
  assert.equal(asToken.status, 401, 'a receipt is no token');
});

test('who is disabled gets no receipt; what is no list of rules is refused', async () => {
  const tenant = await makeTenant(api);
  await setRules(tenant, { multi_factor_auth_rules: [['totp', 'password']] });
  const { call } = asAdministrator(api);
  await call('PATCH', `users/${tenant.user.id}`, { user: { enabled: false } });
  const refused = await login(byPassword(tenant.user.id, tenant.password));
  assert.deepEqual([refused.status, refused.headers['openstack-auth-receipt']], [401, undefined]);
  for (const options of [
    { multi_factor_auth_enabled: 'yes' },
    { multi_factor_auth_rules: 'password' },
    { multi_factor_auth_rules: [[]] },
    { multi_factor_auth_rules: [['password', 'password']] },
    { multi_factor_auth_rules: [['password'], 7] },
  ]) {
    const answer = await call('PATCH', `users/${tenant.user.id}`, { user: { options } });
    assert.equal(answer.status, 400, JSON.stringify(options));
  }
});
