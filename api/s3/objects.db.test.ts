/** Buckets and objects by S3, from the wire to the store and back. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { ChunkSignatures, checksumOf, presign, signedHeaders } from '../../test/support/sign-s3.ts';
import { all, S3World } from './testing.ts';

let s3: S3World;
const cleanups: (() => unknown)[] = [];
before(async () => {
  s3 = await S3World.start({ after: (work: () => unknown) => void cleanups.unshift(work) } as never);
  assert.equal((await s3.call('owner PUT /photos')).status, 200);
});
after(async () => {
  for (const work of cleanups) await work();
});

const md5 = (text: string | Buffer) => createHash('md5').update(text).digest('hex');
const put = async (key: string, body: string | Buffer, headers: Record<string, string> = {}) => {
  const answer = await s3.call(`owner PUT /photos/${key}`, { body, headers });
  assert.equal(answer.status, 200, answer.text);
  return answer;
};

test('a bucket is made, told, found in the list, and goes when it is empty', async () => {
  const made = await s3.call('owner PUT /a-bucket');
  assert.deepEqual([made.status, made.headers.location], [200, '/a-bucket']);
  assert.equal((await s3.call('owner PUT /a-bucket')).status, 200, 'again: of one’s own it succeeds');
  assert.equal((await s3.call('stranger PUT /a-bucket')).code, 'BucketAlreadyExists');
  assert.equal((await s3.call('owner PUT /Not_A_Bucket')).code, 'InvalidBucketName');
  const head = await s3.call('owner HEAD /a-bucket');
  assert.deepEqual([head.status, head.headers['x-amz-bucket-region']], [200, 'RegionOne']);
  assert.equal((await s3.call('owner HEAD /none-such')).status, 404);
  assert.equal((await s3.call('stranger HEAD /a-bucket')).status, 403);
  assert.match((await s3.call('owner GET /a-bucket?location')).text, /<LocationConstraint[^>]*>RegionOne</);
  const names = all((await s3.call('owner GET /')).text, 'Name');
  assert.ok(names.includes('a-bucket') && names.includes('photos'));
  assert.equal((await s3.call('owner PUT /a-bucket/x', { body: 'x' })).status, 200);
  assert.equal((await s3.call('owner DELETE /a-bucket')).code, 'BucketNotEmpty');
  assert.equal((await s3.call('owner DELETE /a-bucket/x')).status, 204);
  assert.equal((await s3.call('owner DELETE /a-bucket')).status, 204);
  assert.equal((await s3.call('owner DELETE /a-bucket')).code, 'NoSuchBucket');
});

test('an object comes back as it was put, with its headers, metadata and entity tag', async () => {
  const answer = await put('summer/1.jpg', 'bytes', {
    'content-type': 'image/jpeg; charset=x',
    'x-amz-meta-where': 'bothy 小屋',
    'cache-control': 'no-store',
    'content-encoding': 'gzip,aws-chunked',
  });
  assert.equal(answer.headers.etag, `"${md5('bytes')}"`);
  const got = await s3.call('owner GET /photos/summer/1.jpg');
  assert.equal(got.text, 'bytes');
  const { headers } = got;
  assert.deepEqual(
    [headers['content-type'], headers['cache-control'], headers['content-encoding'], headers['accept-ranges']],
    ['image/jpeg; charset=x', 'no-store', 'gzip', 'bytes'],
  );
  assert.equal(Buffer.from(String(headers['x-amz-meta-where']), 'latin1').toString(), 'bothy 小屋');
  const head = await s3.call('owner HEAD /photos/summer/1.jpg');
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '5', '']);
  assert.equal((await s3.call('owner GET /photos/none')).code, 'NoSuchKey');
  assert.equal((await s3.call('owner DELETE /photos/none')).status, 204, 'what is not there is deleted');
});

test('keys are the client’s own: slashes, dots, escapes and any letters, decoded once', async () => {
  for (const key of [
    'a//b/',
    '../up',
    './x',
    '%2525',
    'a%2Fb',
    '%E5%B0%8F%E5%B1%8B',
    '+%20%2B',
    'q%3Fx%23y',
    'trailing/',
    "~!*'()",
  ]) {
    await put(key, key);
    assert.equal((await s3.call(`owner GET /photos/${key}`)).text, key, key);
  }
  const keys = all((await s3.call('owner GET /photos?encoding-type=url')).text, 'Key').map(decodeURIComponent);
  for (const key of ['a//b/', '../up', '%25', 'a/b', '小屋', '+ +', 'q?x#y']) assert.ok(keys.includes(key), key);
  assert.equal((await s3.call('owner GET /photos/%ff')).code, 'InvalidURI');
  assert.equal((await s3.call('owner GET /photos/a%00b')).code, 'InvalidURI');
  assert.equal((await s3.call(`owner PUT /photos/${'x'.repeat(1025)}`, { body: 'x' })).code, 'KeyTooLongError');
});

test('a range is read, one that is not there is refused, and several are the whole', async () => {
  await put('digits', '0123456789', { 'x-amz-checksum-algorithm': 'CRC32' });
  const range = (said: string) =>
    s3.call('owner GET /photos/digits', { headers: { range: said, 'x-amz-checksum-mode': 'ENABLED' } });
  const some = await range('bytes=2-4');
  assert.deepEqual([some.status, some.text, some.headers['content-range']], [206, '234', 'bytes 2-4/10']);
  assert.equal(some.headers['x-amz-checksum-crc32'], undefined, 'the sum of the whole is not that of a range');
  assert.equal((await range('bytes=-3')).text, '789');
  assert.equal((await range('bytes=7-')).text, '789');
  assert.equal((await range('bytes=7-100')).text, '789');
  const beyond = await range('bytes=10-');
  assert.deepEqual([beyond.status, beyond.code], [416, 'InvalidRange']);
  const several = await range('bytes=0-1,3-4');
  assert.deepEqual([several.status, several.text], [200, '0123456789']);
  assert.equal(
    several.headers['x-amz-checksum-crc32'],
    checksumOf('crc32', Buffer.from('0123456789')).toString('base64'),
  );
});

test('conditions of reads and writes hold', async () => {
  const tag = (await put('cond', 'one')).headers.etag!;
  const read = async (headers: Record<string, string>) => (await s3.call('owner GET /photos/cond', { headers })).status;
  assert.equal(await read({ 'if-match': tag }), 200);
  assert.equal(await read({ 'if-match': '"x"' }), 412);
  assert.equal(await read({ 'if-none-match': tag }), 304);
  assert.equal(await read({ 'if-none-match': '"x", "y"' }), 200);
  assert.equal(await read({ 'if-modified-since': new Date(Date.now() + 5000).toUTCString() }), 304);
  assert.equal(await read({ 'if-unmodified-since': new Date(0).toUTCString() }), 412);
  const write = (headers: Record<string, string>) => s3.call('owner PUT /photos/cond', { body: 'two', headers });
  assert.equal((await write({ 'if-none-match': '*' })).code, 'PreconditionFailed');
  assert.equal((await write({ 'if-match': '"x"' })).code, 'PreconditionFailed');
  assert.equal((await write({ 'if-match': tag })).status, 200);
  assert.equal(
    (await s3.call('owner PUT /photos/cond-new', { body: 'x', headers: { 'if-none-match': '*' } })).status,
    200,
  );
});

test('every checksum is verified, kept and told', async () => {
  const body = Buffer.from('what is summed');
  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const) {
    const value = checksumOf(algorithm, body).toString('base64');
    const header = `x-amz-checksum-${algorithm}`;
    const answer = await put(`sum-${algorithm}`, body, { [header]: value });
    assert.equal(answer.headers[header], value);
    const got = await s3.call(`owner GET /photos/sum-${algorithm}`, { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    assert.deepEqual([got.headers[header], got.headers['x-amz-checksum-type']], [value, 'FULL_OBJECT']);
    const wrong = await s3.call(`owner PUT /photos/wrong-${algorithm}`, {
      body: 'other',
      headers: { [header]: value },
    });
    assert.equal(wrong.code, 'BadDigest', algorithm);
    assert.equal((await s3.call(`owner HEAD /photos/wrong-${algorithm}`)).status, 404);
  }
  const content = (value: string) => s3.call('owner PUT /photos/md5', { body, headers: { 'content-md5': value } });
  assert.equal((await content(createHash('md5').update(body).digest('base64'))).status, 200);
  assert.equal((await content(createHash('md5').update('x').digest('base64'))).code, 'BadDigest');
  assert.equal((await content('x')).code, 'InvalidDigest');
});

/** A body in `aws-chunked` form. */
function chunked(body: Buffer, size: number, options: { sign?: (data: Buffer) => string; end: string }): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at <= body.length; at += size) {
    const data = body.subarray(at, at + size);
    if (data.length === 0) break;
    parts.push(Buffer.from(`${data.length.toString(16)}${options.sign?.(data) ?? ''}\r\n`), data, Buffer.from('\r\n'));
  }
  parts.push(Buffer.from(`0${options.sign?.(Buffer.alloc(0)) ?? ''}\r\n${options.end}\r\n`));
  return Buffer.concat(parts);
}

test('a body in chunks with its sum behind it is taken, and one whose sum is wrong is not', async () => {
  const body = Buffer.from('0123456789'.repeat(5000));
  const sum = checksumOf('crc32', body).toString('base64');
  const send = (end: string) => {
    const wire = chunked(body, 8192, { end });
    return s3.call('owner PUT /photos/trailer', {
      body: wire,
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: {
        'x-amz-trailer': 'x-amz-checksum-crc32',
        'x-amz-decoded-content-length': `${body.length}`,
        'content-encoding': 'aws-chunked',
      },
    });
  };
  const answer = await send(`x-amz-checksum-crc32:${sum}\r\n`);
  assert.deepEqual([answer.status, answer.headers['x-amz-checksum-crc32']], [200, sum], answer.text);
  const got = await s3.call('owner GET /photos/trailer');
  assert.ok(got.body.equals(body));
  assert.equal(got.headers['content-encoding'], undefined);
  assert.equal((await send('x-amz-checksum-crc32:AAAAAA==\r\n')).code, 'BadDigest');
  assert.equal((await send('')).status, 400, 'what was announced has to come');
});

test('a body in signed chunks is taken; one that somebody changed on the way is not', async () => {
  const body = Buffer.from('abcdefghij'.repeat(3000));
  const target = '/photos/signed-chunks';
  const send = async (change: (wire: Buffer) => Buffer) => {
    const { headers, signature, key } = signedHeaders(s3.keys('owner'), {
      ...{ method: 'PUT', target, host: s3.host, payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
      headers: { 'x-amz-decoded-content-length': `${body.length}`, 'content-encoding': 'aws-chunked' },
    });
    const signatures = new ChunkSignatures(key, signature);
    const sign = (data: Buffer) =>
      `;chunk-signature=${signatures.next(createHash('sha256').update(data).digest('hex'))}`;
    const wire = change(chunked(body, 10_000, { sign, end: '' }));
    return s3.send('PUT', target, { ...headers, 'content-length': `${wire.length}` }, wire);
  };
  const answer = await send((wire) => wire);
  assert.equal(answer.status, 200, answer.text);
  assert.ok((await s3.call(`owner GET ${target}`)).body.equals(body));
  const changed = await send((wire) => {
    wire[15_000] = 'X'.charCodeAt(0);
    return wire;
  });
  assert.equal(changed.code, 'SignatureDoesNotMatch');
  assert.ok((await s3.call(`owner GET ${target}`)).body.equals(body), 'what was there stays');
  assert.equal((await send((wire) => wire.subarray(0, 15_000))).status, 400, 'cut off');
});

test('a body that has not the hash that was signed is not taken', async () => {
  const wrong = await s3.call('owner PUT /photos/hash', {
    body: 'a body',
    payload: createHash('sha256').update('x').digest('hex'),
  });
  assert.equal(wrong.code, 'XAmzContentSHA256Mismatch');
  assert.equal((await s3.call('owner HEAD /photos/hash')).status, 404);
  assert.equal((await s3.call('owner PUT /photos/hash', { body: 'a body', payload: 'UNSIGNED-PAYLOAD' })).status, 200);
});

test('lists have pages, prefixes and delimiters in both versions', async () => {
  assert.equal((await s3.call('owner PUT /listed')).status, 200);
  const keys = ['a', 'b/1', 'b/2', 'b/3', 'c', 'd/e/f', 'é'];
  for (const key of keys)
    await s3.call(`owner PUT /listed/${encodeURIComponent(key).replaceAll('%2F', '/')}`, { body: 'x' });
  const list = async (query: string) => (await s3.call(`owner GET /listed?${query}`)).text;
  assert.deepEqual(all(await list(''), 'Key'), keys);
  const first = await list('list-type=2&max-keys=3&delimiter=/');
  assert.deepEqual(
    [all(first, 'Key'), all(first, 'CommonPrefixes').length, all(first, 'KeyCount')],
    [['a', 'c'], 1, ['3']],
  );
  const [token] = all(first, 'NextContinuationToken');
  const second = await list(`list-type=2&delimiter=/&continuation-token=${encodeURIComponent(token!)}`);
  assert.deepEqual([all(second, 'Key'), all(second, 'IsTruncated')], [['é'], ['false']]);
  assert.match(second, /<CommonPrefixes><Prefix>d\/<\/Prefix>/);
  assert.deepEqual(all(await list('list-type=2&prefix=b/&start-after=b/1'), 'Key'), ['b/2', 'b/3']);
  assert.deepEqual(all(await list('prefix=b/&marker=b/2'), 'Key'), ['b/3']);
  const page = await list('delimiter=/&max-keys=2');
  assert.deepEqual(all(page, 'NextMarker'), ['b/']);
  assert.deepEqual(all(await list(`delimiter=/&marker=${all(page, 'NextMarker')[0]}`), 'Key'), ['c', 'é']);
  assert.match(await list('list-type=2&fetch-owner=true&max-keys=1'), /<Owner><ID>/);
  assert.deepEqual(all(await list('max-keys=0'), 'IsTruncated'), ['false']);
  assert.match(await list('max-keys=-1'), /InvalidArgument/);
  assert.match(await list('list-type=3'), /InvalidArgument/);
  assert.match(await list('list-type=2&continuation-token=x'), /InvalidArgument/);
  assert.equal((await s3.call('owner GET /?continuation-token=AA')).code, 'InvalidArgument');
});

test('many objects are deleted at once, each with its own outcome', async () => {
  await put('del-1', 'x');
  await put('del-2', 'x');
  const wish = (quiet: boolean, ...keys: string[]) =>
    `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${keys.map((key) => `<Object><Key>${key}</Key></Object>`).join('')}<Quiet>${quiet}</Quiet></Delete>`;
  const answer = await s3.call('owner POST /photos?delete', { body: wish(false, 'del-1', 'none') });
  assert.deepEqual(all(answer.text, 'Key'), ['del-1', 'none']);
  assert.equal((await s3.call('owner HEAD /photos/del-1')).status, 404);
  assert.doesNotMatch((await s3.call('owner POST /photos?delete', { body: wish(true, 'del-2') })).text, /Deleted/);
  for (const body of [
    '',
    '<Delete/>',
    '<Delete><Object/></Delete>',
    '<!DOCTYPE x><Delete/>',
    '<Delete><Other/></Delete>',
    '{}',
  ]) {
    assert.equal((await s3.call('owner POST /photos?delete', { body })).code, 'MalformedXML', body);
  }
  assert.equal((await s3.call('reader POST /photos?delete', { body: wish(false, 'x') })).code, 'AccessDenied');
});

test('an object is copied with what it is, or with what is said', async () => {
  await put('from%20a/%C3%9F%2B', 'copied'.repeat(3), { 'x-amz-meta-kept': '1', 'content-type': 'text/x' });
  const copy = (key: string, headers: Record<string, string> = {}) =>
    s3.call(`owner PUT /photos/${key}`, { headers: { 'x-amz-copy-source': '/photos/from%20a/%C3%9F%2B', ...headers } });
  const done = await copy('copy-1');
  assert.match(done.text, new RegExp(`<ETag>&quot;${md5('copied'.repeat(3))}&quot;</ETag>`));
  const got = await s3.call('owner GET /photos/copy-1');
  assert.deepEqual(
    [got.text, got.headers['x-amz-meta-kept'], got.headers['content-type']],
    ['copied'.repeat(3), '1', 'text/x'],
  );
  await copy('copy-2', { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-new': '2' });
  const replaced = (await s3.call('owner HEAD /photos/copy-2')).headers;
  assert.deepEqual([replaced['x-amz-meta-kept'], replaced['x-amz-meta-new']], [undefined, '2']);
  assert.equal((await copy('from%20a/%C3%9F%2B')).code, 'InvalidRequest', 'onto itself, without a change');
  assert.equal((await copy('copy-3', { 'x-amz-copy-source-if-match': '"x"' })).code, 'PreconditionFailed');
  assert.equal((await copy('x', { 'x-amz-copy-source': '/photos/none' })).code, 'NoSuchKey');
  assert.equal((await copy('x', { 'x-amz-copy-source': 'photos' })).code, 'InvalidArgument');
});

test('strangers and nobody read what an ACL opens, and nothing else', async () => {
  await put('secret', 'secret');
  await put('open', 'open', { 'x-amz-acl': 'public-read' });
  const nobody = (path: string) => s3.call(`nobody GET /s3${path}`, { unsigned: true });
  assert.equal((await nobody('/photos/secret')).code, 'AccessDenied');
  assert.equal((await nobody('/photos/open')).text, 'open');
  assert.equal((await nobody('/photos')).code, 'AccessDenied');
  assert.equal((await nobody('/photos/none')).code, 'AccessDenied', 'nor whether it is there');
  assert.equal((await s3.call('stranger GET /photos/secret')).code, 'AccessDenied');
  assert.equal((await s3.call('reader GET /photos/secret')).text, 'secret');
  assert.equal((await s3.call('reader PUT /photos/x', { body: 'x' })).code, 'AccessDenied');
  assert.equal((await s3.call('owner PUT /photos?acl', { headers: { 'x-amz-acl': 'public-read' } })).status, 200);
  assert.equal((await nobody('/photos/secret')).text, 'secret');
  assert.match((await s3.call('owner GET /photos?acl')).text, /AllUsers<\/URI><\/Grantee><Permission>READ</);
  assert.equal((await s3.call('owner PUT /photos?acl', { headers: { 'x-amz-acl': 'private' } })).status, 200);
  assert.equal((await nobody('/photos/secret')).code, 'AccessDenied');
  assert.equal(
    (await s3.call('owner PUT /photos/x', { body: 'x', headers: { 'x-amz-acl': 'log-delivery-write' } })).status,
    501,
  );
});

test('an object that an ACL opens is that one alone: not what a manifest of somebody else’s leads to', async () => {
  const { world } = s3;
  const { containers, objects } = world.area.services;
  await put('hidden', 'hidden');
  const guest = s3.callers.get('stranger')!;
  const where = { projectId: world.projectId, container: 'guests' };
  const acl = `${guest.projectId}:*`;
  await containers.create(world.caller, where, { readAcl: acl, writeAcl: acl });
  const wish = { contentType: 'a/b', manifest: { kind: 'dlo', container: 'photos', prefix: 'hidden' } } as const;
  await objects.put(guest, where, 'lens', { bytes: Readable.from([]), sizeBytes: 0 }, wish);
  const opened = await s3.call('stranger PUT /guests/lens?acl', { headers: { 'x-amz-acl': 'public-read' } });
  assert.equal(opened.status, 200, opened.text);
  for (const unsigned of [true, false]) {
    const seen = await s3.call('stranger GET /s3/guests/lens', { unsigned });
    assert.equal(seen.code, 'AccessDenied', seen.text);
  }
});

test('a tag that was told of a large object of Swift’s holds as a condition, and is that of the list', async () => {
  const { world } = s3;
  const segment = { container: 'photos', name: 'segment', sizeBytes: 4, etag: md5('abcd') };
  await put('segment', 'abcd');
  const manifest = { kind: 'slo' as const, segments: [segment], sizeBytes: 4, etag: md5(md5('abcd')) };
  await world.put('large', '', { manifest }, 'photos');
  const told = (await s3.call('owner HEAD /photos/large')).headers.etag!;
  assert.equal(told, `"${manifest.etag}-1"`);
  assert.equal((await s3.call('owner GET /photos/large', { headers: { 'if-match': told } })).text, 'abcd');
  assert.equal((await s3.call('owner GET /photos/large', { headers: { 'if-none-match': told } })).status, 304);
  const listed = (await s3.call('owner GET /photos?prefix=large')).text;
  assert.deepEqual(all(listed, 'ETag'), [told.replaceAll('"', '&quot;')]);
  assert.equal((await s3.call('owner PUT /photos/large', { body: 'x', headers: { 'if-match': told } })).status, 200);
});

test('a condition of who reads by an object’s own ACL is answered as anybody’s', async () => {
  await put('open-too', 'open', { 'x-amz-acl': 'public-read' });
  const nobody = (headers: Record<string, string>) =>
    s3.call('nobody GET /s3/photos/open-too', { unsigned: true, headers });
  const { etag = '' } = (await nobody({})).headers;
  assert.equal((await nobody({ 'if-none-match': etag })).status, 304);
  assert.equal((await nobody({ 'if-match': '"other"' })).status, 412);
});

test('tags of objects and buckets are kept', async () => {
  await put('tagged', 'x', { 'x-amz-tagging': 'a=1&b=%2B' });
  assert.deepEqual(all((await s3.call('owner GET /photos/tagged?tagging')).text, 'Value'), ['1', '+']);
  assert.equal((await s3.call('owner HEAD /photos/tagged')).headers['x-amz-tagging-count'], '2');
  const nothing = { body: 'x', headers: { 'x-amz-tagging': 'a=%00' } };
  assert.equal((await s3.call('owner PUT /photos/tagged', nothing)).code, 'InvalidTag');
  const body = '<Tagging><TagSet><Tag><Key>c</Key><Value>&lt;</Value></Tag></TagSet></Tagging>';
  assert.equal((await s3.call('owner PUT /photos/tagged?tagging', { body })).status, 200);
  assert.deepEqual(all((await s3.call('owner GET /photos/tagged?tagging')).text, 'Key'), ['c']);
  assert.equal((await s3.call('owner DELETE /photos/tagged?tagging')).status, 204);
  assert.equal((await s3.call('owner GET /photos?tagging')).code, 'NoSuchTagSet');
  assert.equal((await s3.call('owner PUT /photos?tagging', { body })).status, 204);
  assert.deepEqual(all((await s3.call('owner GET /photos?tagging')).text, 'Value'), ['&lt;']);
});

test('a bucket is a host’s name too, and a presigned URL needs no header', async () => {
  await put('by-host', 'found');
  assert.equal((await s3.call('owner GET /by-host', { host: 'photos.s3.cloud.test' })).text, 'found');
  assert.equal((await s3.call('owner GET /photos/by-host', { host: 's3.cloud.test:8443' })).text, 'found');
  await put('s3/by-host', 'another');
  assert.equal((await s3.call('owner GET /s3/by-host', { host: 'photos.s3.cloud.test' })).text, 'another');
  const target = presign(s3.keys('owner'), {
    method: 'GET',
    target: '/photos/by-host?response-content-type=text/x',
    host: s3.host,
  });
  const got = await s3.send('GET', target, { host: s3.host });
  assert.deepEqual([got.text, got.headers['content-type']], ['found', 'text/x']);
  assert.equal(
    (await s3.send('GET', target.replace('by-host', 'secret'), { host: s3.host })).code,
    'SignatureDoesNotMatch',
  );
});

test('what this cloud does not have is refused by its name', async () => {
  for (const [line, headers] of [
    ['owner GET /photos?analytics', {}],
    ['owner PUT /photos?replication', {}],
    ['owner GET /photos/x?torrent', {}],
    ['owner PUT /photos/x', { 'x-amz-server-side-encryption': 'aws:kms' }],
    ['owner PUT /photos/x', { 'x-amz-grant-read': 'id=x' }],
  ] as const) {
    const answer = await s3.call(line, { headers: { ...headers } });
    assert.deepEqual([answer.status, answer.code], [501, 'NotImplemented'], line);
  }
  assert.equal(
    (await s3.call('owner PUT /photos/x', { headers: { 'x-amz-storage-class': 'GLACIER' } })).code,
    'InvalidStorageClass',
  );
  assert.equal((await s3.call('owner PATCH /photos/x')).code, 'MethodNotAllowed');
});

test('signatures of version 2 hear what to do instead', async () => {
  const answer = await s3.send('GET', '/photos', { host: s3.host, authorization: 'AWS owner:x' });
  assert.match(answer.text, /Please use AWS4-HMAC-SHA256/);
});
