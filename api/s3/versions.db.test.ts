/** Objects in parts, and versions of objects, by S3. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { checksumOf } from '../../test/support/sign-s3.ts';
import { all, S3World } from './testing.ts';

let s3: S3World;
const cleanups: (() => unknown)[] = [];
before(async () => {
  s3 = await S3World.start({ after: (work: () => unknown) => void cleanups.unshift(work) } as never);
  for (const bucket of ['parts', 'kept']) assert.equal((await s3.call(`owner PUT /${bucket}`)).status, 200);
});
after(async () => {
  for (const work of cleanups) await work();
});

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest();
const mib = 1024 * 1024;
const first = Buffer.alloc(5 * mib, 'first ');
const second = Buffer.from('the last one may be small');

const begin = async (key: string, headers: Record<string, string> = {}) => {
  const answer = await s3.call(`owner POST /parts/${key}?uploads`, { headers });
  assert.equal(answer.status, 200, answer.text);
  return all(answer.text, 'UploadId')[0]!;
};
const part = async (key: string, id: string, number: number, body: Buffer, headers: Record<string, string> = {}) => {
  const answer = await s3.call(`owner PUT /parts/${key}?partNumber=${number}&uploadId=${id}`, { body, headers });
  assert.equal(answer.status, 200, answer.text);
  return answer.headers.etag!;
};
const complete = (key: string, id: string, parts: [number: number, etag: string, more?: string][], headers = {}) =>
  s3.call(`owner POST /parts/${key}?uploadId=${id}`, {
    headers,
    body: `<CompleteMultipartUpload>${parts.map(([number, etag, more = '']) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`).join('')}</CompleteMultipartUpload>`,
  });

test('an object comes in parts, in any order and with holes in their numbers, and is whole at once', async () => {
  const id = await begin('large', { 'content-type': 'x/large', 'x-amz-meta-of': 'parts' });
  const b = await part('large', id, 700, second);
  const a = await part('large', id, 3, Buffer.alloc(1));
  const again = await part('large', id, 3, first);
  assert.notEqual(a, again, 'one that is there is replaced');
  assert.equal((await s3.call('owner GET /parts/large')).code, 'NoSuchKey', 'nothing is seen before');
  const list = (await s3.call(`owner GET /parts/large?uploadId=${id}`)).text;
  assert.deepEqual(
    [all(list, 'PartNumber'), all(list, 'Size')],
    [
      ['3', '700'],
      [`${first.length}`, `${second.length}`],
    ],
  );
  const page = (await s3.call(`owner GET /parts/large?uploadId=${id}&max-parts=1`)).text;
  assert.deepEqual([all(page, 'IsTruncated'), all(page, 'NextPartNumberMarker')], [['true'], ['3']]);
  assert.deepEqual(all((await s3.call('owner GET /parts?uploads')).text, 'UploadId'), [id]);
  const done = await complete('large', id, [
    [3, again],
    [700, b],
  ]);
  const tag = `"${createHash('md5')
    .update(Buffer.concat([md5(first), md5(second)]))
    .digest('hex')}-2"`;
  assert.deepEqual([done.status, all(done.text, 'ETag')], [200, [tag.replaceAll('"', '&quot;')]], done.text);
  const got = await s3.call('owner GET /parts/large');
  assert.ok(got.body.equals(Buffer.concat([first, second])));
  assert.deepEqual(
    [got.headers['content-type'], got.headers['x-amz-meta-of'], got.headers.etag],
    ['x/large', 'parts', tag],
  );
  const across = await s3.call('owner GET /parts/large', {
    headers: { range: `bytes=${first.length - 3}-${first.length + 2}` },
  });
  assert.equal(across.text, `${first.subarray(-3)}the`);
  const one = await s3.call('owner GET /parts/large?partNumber=2');
  assert.deepEqual([one.status, one.text, one.headers['x-amz-mp-parts-count']], [206, second.toString(), '2']);
  assert.equal(
    (
      await complete('large', id, [
        [3, again],
        [700, b],
      ])
    ).status,
    200,
    'who asks again hears the same',
  );
  assert.deepEqual(all((await s3.call('owner GET /parts?uploads')).text, 'UploadId'), []);
});

test('parts that are not there, others, out of order or too small make no object', async () => {
  const id = await begin('broken');
  const small = await part('broken', id, 1, second);
  const last = await part('broken', id, 2, second);
  assert.equal(
    (
      await complete('broken', id, [
        [1, small],
        [2, last],
      ])
    ).code,
    'EntityTooSmall',
  );
  assert.equal(
    (
      await complete('broken', id, [
        [2, last],
        [1, small],
      ])
    ).code,
    'InvalidPartOrder',
  );
  assert.equal((await complete('broken', id, [[1, '"x"']])).code, 'InvalidPart');
  assert.equal((await complete('broken', id, [[3, small]])).code, 'InvalidPart');
  assert.equal((await complete('broken', id, [])).code, 'MalformedXML');
  assert.equal((await complete('broken', 'none', [[1, small]])).code, 'NoSuchUpload');
  assert.equal(
    (await s3.call(`owner PUT /parts/broken?partNumber=10001&uploadId=${id}`, { body: 'x' })).code,
    'InvalidArgument',
  );
  assert.equal((await s3.call(`owner DELETE /parts/broken?uploadId=${id}`)).status, 204);
  assert.equal(
    (await s3.call(`owner PUT /parts/broken?partNumber=1&uploadId=${id}`, { body: 'x' })).code,
    'NoSuchUpload',
  );
  assert.equal((await s3.call('owner HEAD /parts/broken')).status, 404);
});

test('sums of parts make that of the whole: of a CRC the object’s own, of a hash the sum of sums', async () => {
  for (const [algorithm, type, headers] of [
    ['crc32', 'COMPOSITE', { 'x-amz-checksum-algorithm': 'CRC32' }],
    ['sha256', 'COMPOSITE', { 'x-amz-checksum-algorithm': 'SHA256' }],
    ['crc32c', 'FULL_OBJECT', { 'x-amz-checksum-algorithm': 'CRC32C', 'x-amz-checksum-type': 'FULL_OBJECT' }],
    ['crc64nvme', 'FULL_OBJECT', { 'x-amz-checksum-algorithm': 'CRC64NVME' }],
  ] as const) {
    const key = `sum-${algorithm}`;
    const id = await begin(key, headers);
    const sums = [first, second].map((bytes) => checksumOf(algorithm, bytes));
    const tags = await Promise.all(
      [first, second].map((bytes, at) =>
        part(key, id, at + 1, bytes, { [`x-amz-checksum-${algorithm}`]: sums[at]!.toString('base64') }),
      ),
    );
    const named = (at: number) =>
      `<Checksum${algorithm.toUpperCase()}>${sums[at]!.toString('base64')}</Checksum${algorithm.toUpperCase()}>`;
    const done = await complete(
      key,
      id,
      tags.map((tag, at) => [at + 1, tag, named(at)]),
    );
    const whole = Buffer.concat([first, second]);
    const value =
      type === 'FULL_OBJECT'
        ? checksumOf(algorithm, whole).toString('base64')
        : `${checksumOf(algorithm, Buffer.concat(sums)).toString('base64')}-2`;
    assert.match(done.text, new RegExp(`<ChecksumType>${type}<`), done.text);
    const head = await s3.call(`owner HEAD /parts/${key}`, { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    assert.deepEqual([head.headers[`x-amz-checksum-${algorithm}`], head.headers['x-amz-checksum-type']], [value, type]);
    const attributes = await s3.call(`owner GET /parts/${key}?attributes`, {
      headers: { 'x-amz-object-attributes': 'ETag,Checksum,ObjectParts,ObjectSize' },
    });
    assert.deepEqual(
      [all(attributes.text, 'ObjectSize'), all(attributes.text, 'PartsCount')],
      [[`${whole.length}`], ['2']],
    );
  }
  const impossible = await s3.call('owner POST /parts/x?uploads', {
    headers: { 'x-amz-checksum-algorithm': 'SHA1', 'x-amz-checksum-type': 'FULL_OBJECT' },
  });
  assert.equal(impossible.code, 'InvalidRequest');
});

test('a part is made of another object’s bytes', async () => {
  await s3.call('owner PUT /parts/source', { body: second });
  const id = await begin('of-parts');
  const whole = await part('of-parts', id, 1, first);
  const copy = (number: number, headers: Record<string, string>) =>
    s3.call(`owner PUT /parts/of-parts?partNumber=${number}&uploadId=${id}`, {
      headers: { 'x-amz-copy-source': 'parts/source', ...headers },
    });
  const b = await copy(2, { 'x-amz-copy-source-range': 'bytes=6-10' });
  assert.equal((await copy(3, { 'x-amz-copy-source-range': `bytes=0-${second.length}` })).code, 'InvalidArgument');
  assert.equal((await copy(3, { 'x-amz-copy-source-range': 'bytes=0-' })).code, 'InvalidArgument');
  const done = await complete('of-parts', id, [
    [1, whole],
    [2, all(b.text, 'ETag')[0]!],
  ]);
  assert.equal(done.status, 200, done.text + b.text);
  assert.ok((await s3.call('owner GET /parts/of-parts')).body.equals(Buffer.concat([first, second.subarray(6, 11)])));
});

test('two who complete under a condition: one of them does', async () => {
  const ids = [await begin('raced'), await begin('raced')];
  const tags = await Promise.all(ids.map((id) => part('raced', id, 1, second)));
  const outcomes = await Promise.all(
    ids.map((id, at) => complete('raced', id, [[1, tags[at]!]], { 'if-none-match': '*' })),
  );
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), [200, 412]);
});

const versioning = (status: string) =>
  s3.call('owner PUT /kept?versioning', {
    body: `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
  });

test('a bucket keeps versions: each is read and deleted by its name, and a delete marker hides them', async () => {
  assert.doesNotMatch((await s3.call('owner GET /kept?versioning')).text, /Status/);
  await s3.call('owner PUT /kept/old', { body: 'before' });
  assert.equal((await versioning('Enabled')).status, 200);
  assert.match((await s3.call('owner GET /kept?versioning')).text, /<Status>Enabled</);
  const put = async (body: string) =>
    (await s3.call('owner PUT /kept/old', { body })).headers['x-amz-version-id'] as string;
  const [one, two] = [await put('one'), await put('two')];
  assert.ok(one && two && one !== two);
  assert.equal((await s3.call(`owner GET /kept/old?versionId=${one}`)).text, 'one');
  assert.equal((await s3.call('owner GET /kept/old?versionId=null')).text, 'before');
  assert.equal((await s3.call('owner GET /kept/old?versionId=unknown')).code, 'NoSuchVersion');
  const gone = await s3.call('owner DELETE /kept/old');
  const marker = gone.headers['x-amz-version-id'] as string;
  assert.equal(gone.headers['x-amz-delete-marker'], 'true');
  const missing = await s3.call('owner GET /kept/old');
  assert.deepEqual([missing.code, missing.headers['x-amz-delete-marker']], ['NoSuchKey', 'true']);
  assert.equal((await s3.call(`owner GET /kept/old?versionId=${marker}`)).code, 'MethodNotAllowed');
  const list = (await s3.call('owner GET /kept?versions')).text;
  assert.deepEqual(all(list, 'VersionId'), [marker, two, one, 'null']);
  assert.deepEqual(all(list, 'IsLatest'), ['true', 'false', 'false', 'false']);
  const page = (await s3.call('owner GET /kept?versions&max-keys=2')).text;
  const rest = `key-marker=${all(page, 'NextKeyMarker')[0]}&version-id-marker=${all(page, 'NextVersionIdMarker')[0]}`;
  assert.deepEqual(all((await s3.call(`owner GET /kept?versions&${rest}`)).text, 'VersionId'), [one, 'null']);
  assert.equal((await s3.call('owner DELETE /kept')).code, 'BucketNotEmpty');
  assert.equal((await s3.call(`owner DELETE /kept/old?versionId=${marker}`)).headers['x-amz-delete-marker'], 'true');
  assert.equal((await s3.call('owner GET /kept/old')).text, 'two', 'without its marker it is back');
  const copied = await s3.call('owner PUT /kept/copy', {
    headers: { 'x-amz-copy-source': `/kept/old?versionId=${one}` },
  });
  assert.equal(copied.headers['x-amz-copy-source-version-id'], one);
  assert.equal((await s3.call('owner GET /kept/copy')).text, 'one');
  assert.equal((await versioning('Suspended')).status, 200);
  await s3.call('owner PUT /kept/old', { body: 'after' });
  assert.equal(
    (await s3.call('owner GET /kept/old?versionId=null')).text,
    'after',
    'the version without a name is replaced',
  );
  assert.equal((await versioning('On')).code, 'IllegalVersioningConfigurationException');
});

test('versions are deleted by many at once, until the bucket is empty and goes', async () => {
  const list = (await s3.call('owner GET /kept?versions')).text;
  const [keys, ids] = [all(list, 'Key'), all(list, 'VersionId')];
  const wishes = keys.map((key, at) => `<Object><Key>${key}</Key><VersionId>${ids[at]}</VersionId></Object>`);
  const answer = await s3.call('owner POST /kept?delete', { body: `<Delete>${wishes.join('')}</Delete>` });
  assert.equal(all(answer.text, 'Deleted').length, keys.length, answer.text);
  assert.equal((await s3.call('owner DELETE /kept')).status, 204);
});

test('a large object is copied, as a whole and as a part', async () => {
  const bytes = Buffer.concat([first, second]);
  assert.equal((await s3.call('owner PUT /parts/large-source', { body: bytes })).status, 200);
  const copied = await s3.call('owner PUT /parts/large-copy', {
    headers: { 'x-amz-copy-source': 'parts/large-source' },
  });
  assert.equal(copied.status, 200, copied.text);
  assert.ok((await s3.call('owner GET /parts/large-copy')).body.equals(bytes));
  const id = await begin('large-part');
  const copy = await s3.call(`owner PUT /parts/large-part?partNumber=1&uploadId=${id}`, {
    headers: { 'x-amz-copy-source': 'parts/large-source', 'x-amz-copy-source-range': `bytes=1-${bytes.length - 1}` },
  });
  assert.equal(copy.status, 200, copy.text);
  assert.equal((await complete('large-part', id, [[1, all(copy.text, 'ETag')[0]!]])).status, 200);
  assert.ok((await s3.call('owner GET /parts/large-part')).body.equals(bytes.subarray(1)));
});

test('a version that is locked stays until its time, or until whoever holds it lets it go', async () => {
  const made = await s3.call('owner PUT /locked', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
  assert.equal(made.status, 200, made.text);
  assert.match((await s3.call('owner GET /locked?object-lock')).text, /<ObjectLockEnabled>Enabled</);
  assert.equal((await s3.call('owner GET /parts?object-lock')).code, 'ObjectLockConfigurationNotFoundError');
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const lock = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': until };
  assert.equal(
    (await s3.call('owner PUT /parts/x', { body: 'x', headers: lock })).code,
    'InvalidRequest',
    'no bucket for it',
  );
  const version = (await s3.call('owner PUT /locked/a', { body: 'a', headers: lock })).headers['x-amz-version-id'];
  const target = `/locked/a?versionId=${version}`;
  assert.equal((await s3.call(`owner DELETE ${target}`)).code, 'AccessDenied');
  assert.equal((await s3.call(`owner HEAD ${target}`)).headers['x-amz-object-lock-mode'], 'GOVERNANCE');
  const hold = (status: string) =>
    s3.call(`owner PUT /locked/a?legal-hold&versionId=${version}`, {
      body: `<LegalHold><Status>${status}</Status></LegalHold>`,
    });
  assert.equal((await hold('ON')).status, 200);
  assert.match((await s3.call(`owner GET /locked/a?legal-hold&versionId=${version}`)).text, /<Status>ON</);
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  assert.equal((await s3.call(`owner DELETE ${target}`, { headers: bypass })).code, 'AccessDenied', 'it is held');
  assert.equal((await hold('OFF')).status, 200);
  const shorter = `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${new Date(Date.now() + 60_000).toISOString()}</RetainUntilDate></Retention>`;
  assert.equal(
    (await s3.call(`owner PUT /locked/a?retention&versionId=${version}`, { body: shorter })).code,
    'AccessDenied',
  );
  assert.match(
    (await s3.call(`owner GET /locked/a?retention&versionId=${version}`)).text,
    new RegExp(`<RetainUntilDate>${until}<`),
  );
  assert.equal(
    (await s3.call('owner DELETE /locked/a')).headers['x-amz-delete-marker'],
    'true',
    'a marker takes nothing away',
  );
  assert.equal((await s3.call(`owner DELETE ${target}`, { headers: bypass })).status, 204);
  const rule =
    '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>';
  assert.equal((await s3.call('owner PUT /locked?object-lock', { body: rule })).code, 'NotImplemented');
});

test('who may only write in a bucket locks nothing in it, and unlocks nothing', async () => {
  assert.equal(
    (await s3.call('owner PUT /guarded', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })).status,
    200,
  );
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const lock = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': until };
  const put = await s3.call('owner PUT /guarded/a', { body: 'a', headers: lock });
  const acl = `${s3.callers.get('stranger')!.projectId}:*`;
  const where = { projectId: s3.world.projectId, container: 'guarded' };
  await s3.world.area.services.containers.update(s3.world.caller, where, { readAcl: acl, writeAcl: acl });
  const target = `/guarded/a?versionId=${put.headers['x-amz-version-id']}`;
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  assert.equal((await s3.call(`stranger DELETE ${target}`, { headers: bypass })).code, 'AccessDenied');
  const hold = { body: '<LegalHold><Status>ON</Status></LegalHold>' };
  assert.equal((await s3.call('stranger PUT /guarded/a?legal-hold', hold)).code, 'AccessDenied');
  assert.equal((await s3.call('stranger PUT /guarded/b', { body: 'b', headers: lock })).code, 'AccessDenied');
  assert.equal((await s3.call('stranger PUT /guarded/b', { body: 'b' })).status, 200);
  assert.equal((await s3.call(`owner DELETE ${target}`, { headers: bypass })).status, 204);
});

test('what no bucket here has is told as not set, and can not be set', async () => {
  assert.equal((await s3.call('owner GET /parts?policy')).code, 'NoSuchBucketPolicy');
  assert.equal((await s3.call('owner PUT /parts?policy', { body: '{}' })).code, 'NotImplemented');
  assert.equal((await s3.call('owner GET /parts?lifecycle')).code, 'NoSuchLifecycleConfiguration');
  assert.equal((await s3.call('owner PUT /parts?lifecycle', { body: '<x/>' })).code, 'NotImplemented');
  assert.match((await s3.call('owner GET /parts?requestPayment')).text, /<Payer>BucketOwner</);
});
