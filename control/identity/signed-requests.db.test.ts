/** Requests signed with an access key: whose they are, and what ends that. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CloudError } from '../../contract/errors.ts';
import type { ProjectId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { type Keys, presign, signHeaders, type ToSign } from '../../test/support/sign-s3.ts';
import { until } from '../../test/support/until.ts';
import type { Caller } from '../kit/caller.ts';
import { adminPassword, type TestIdentity, testIdentity } from './testing.ts';

let cloud: TestIdentity;
let admin: Caller;
let keys: Keys;

const login = async (): Promise<Caller> => {
  const user = { name: 'admin', domain: { name: 'Default' } };
  const scope = { type: 'project', name: 'admin', domain: { name: 'Default' } };
  const { entry } = await cloud.identity.login(
    { proofs: [{ method: 'password', user, password: adminPassword }], scope } as never,
    'req-1',
  );
  return entry.caller;
};

before(async () => {
  cloud = await testIdentity();
  admin = await login();
  keys = await cloud.identity.credentials.createAccessKey(admin, admin.userId, admin.projectId as ProjectId);
});
after(() => cloud[Symbol.asyncDispose]());

const request = (wish: Partial<ToSign> & { keys?: Keys; more?: Record<string, string> } = {}) => {
  const whole = { method: 'GET', target: '/bucket/key?list-type=2', host: 's3.test', ...wish };
  const headers = { ...signHeaders(wish.keys ?? keys, whole), ...wish.more };
  const [path, query = ''] = whole.target.split('?') as [string, string?];
  return { method: whole.method, path, query, rawHeaders: Object.entries(headers).flat() };
};
const visit = (wish: Parameters<typeof request>[0] = {}) => cloud.identity.signedRequests.visit(request(wish), 'req-2');
const refusal = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown) => thrown,
  );
  assert.ok(error instanceof CloudError, String(error));
  return error.reason;
};

test('a signed request is its key’s user in the project of the key, with that one’s roles', async () => {
  const { caller, payload, chunks } = await visit();
  assert.deepEqual([caller?.userId, caller?.projectId], [admin.userId, admin.projectId]);
  assert.deepEqual([caller?.requestId, payload.length, chunks], ['req-2', 64, undefined]);
  assert.ok(caller?.roles.has('admin'));
  const streaming = await visit({ payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' });
  assert.ok(streaming.chunks);
  const bare = { method: 'GET', path: '/', query: '', rawHeaders: ['host', 's3.test'] };
  assert.equal((await cloud.identity.signedRequests.visit(bare, 'req-3')).caller, null, 'nobody has signed');
});

test('what is not signed by the key, or not now, is refused with the reason', async () => {
  assert.equal(await refusal(visit({ keys: { ...keys, secret: 'x' } })), 'signature_mismatch');
  assert.equal(await refusal(visit({ keys: { ...keys, access: 'x' } })), 'access_key_unknown');
  assert.equal(await refusal(visit({ at: new Date(Date.now() - 16 * 60_000) })), 'signed_at_another_time');
  assert.equal(await refusal(visit({ at: new Date(Date.now() + 16 * 60_000) })), 'signed_at_another_time');
  assert.equal(await refusal(visit({ more: { 'x-amz-copy-source': '/other/key' } })), 'headers_not_signed');
  assert.equal(await refusal(visit({ headers: { 'x-amz-security-token': 'x' } })), 'session_token_unknown');
});

test('a presigned URL is good until it ends', async () => {
  const asked = (options: { at?: Date; expires?: number }) => {
    const target = presign(keys, { method: 'GET', target: '/b/k', host: 's3.test', ...options });
    const [path, query] = target.split('?') as [string, string];
    return cloud.identity.signedRequests.visit({ method: 'GET', path, query, rawHeaders: ['host', 's3.test'] }, 'r');
  };
  assert.equal((await asked({})).caller?.userId, admin.userId);
  assert.equal(await refusal(asked({ at: new Date(Date.now() - 20_000), expires: 10 })), 'signature_expired');
  assert.equal(await refusal(asked({ at: new Date(Date.now() + 3_600_000) })), 'signature_not_yet_valid');
});

test('a key that is deleted or whose secret changes is known no more, though it was just used', async () => {
  const made = await cloud.identity.credentials.createAccessKey(admin, admin.userId, admin.projectId as ProjectId);
  assert.ok((await visit({ keys: made })).caller);
  await cloud.identity.credentials.deleteAccessKey(admin, admin.userId, made.access);
  assert.equal(await refusal(visit({ keys: made })), 'access_key_unknown');
});

test('another control process forgets it too', async () => {
  const other = await cloud.another();
  const made = await cloud.identity.credentials.createAccessKey(admin, admin.userId, admin.projectId as ProjectId);
  const there = () => other.identity.signedRequests.visit(request({ keys: made }), 'req-4');
  assert.ok((await there()).caller);
  await cloud.identity.credentials.deleteAccessKey(admin, admin.userId, made.access);
  await until(
    'the key to be forgotten',
    async () => (await there().catch((error) => error.reason)) === 'access_key_unknown',
  );
});

test('a key outlives the tokens of its user: a new password ends those, and the key logs in anew', async () => {
  assert.ok((await visit()).caller);
  await cloud.identity.users.update(admin, admin.userId, { password: new Secret('another password') });
  assert.ok((await visit()).caller);
});
