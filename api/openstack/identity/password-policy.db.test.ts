/** What passwords must be, how long they last, what ends guessing: Keystone's security compliance. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { noPolicy } from '../../../control/identity/password-policy.ts';
import { passcode, readSeed } from '../../../control/identity/totp.ts';
import { asAdministrator, byPassword, type TestApi, testApi } from './testing.ts';

let api: TestApi;

before(async () => {
  const policy = { ...noPolicy, pattern: '(?=.*\\d).{8,}', patternDescription: 'eight characters, one a digit' };
  api = await testApi({
    passwordPolicy: { ...policy, days: 90, unique: 3, lockoutAttempts: 3, lockoutSeconds: 60, inactiveDays: 30 },
  });
});
after(() => api[Symbol.asyncDispose]());

const ask = (id: string, password: string) =>
  api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity: byPassword(id, password) } },
  });

const change = (id: string, present: string, password: string) =>
  api.call({
    method: 'POST',
    path: `/identity/v3/users/${id}/password`,
    body: { user: { original_password: present, password } },
  });

const run = (statement: string, id: string) =>
  sql`${sql.raw(statement)} where user_id = ${id}`.execute(api.cloud.db.database.query);

const makeUser = async (body: object = {}): Promise<{ id: string; password: string; password_expires_at: string }> => {
  const password = 'present password 1';
  const { make } = asAdministrator(api);
  return { ...(await make('user', { name: crypto.randomUUID(), password, ...body })), password };
};

test('wrong passwords in a row lock a user out, for the right one too, until the time is over', async () => {
  const { id, password } = await makeUser();
  for (const _ of [1, 2]) assert.equal((await ask(id, 'wrong')).status, 401);
  assert.equal((await ask(id, password)).status, 201, 'a right one ends the count');
  for (const _ of [1, 2, 3]) assert.equal((await ask(id, 'wrong')).status, 401);
  const locked = await ask(id, password);
  assert.equal(locked.status, 401);
  assert.deepEqual(locked.body, (await ask(id, 'wrong')).body, 'who guesses is not told');
  assert.equal((await change(id, password, 'another password 2')).status, 401, 'nor can it be changed');
  await run(`update user_login set failed_at = failed_at - interval '1 minute'`, id);
  assert.equal((await ask(id, 'wrong')).status, 401, 'counted anew');
  assert.equal((await ask(id, password)).status, 201);
});

test('who knows the password guesses no more passcodes than anybody: only a whole log-in ends the count', async () => {
  const { id, password } = await makeUser({
    options: { multi_factor_auth_enabled: true, multi_factor_auth_rules: [['password', 'totp']] },
  });
  const seed = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
  const { call } = asAdministrator(api);
  await call('POST', 'credentials', { credential: { type: 'totp', blob: seed, user_id: id } });
  const byBoth = (given: string) => ({
    ...{ ...byPassword(id, password), methods: ['password', 'totp'] },
    totp: { user: { id, passcode: given } },
  });
  const both = (given: string) =>
    api.call({ method: 'POST', path: '/identity/v3/auth/tokens', body: { auth: { identity: byBoth(given) } } });
  const right = () => passcode(readSeed(seed)!, Date.now());
  for (const _ of [1, 2]) assert.equal((await both('wrong!')).status, 401);
  assert.equal((await both(right())).status, 201);
  for (const _ of [1, 2, 3]) assert.equal((await both('wrong!')).status, 401);
  assert.equal((await both(right())).status, 401, 'guessed too often');
});

test('of many guesses at once no more count than one after the other', async () => {
  const { id, password } = await makeUser();
  const guesses = Array.from({ length: 9 }, (_, index) => ask(id, `guess ${index}`));
  assert.ok((await Promise.all(guesses)).every(({ status }) => status === 401));
  assert.equal((await ask(id, password)).status, 401);
});

test('a user with the option is never locked out, and an administrator ends a lock-out with another password', async () => {
  const never = await makeUser({ options: { ignore_lockout_failure_attempts: true } });
  const locked = await makeUser();
  for (const _ of [1, 2, 3, 4]) await Promise.all([ask(never.id, 'wrong'), ask(locked.id, 'wrong')]);
  assert.equal((await ask(never.id, never.password)).status, 201);
  const { call } = asAdministrator(api);
  assert.equal((await call('PATCH', `users/${locked.id}`, { user: { password: 'from above 33' } })).status, 200);
  assert.equal((await ask(locked.id, 'from above 33')).status, 201);
});

test('users choose none of their last passwords again; administrators may set any', async () => {
  const { id, password } = await makeUser();
  const again = await change(id, password, password);
  assert.equal(again.status, 400);
  assert.match(again.body.error.message, /cannot be identical to a previous password.*unique is 3/);
  assert.equal((await change(id, password, 'second password 2')).status, 204);
  assert.equal((await change(id, 'second password 2', 'third password 3')).status, 204);
  assert.equal((await change(id, 'third password 3', password)).status, 400);
  assert.equal((await change(id, 'third password 3', 'fourth password 4')).status, 204);
  assert.equal((await change(id, 'fourth password 4', password)).status, 204, 'three others lie between');
  const { call } = asAdministrator(api);
  assert.equal((await call('PATCH', `users/${id}`, { user: { password } })).status, 200);
  assert.equal((await ask(id, password)).status, 201);
});

test('a password that does not match the pattern is refused, with its description', async () => {
  const { call } = asAdministrator(api);
  const refused = await call('POST', 'users', { user: { name: 'short', password: 'short' } });
  assert.equal(refused.status, 400);
  assert.match(refused.body.error.message, /eight characters, one a digit/);
  const { id, password } = await makeUser();
  assert.equal((await change(id, password, 'no digit at all')).status, 400);
});

test('an expired password is told as such, and is good for choosing the next one', async () => {
  const { id, password, password_expires_at: end } = await makeUser();
  const days = (Date.parse(`${end}Z`) - Date.now()) / 86_400_000;
  assert.ok(days > 89.9 && days < 90.1, end);
  await run(`update user_password set expires_at = now() - interval '1 second'`, id);
  const refused = await ask(id, password);
  assert.equal(refused.status, 401);
  assert.equal(refused.body.error.message, `The password is expired and needs to be changed for user: ${id}.`);
  assert.doesNotMatch((await ask(id, 'wrong')).body.error.message, /expired/);
  assert.equal((await change(id, password, 'another password 2')).status, 204);
  assert.equal((await ask(id, 'another password 2')).status, 201);
  const lasting = await makeUser({ options: { ignore_password_expiry: true } });
  assert.equal(lasting.password_expires_at, null);
});

test('who has not logged in for long is out; a log-in a day is written once', async () => {
  const { id, password } = await makeUser();
  assert.equal((await ask(id, password)).status, 201);
  const { call, make } = asAdministrator(api);
  const project = await make('project', { name: crypto.randomUUID() });
  const { roles } = (await call('GET', 'roles?name=member')).body;
  await call('PUT', `projects/${project.id}/users/${id}/roles/${roles[0].id}`);
  const key = (await call('POST', `users/${id}/credentials/OS-EC2`, { tenant_id: project.id })).body.credential;
  const byKey = async () => {
    const signature = createHmac('sha1', key.secret).update('text').digest('base64');
    const token = Buffer.from('text').toString('base64url');
    return (await call('POST', 's3tokens', { credentials: { access: key.access, token, signature } })).status;
  };
  assert.equal(await byKey(), 200);
  await run(`update user_login set active_on = current_date - 31`, id);
  assert.equal((await ask(id, password)).status, 401);
  assert.equal(await byKey(), 401, 'nor by an access key');
  await call('PATCH', `users/${id}`, { user: { options: { ignore_user_inactivity: true } } });
  assert.equal((await ask(id, password)).status, 201);
});

test('an option of a user that is no truth value is refused', async () => {
  const { call } = asAdministrator(api);
  const { id } = await makeUser();
  for (const option of ['lock_password', 'ignore_lockout_failure_attempts', 'multi_factor_auth_enabled']) {
    assert.equal((await call('PATCH', `users/${id}`, { user: { options: { [option]: 'yes' } } })).status, 400, option);
  }
});

test('a locked password is not changed by its user', async () => {
  const { id, password } = await makeUser({ options: { lock_password: true } });
  assert.equal((await change(id, password, 'another password 2')).status, 400);
});

test("a token that a changed password ended is not found when it is the proof, as Keystone's clients expect", async () => {
  const { id, password } = await makeUser();
  const old = await api.login(byPassword(id, password));
  assert.equal((await change(id, password, 'another password 2')).status, 204);
  const identity = { methods: ['token'], token: { id: old } };
  const answer = await api.call({ method: 'POST', path: '/identity/v3/auth/tokens', body: { auth: { identity } } });
  assert.equal(answer.status, 404);
});
