/** What browsers do: pages of other origins, and uploads by a form. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { presign, signPolicy } from '../../test/support/sign-s3.ts';
import { all, S3World } from './testing.ts';

let s3: S3World;
const cleanups: (() => unknown)[] = [];
before(async () => {
  s3 = await S3World.start({ after: (work: () => unknown) => void cleanups.unshift(work) } as never);
  assert.equal((await s3.call('owner PUT /pages')).status, 200);
});
after(async () => {
  for (const work of cleanups) await work();
});

test('a page of another origin may do what a rule of the bucket allows', async () => {
  const rules = `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>
    <AllowedOrigin>https://*.example</AllowedOrigin><AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>
    <MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`;
  const preflight = (headers: Record<string, string>) =>
    s3.call('nobody OPTIONS /s3/pages/x', { unsigned: true, headers });
  const asked = { origin: 'https://a.example', 'access-control-request-method': 'PUT' };
  assert.equal((await preflight(asked)).status, 403);
  assert.equal((await s3.call('owner GET /pages?cors')).code, 'NoSuchCORSConfiguration');
  assert.equal((await s3.call('owner PUT /pages?cors', { body: rules })).status, 200);
  const allowed = await preflight({ ...asked, 'access-control-request-headers': 'X-Amz-Date, x-amz-acl' });
  assert.deepEqual(
    [allowed.status, allowed.headers['access-control-allow-origin'], allowed.headers['access-control-allow-headers']],
    [200, 'https://a.example', 'x-amz-date, x-amz-acl'],
  );
  assert.equal(allowed.headers['access-control-max-age'], '60');
  assert.equal((await preflight({ ...asked, origin: 'https://a.other' })).code, 'AccessForbidden');
  assert.equal((await preflight({ ...asked, 'access-control-request-method': 'DELETE' })).status, 403);
  assert.equal((await preflight({ ...asked, 'access-control-request-headers': 'content-type' })).status, 403);
  assert.equal((await preflight({})).code, 'InvalidRequest');
  const got = await s3.call('owner GET /pages/none', { headers: { origin: 'https://a.example' } });
  assert.deepEqual(
    [got.status, got.headers['access-control-allow-origin']],
    [404, 'https://a.example'],
    'a refusal, too',
  );
  assert.deepEqual(all((await s3.call('owner GET /pages?cors')).text, 'AllowedMethod'), ['GET', 'PUT']);
  const wrong = rules.replace('<AllowedMethod>GET', '<AllowedMethod>PATCH');
  assert.equal((await s3.call('owner PUT /pages?cors', { body: wrong })).code, 'InvalidRequest');
  assert.equal((await s3.call('owner DELETE /pages?cors')).status, 204);
  assert.equal((await preflight(asked)).status, 403);
});

const form = (fields: Record<string, string>, file: string, options: { filename?: string; type?: string } = {}) => {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--edge\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const { filename = 'a.txt', type = 'text/plain' } = options;
  const last = `--edge\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n${file}\r\n--edge--\r\n`;
  return Buffer.from(parts.join('') + last);
};
const post = (body: Buffer) =>
  s3.send(
    'POST',
    '/pages',
    { host: s3.host, 'content-type': 'multipart/form-data; boundary=edge', 'content-length': `${body.length}` },
    body,
  );
const signed = (fields: Record<string, string>, conditions: unknown[], expiration = new Date(Date.now() + 60_000)) => ({
  ...fields,
  ...signPolicy(s3.keys('owner'), {
    expiration: expiration.toISOString(),
    conditions: [{ bucket: 'pages' }, ...conditions],
  }),
});
const usual = [
  ['starts-with', '$key', 'up/'],
  ['content-length-range', 1, 20],
  { 'content-type': 'text/x' },
  { success_action_status: '201' },
];
const fields = { key: 'up/$' + '{filename}', 'content-type': 'text/x', success_action_status: '201' };

test('a form that somebody signed uploads what its policy allows', async () => {
  const answer = await post(form(signed(fields, usual), 'by a browser'));
  assert.deepEqual([answer.status, all(answer.text, 'Key')], [201, ['up/a.txt']], answer.text);
  const got = await s3.call('owner GET /pages/up/a.txt');
  assert.deepEqual([got.text, got.headers['content-type']], ['by a browser', 'text/x']);
  const away = await post(
    form(
      signed({ key: 'up/b', success_action_redirect: 'https://a.example/?x=1' }, [
        ['starts-with', '$key', 'up/'],
        ['starts-with', '$success_action_redirect', ''],
      ]),
      'x',
    ),
  );
  assert.equal(away.status, 303);
  assert.match(away.headers.location!, /^https:\/\/a\.example\/\?x=1&bucket=pages&key=up%2Fb&etag=/);
});

test('what a policy does not allow is refused, and nothing is kept', async () => {
  const refused = async (body: Buffer, code: string) => assert.equal((await post(body)).code, code);
  await refused(form(signed({ ...fields, key: 'down/x' }, usual), 'x'), 'AccessDenied');
  await refused(form(signed({ ...fields, 'x-amz-meta-a': '1' }, usual), 'x'), 'AccessDenied');
  await refused(form(signed({ ...fields, key: 'up/big' }, usual), 'x'.repeat(21)), 'EntityTooLarge');
  await refused(form(signed({ ...fields, key: 'up/small' }, usual), ''), 'EntityTooSmall');
  await refused(form(signed(fields, usual, new Date(Date.now() - 1000)), 'x'), 'AccessDenied');
  await refused(form({ ...signed(fields, usual), 'x-amz-signature': '00' }, 'x'), 'SignatureDoesNotMatch');
  await refused(form({ key: 'up/x' }, 'x'), 'AccessDenied');
  const lock = {
    'x-amz-object-lock-mode': 'COMPLIANCE',
    'x-amz-object-lock-retain-until-date': new Date(Date.now() + 3_600_000).toISOString(),
  };
  await refused(form(signed({ ...fields, key: 'up/x', ...lock }, [...usual, lock]), 'x'), 'InvalidRequest');
  await refused(form({}, 'x'), 'InvalidArgument');
  await refused(Buffer.from('--edge--\r\n'), 'InvalidArgument');
  await refused(Buffer.from('nothing'), 'MalformedPOSTRequest');
  for (const key of ['down/x', 'up/big', 'up/small', 'up/x'])
    assert.equal((await s3.call(`owner HEAD /pages/${key}`)).status, 404, key);
});

test('what no header can have does no harm when it is told back', async () => {
  const fields = { key: 'up/odd', 'content-type': 'text/x\u0001\r\nx-a: b', 'x-amz-meta-a': '\u007f小' };
  const conditions = [
    ['starts-with', '$key', ''],
    ['starts-with', '$content-type', ''],
    ['starts-with', '$x-amz-meta-a', ''],
  ];
  assert.equal((await post(form(signed(fields, conditions), 'x'))).status, 204);
  const got = await s3.call('owner GET /pages/up/odd');
  assert.deepEqual([got.status, got.headers['content-type'], got.headers['x-a']], [200, 'text/x   x-a: b', undefined]);
  const name = { key: 'up/odd', 'x-amz-meta-a b': '1' };
  assert.equal(
    (await post(form(signed(name, [['starts-with', '$key', ''], { 'x-amz-meta-a b': '1' }]), 'x'))).code,
    'MalformedPOSTRequest',
  );
  const told = await s3.call('owner GET /pages/up/odd?response-content-type=%01%E5%B0%8F');
  assert.equal(told.status, 200);
  assert.equal(
    (await s3.call('owner GET /pages/none', { headers: { origin: 'https://小.example' } })).code,
    'NoSuchKey',
  );
});

test('a header that a rule shows to pages may have any name, also of a refusal', async () => {
  assert.equal((await s3.call('owner PUT /odd-rules')).status, 200);
  const body =
    '<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><ExposeHeader>x-小</ExposeHeader></CORSRule></CORSConfiguration>';
  assert.equal((await s3.call('owner PUT /odd-rules?cors', { body })).status, 200);
  const headers = { origin: 'https://a.example' };
  assert.equal((await s3.call('owner GET /odd-rules/none', { headers })).code, 'NoSuchKey');
});

test('no script of a bucket comes between pages of other services and their server', async () => {
  assert.equal((await s3.call('owner PUT /identity')).status, 200);
  const type = { 'content-type': 'text/javascript' };
  assert.equal((await s3.call('owner PUT /identity/v3/worker.js', { body: 'worker', headers: type })).status, 200);
  const url = (target: string, host: string) => presign(s3.keys('owner'), { method: 'GET', target, host });
  const asked = async (target: string, host: string, headers = {}) =>
    (await s3.send('GET', url(target, host), { host, ...headers })).text;
  const worker = { 'service-worker': 'script' };
  assert.equal(await asked('/identity/v3/worker.js', s3.host), 'worker');
  assert.match(await asked('/identity/v3/worker.js', s3.host, worker), /AccessDenied/);
  assert.equal(await asked('/v3/worker.js', 'identity.s3.cloud.test', worker), 'worker');
});

test('an empty object is one, and whose a bucket must be is held to', async () => {
  assert.equal((await s3.call('owner PUT /pages/empty')).status, 200);
  const got = await s3.call('owner GET /pages/empty');
  assert.deepEqual([got.status, got.text, got.headers['content-length']], [200, '', '0']);
  assert.equal((await s3.call('owner GET /pages/empty', { headers: { range: 'bytes=0-' } })).code, 'InvalidRange');
  const expected = (owner: string) =>
    s3.call('owner GET /pages/empty', { headers: { 'x-amz-expected-bucket-owner': owner } });
  assert.equal((await expected(s3.world.projectId)).status, 200);
  assert.equal((await expected('111122223333')).code, 'AccessDenied');
});
