/** Credentials that the cloud can read: access keys and tokens by signatures, TOTP, and what clients keep. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { passcode, readSeed } from '../../../control/identity/totp.ts';
import { asAdministrator, byPassword, makeTenant, odd, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await testApi();
});
after(() => api[Symbol.asyncDispose]());

type Tenant = Awaited<ReturnType<typeof makeTenant>>;
const as = (token: string, method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) =>
  api.call({ method, path: `/identity/v3/${path}`, token, body });

const keep = async ({ user, token }: Pick<Tenant, 'user' | 'token'>, over: object = {}) => {
  const credential = { type: 'cert', blob: odd, user_id: user.id, ...over };
  const answer = await as(token, 'POST', 'credentials', { credential });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.credential;
};

const login = (identity: object, receipt?: string) =>
  api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity } },
    ...(receipt === undefined ? {} : { headers: { 'openstack-auth-receipt': receipt } }),
  });

test('a credential is kept sealed: its owner and administrators read it, nobody else, and not the database', async () => {
  const [owner, stranger] = [await makeTenant(api), await makeTenant(api)];
  const made = await keep(owner, { mine: 7 });
  assert.deepEqual([made.blob, made.mine, made.project_id], [odd, 7, null]);
  assert.deepEqual((await as(owner.token, 'GET', `credentials/${made.id}`)).body.credential, made);
  assert.deepEqual((await as(api.admin, 'GET', `credentials?user_id=${owner.user.id}`)).body.credentials, [made]);
  assert.equal((await as(stranger.token, 'GET', `credentials/${made.id}`)).status, 404);
  assert.equal(
    (await as(stranger.token, 'PATCH', `credentials/${made.id}`, { credential: { blob: 'x' } })).status,
    404,
  );
  assert.equal((await as(stranger.token, 'DELETE', `credentials/${made.id}`)).status, 404);
  assert.deepEqual((await as(stranger.token, 'GET', 'credentials')).body.credentials, []);
  assert.equal(
    (
      await as(stranger.token, 'POST', 'credentials', {
        credential: { type: 'cert', blob: 'x', user_id: owner.user.id },
      })
    ).status,
    403,
  );
  const { rows } = await sql<{ text: string }>`select concat(c.*, (select string_agg(h.body::text, '') from change h
    where h.resource_id = c.id)) as text from credential c where id = ${made.id}`.execute(api.cloud.db.database.query);
  assert.ok(!rows[0]!.text.includes('小屋') && !rows[0]!.text.includes(Buffer.from('小屋').toString('hex')));
  const changed = await as(owner.token, 'PATCH', `credentials/${made.id}`, { credential: { blob: 'another' } });
  assert.deepEqual([changed.body.credential.blob, changed.body.credential.mine], ['another', 7]);
  assert.equal(
    (await as(owner.token, 'PATCH', `credentials/${made.id}`, { credential: { user_id: stranger.user.id } })).status,
    403,
  );
  assert.equal((await as(owner.token, 'DELETE', `credentials/${made.id}`)).status, 204);
});

test('access keys are made, shown, listed and removed by their user, and are credentials', async () => {
  const owner = await makeTenant(api);
  const url = `users/${owner.user.id}/credentials/OS-EC2`;
  const { body } = await as(owner.token, 'POST', url, { tenant_id: owner.project.id });
  const { credential: key } = body;
  assert.deepEqual([key.user_id, key.tenant_id, key.trust_id], [owner.user.id, owner.project.id, null]);
  assert.ok(key.access.length >= 32 && key.secret.length >= 32);
  assert.deepEqual((await as(owner.token, 'GET', `${url}/${key.access}`)).body.credential, key);
  assert.deepEqual((await as(owner.token, 'GET', url)).body.credentials, [key]);
  const [same] = (await as(owner.token, 'GET', 'credentials?type=ec2')).body.credentials;
  assert.equal(JSON.parse(same.blob).secret, key.secret);
  const stranger = await makeTenant(api);
  assert.equal((await as(stranger.token, 'GET', url)).status, 403);
  assert.equal((await as(stranger.token, 'GET', `${url}/${key.access}`)).status, 404);
  assert.equal((await as(owner.token, 'DELETE', `${url}/${key.access}`)).status, 204);
  assert.equal((await as(owner.token, 'GET', `${url}/${key.access}`)).status, 404);
  const twice = { type: 'ec2', project_id: owner.project.id, blob: JSON.stringify({ access: unique(), secret: 's' }) };
  await keep(owner, twice);
  const again = { credential: { ...twice, user_id: owner.user.id } };
  assert.equal((await as(owner.token, 'POST', 'credentials', again)).status, 409);
  for (const wrong of [{ blob: 'no json' }, { blob: '[]' }, { blob: '{"secret":"x"}' }, { project_id: null }]) {
    const credential = { ...twice, user_id: owner.user.id, ...wrong };
    assert.equal((await as(owner.token, 'POST', 'credentials', { credential })).status, 400, JSON.stringify(wrong));
  }
});

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** What an S3 gateway hands on: the text that its client signed, and the signature. */
function signedText({ access, secret }: { access: string; secret: string }) {
  const scope = ['20260131', 'region', 's3', 'aws4_request'];
  const text = `AWS4-HMAC-SHA256\n20260131T120000Z\n${scope.join('/')}\n${createHash('sha256').update('request').digest('hex')}`;
  const key = scope.reduce<Buffer>((above, part) => hmac(above, part), Buffer.from(`AWS4${secret}`));
  return { access, token: Buffer.from(text).toString('base64url'), signature: hmac(key, text).toString('hex') };
}

/** A request to EC2's query API, signed with version 2. */
function signedRequest({ access, secret }: { access: string; secret: string }, at = new Date()) {
  const params: Record<string, string> = {
    ...{ AWSAccessKeyId: access, Action: 'DescribeInstances', SignatureMethod: 'HmacSHA256', SignatureVersion: '2' },
    Timestamp: at.toISOString().slice(0, 19),
  };
  const query = Object.entries(params).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const text = ['GET', 'cloud.test:8443', '/', query.sort().join('&')].join('\n');
  return {
    access,
    signature: hmac(secret, text).toString('base64'),
    verb: 'GET',
    host: 'cloud.test:8443',
    path: '/',
    params,
  };
}

const makeKey = async (
  owner: Pick<Tenant, 'user' | 'project' | 'token'>,
): Promise<{ access: string; secret: string }> =>
  (await as(owner.token, 'POST', `users/${owner.user.id}/credentials/OS-EC2`, { tenant_id: owner.project.id })).body
    .credential;

test('a gateway gets a token for what was signed with an access key, as long as its user has a role in the project', async () => {
  const owner = await makeTenant(api);
  const key = await makeKey(owner);
  const ec2 = await as(api.admin, 'POST', 'ec2tokens', { credentials: signedRequest(key) });
  assert.equal(ec2.status, 200, JSON.stringify(ec2.body));
  assert.ok(ec2.headers['x-subject-token']);
  const s3 = await as(api.admin, 'POST', 's3tokens', { credentials: signedText(key) });
  for (const { token } of [ec2.body, s3.body]) {
    assert.deepEqual(
      [token.user.id, token.project.id, token.methods],
      [owner.user.id, owner.project.id, ['ec2credential']],
    );
  }
  assert.equal(
    (await as(owner.token, 'POST', 's3tokens', { credentials: signedText(key) })).status,
    403,
    'not for all',
  );
  const forged = { credentials: { ...signedText(key), signature: 'x' } };
  assert.equal((await as(api.admin, 'POST', 's3tokens', forged)).status, 401);
  const old = { credentials: signedRequest(key, new Date(Date.now() - 3_600_000)) };
  assert.equal((await as(api.admin, 'POST', 'ec2tokens', old)).status, 401);
  const unknown = { credentials: { ...signedText(key), access: 'nobody' } };
  assert.equal((await as(api.admin, 'POST', 's3tokens', unknown)).status, 404);
  const { call } = asAdministrator(api);
  const { roles } = (await call('GET', `projects/${owner.project.id}/users/${owner.user.id}/roles`)).body;
  await call('DELETE', `projects/${owner.project.id}/users/${owner.user.id}/roles/${roles[0].id}`);
  assert.equal((await as(api.admin, 'POST', 's3tokens', { credentials: signedText(key) })).status, 401);
});

test('an access key that a delegated token made is good for what that token was', async () => {
  const owner = await makeTenant(api);
  const answer = await as(owner.token, 'POST', `users/${owner.user.id}/application_credentials`, {
    application_credential: { name: unique(), roles: [{ name: 'reader' }], unrestricted: true },
  });
  const { id, secret } = answer.body.application_credential;
  const token = await api.login({ methods: ['application_credential'], application_credential: { id, secret } });
  const key = await makeKey({ ...owner, token });
  const { body } = await as(api.admin, 'POST', 's3tokens', { credentials: signedText(key) });
  assert.deepEqual(
    body.token.roles.map(({ name }: { name: string }) => name),
    ['reader'],
  );
  assert.equal(body.token.application_credential.id, id);
  const seed = await keep(owner, { type: 'totp', blob: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' });
  assert.equal((await as(token, 'GET', `credentials/${seed.id}`)).status, 403, 'a seed is of no project');
  assert.equal((await as(token, 'GET', 'credentials')).body.credentials.length, 1);
  const [own] = (await as(token, 'GET', 'credentials')).body.credentials;
  const freed = JSON.stringify({ ...JSON.parse(own.blob), app_cred_id: undefined });
  assert.equal((await as(token, 'PATCH', `credentials/${own.id}`, { credential: { blob: freed } })).status, 400);
});

test('a delegated token neither makes nor reads what the person logs in with, whatever project is said to have it', async () => {
  const [owner, helper] = [await makeTenant(api), await makeTenant(api)];
  const tokenBy = async (unrestricted: boolean) => {
    const answer = await as(owner.token, 'POST', `users/${owner.user.id}/application_credentials`, {
      application_credential: { name: unique(), roles: [{ name: 'reader' }], unrestricted },
    });
    const { id, secret } = answer.body.application_credential;
    return api.login({ methods: ['application_credential'], application_credential: { id, secret } });
  };
  const trust = {
    ...{ trustor_user_id: owner.user.id, trustee_user_id: helper.user.id, project_id: owner.project.id },
    ...{ impersonation: true, roles: [{ name: 'reader' }] },
  };
  const { id } = (await as(owner.token, 'POST', 'OS-TRUST/trusts', { trust })).body.trust;
  const byTrust = await api.login(byPassword(helper.user.id, helper.password), { 'OS-TRUST:trust': { id } });
  const project_id = owner.project.id;
  const known = await keep(owner, { type: 'totp', blob: 'MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK', project_id });
  const key = await makeKey(owner);
  for (const token of [await tokenBy(false), await tokenBy(true), byTrust]) {
    const plain = await keep({ ...owner, token }, { project_id });
    for (const type of ['totp', 'TOTP']) {
      const credential = { type, blob: seed, user_id: owner.user.id, project_id };
      assert.equal((await as(token, 'POST', 'credentials', { credential })).status, 403, 'no seed is made');
      const turned = await as(token, 'PATCH', `credentials/${plain.id}`, { credential: { type, blob: seed } });
      assert.equal(turned.status, 403, 'nothing becomes one');
    }
    assert.equal((await login(byCode(owner.user.id, code()))).status, 401);
    const { credentials } = (await as(token, 'GET', 'credentials')).body;
    assert.deepEqual(
      credentials.map(({ id }: { id: string }) => id),
      [plain.id],
      'seeds and keys of all roles are not listed',
    );
    for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
      const body = method === 'PATCH' ? { credential: { blob: seed } } : undefined;
      assert.equal((await as(token, method, `credentials/${known.id}`, body)).status, 403);
    }
    const url = `users/${owner.user.id}/credentials/OS-EC2`;
    assert.deepEqual((await as(token, 'GET', url)).body.credentials, []);
    for (const method of ['GET', 'DELETE'] as const)
      assert.equal((await as(token, method, `${url}/${key.access}`)).status, 403);
    await as(owner.token, 'DELETE', `credentials/${plain.id}`);
  }
});

test('what becomes an access key later is bound like one from the start, and is of a project', async () => {
  const owner = await makeTenant(api);
  const blobOf = (access: string) => JSON.stringify({ access, secret: 'secret' });
  const later = (token: string, id: string, change: object) =>
    as(token, 'PATCH', `credentials/${id}`, { credential: change });
  for (const unrestricted of [false, true]) {
    const answer = await as(owner.token, 'POST', `users/${owner.user.id}/application_credentials`, {
      application_credential: { name: unique(), roles: [{ name: 'reader' }], unrestricted },
    });
    const { id, secret } = answer.body.application_credential;
    const token = await api.login({ methods: ['application_credential'], application_credential: { id, secret } });
    const access = unique();
    const made = await keep({ ...owner, token }, { blob: blobOf(access), project_id: owner.project.id });
    const changed = await later(token, made.id, { type: 'ec2' });
    assert.equal(changed.status, unrestricted ? 200 : 403, JSON.stringify(changed.body));
    if (unrestricted) assert.equal(JSON.parse(changed.body.credential.blob).app_cred_id, id);
    const [own] = (await as(owner.token, 'GET', 'credentials?type=ec2')).body.credentials;
    if (!unrestricted) {
      const key = await makeKey(owner);
      const [known] = (await as(owner.token, 'GET', 'credentials?type=ec2')).body.credentials;
      assert.equal((await later(token, known.id, { blob: blobOf(key.access) })).status, 403, 'nor is a key changed');
      await as(owner.token, 'DELETE', `credentials/${known.id}`);
    } else assert.equal((await later(owner.token, own.id, { project_id: null })).status, 400);
  }
});

test('an access key without a secret signs nothing', async () => {
  const owner = await makeTenant(api);
  const key = { access: unique(), secret: '' };
  await keep(owner, { type: 'ec2', project_id: owner.project.id, blob: JSON.stringify({ access: key.access }) });
  assert.equal((await as(api.admin, 'POST', 's3tokens', { credentials: signedText(key) })).status, 401);
  assert.equal((await as(api.admin, 'POST', 'ec2tokens', { credentials: signedRequest(key) })).status, 401);
});

const seed = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const code = (ago = 0) => passcode(readSeed(seed)!, Date.now() - ago);
const byCode = (id: string, given: string) => ({ methods: ['totp'], totp: { user: { id, passcode: given } } });

test('a rule of password and passcode is met by both, in one request or by a receipt, and by neither alone', async () => {
  const tenant = await makeTenant(api);
  await keep(tenant, { type: 'totp', blob: seed });
  const { call } = asAdministrator(api);
  const options = { multi_factor_auth_enabled: true, multi_factor_auth_rules: [['password', 'totp']] };
  await call('PATCH', `users/${tenant.user.id}`, { user: { options } });
  const own = byPassword(tenant.user.id, tenant.password);
  const alone = await login(own);
  assert.equal(alone.status, 401);
  const both = await login({ ...own, ...byCode(tenant.user.id, code()), methods: ['password', 'totp'] });
  assert.equal(both.status, 201, JSON.stringify(both.body));
  assert.deepEqual(both.body.token.methods.sort(), ['password', 'totp']);
  const receipt = String(alone.headers['openstack-auth-receipt']);
  assert.equal((await login(byCode(tenant.user.id, code()), receipt)).status, 201);
  assert.equal((await login(byCode(tenant.user.id, code()))).status, 401);
});

test('a passcode is good for a moment, for its user, and is not guessed', async () => {
  const [tenant, other] = [await makeTenant(api), await makeTenant(api)];
  await keep(tenant, { type: 'totp', blob: seed });
  assert.equal((await login(byCode(tenant.user.id, code()))).status, 201);
  assert.equal((await login(byCode(tenant.user.id, code(300_000)))).status, 401);
  assert.equal((await login(byCode(other.user.id, code()))).status, 401);
  for (let tries = 0; tries < 10; tries++) await login(byCode(tenant.user.id, 'wrong!'));
  assert.equal((await login(byCode(tenant.user.id, code()))).status, 401, 'guessed too often');
  assert.equal(
    (await login(byPassword(tenant.user.id, tenant.password))).status,
    201,
    'passwords are counted apart here',
  );
});

test('who knows the password guesses no more passcodes by choosing another one in between', async () => {
  const { user, password } = await makeTenant(api);
  await keep({ user, token: await api.login(byPassword(user.id, password)) }, { type: 'totp', blob: seed });
  for (let tries = 0; tries < 9; tries++) await login(byCode(user.id, 'wrong!'));
  const changed = await api.call({
    method: 'POST',
    path: `/identity/v3/users/${user.id}/password`,
    body: { user: { original_password: password, password: 'another one' } },
  });
  assert.equal(changed.status, 204);
  await login(byCode(user.id, 'wrong!'));
  assert.equal((await login(byCode(user.id, code()))).status, 401, 'guessed ten times');
});
