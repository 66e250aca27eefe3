/** Large objects in segments, symlinks, copies and the older versioning, by Swift's API. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { callers, ObjectApi } from './testing.ts';

let api: ObjectApi;
before(async () => {
  api = await ObjectApi.start();
  await api.must(201, 'alice PUT /c');
  await api.must(201, 'alice PUT /segments');
  for (const [name, body] of [
    ['1', 'abcd'],
    ['2', 'efgh'],
  ] as const) {
    await api.must(201, `alice PUT /segments/${name}`, { body });
  }
});
after(() => api[Symbol.asyncDispose]());

const md5 = (text: string) => createHash('md5').update(text).digest('hex');
const put = (line: string, manifest: object[]) => api.call(line, { body: JSON.stringify(manifest) });

test('a static large object is its segments, ranges of them and inline bytes', async () => {
  const made = await put('alice PUT /c/slo?multipart-manifest=put', [
    { path: '/segments/1', etag: md5('abcd'), size_bytes: 4 },
    { data: Buffer.from('--').toString('base64') },
    { path: 'segments/2', range: '1-2' },
  ]);
  const etag = md5(`${md5('abcd')}${md5('--')}${md5('efgh')}:1-2;`);
  assert.deepEqual([made.status, made.headers.etag], [201, `"${etag}"`]);
  const got = await api.must(200, 'alice GET /c/slo');
  assert.deepEqual(
    [got.text, got.headers.etag, got.headers['x-static-large-object']],
    ['abcd--fg', `"${etag}"`, 'True'],
  );
  assert.equal((await api.must(206, 'alice GET /c/slo', { headers: { range: 'bytes=3-6' } })).text, 'd--f');
  const manifest = JSON.parse((await api.must(200, 'alice GET /c/slo?multipart-manifest=get')).text);
  assert.deepEqual([manifest[0].name, manifest[0].bytes, manifest[2].range], ['/segments/1', 4, '1-2']);
  const raw = JSON.parse((await api.must(200, 'alice GET /c/slo?multipart-manifest=get&format=raw')).text);
  assert.deepEqual(raw[0], { path: '/segments/1', etag: md5('abcd'), size_bytes: 4 });
  const [listed] = JSON.parse((await api.must(200, 'alice GET /c?format=json&prefix=slo')).text);
  assert.equal(listed.bytes, 8);
  await api.must(202, 'alice POST /c/slo', { headers: { 'x-object-meta-a': 'b' } });
  assert.equal((await api.must(200, 'alice GET /c/slo')).text, 'abcd--fg');
  const copied = await api.must(201, 'alice COPY /c/slo', { headers: { destination: 'c/whole' } });
  assert.equal(copied.headers.etag, md5('abcd--fg'));
});

test('a manifest whose segments are not as it says is refused, with each fault', async () => {
  const { status, text } = await put('alice PUT /c/bad?multipart-manifest=put', [
    { path: '/segments/1', etag: 'x' },
    { path: '/segments/2', size_bytes: 5 },
    { path: '/segments/none' },
    { path: '/segments/1', range: '9-' },
  ]);
  assert.equal(status, 400);
  for (const why of ['Etag Mismatch', 'Size Mismatch', '404 Not Found', 'Unsatisfiable Range'])
    assert.match(text, new RegExp(why));
  await api.must(404, 'alice HEAD /c/bad');
});

test('a static large object is deleted with its segments', async () => {
  await api.must(201, 'alice PUT /gone');
  await api.must(201, 'alice PUT /gone/1', { body: 'x' });
  assert.equal((await put('alice PUT /gone/o?multipart-manifest=put', [{ path: '/gone/1' }])).status, 201);
  const report = await api.must(200, 'alice DELETE /gone/o?multipart-manifest=delete', {
    headers: { accept: 'application/json' },
  });
  assert.equal(JSON.parse(report.text)['Number Deleted'], 2);
  await api.must(204, 'alice DELETE /gone');
  await api.must(400, 'alice DELETE /segments/1?multipart-manifest=delete');
});

test('a dynamic large object is whatever has its prefix now', async () => {
  await api.must(201, 'alice PUT /segments/d/1', { body: 'abcd' });
  await api.must(201, 'alice PUT /segments/d/2', { body: 'efgh' });
  await api.must(201, 'alice PUT /c/dlo', { body: '', headers: { 'x-object-manifest': 'segments/d/' } });
  const got = await api.must(200, 'alice GET /c/dlo');
  assert.deepEqual([got.text, got.headers.etag], ['abcdefgh', `"${md5(md5('abcd') + md5('efgh'))}"`]);
  assert.equal(got.headers['x-object-manifest'], 'segments/d/');
  await api.must(201, 'alice PUT /segments/d/3', { body: 'ij' });
  assert.equal((await api.must(200, 'alice GET /c/dlo')).text, 'abcdefghij');
  assert.equal((await api.must(206, 'alice GET /c/dlo', { headers: { range: 'bytes=7-8' } })).text, 'hi');
  await api.must(204, 'alice DELETE /segments/d/3');
  await api.must(202, 'alice POST /c/dlo');
  assert.equal((await api.must(200, 'alice GET /c/dlo')).text, '');
  await api.must(400, 'alice PUT /c/x', { body: '', headers: { 'x-object-manifest': 'segments' } });
});

test('a symlink stands for another object, and says so when asked', async () => {
  const headers = { 'x-symlink-target': 'segments/1' };
  await api.must(201, 'alice PUT /c/link', { body: '', headers });
  const got = await api.must(200, 'alice GET /c/link');
  assert.equal(got.text, 'abcd');
  assert.match(got.headers['content-location']!, /\/segments\/1$/);
  const own = await api.must(200, 'alice HEAD /c/link?symlink=get');
  assert.deepEqual([own.headers['x-symlink-target'], own.headers['content-length']], ['segments/1', '0']);
  const posted = await api.must(307, 'alice POST /c/link', { headers: { 'x-object-meta-a': 'b' } });
  assert.match(posted.headers.location!, /\/segments\/1$/);
  await api.must(201, 'alice PUT /c/static', {
    body: '',
    headers: { ...headers, 'x-symlink-target-etag': md5('abcd') },
  });
  await api.must(409, 'alice PUT /c/static', { body: '', headers: { ...headers, 'x-symlink-target-etag': md5('x') } });
  await api.must(409, 'alice PUT /c/static', {
    body: '',
    headers: { 'x-symlink-target': 'c/none', 'x-symlink-target-etag': 'x' },
  });
  await api.must(400, 'alice PUT /c/link', { body: 'x', headers });
  for (const [from, to] of ['ab', 'bc', 'ca']) {
    await api.must(201, `alice PUT /c/${from}`, { body: '', headers: { 'x-symlink-target': `c/${to}` } });
  }
  await api.must(409, 'alice GET /c/a');
});

test('copies: to another name and account, with metadata added or anew', async () => {
  const { projectId, userId } = callers.bob;
  await api.must(201, 'bob PUT bob:/in');
  const alice = `${callers.alice.projectId}:${callers.alice.userId}`;
  await api.must(204, 'bob POST bob:/in', { headers: { 'x-container-write': alice, 'x-container-read': alice } });
  assert.ok(projectId && userId);
  await api.must(201, 'alice PUT /c/from', {
    body: 'text',
    headers: { 'content-type': 'text/x', 'x-object-meta-a': '1' },
  });
  const copied = await api.must(201, 'alice COPY /c/from', {
    headers: { destination: '/in/a%2Fb c', 'destination-account': `AUTH_${projectId}`, 'x-object-meta-b': '2' },
  });
  assert.equal(copied.headers['x-copied-from'], 'c/from');
  const got = await api.must(200, 'bob GET bob:/in/a/b%20c');
  assert.deepEqual(
    [got.text, got.headers['content-type'], got.headers['x-object-meta-a'], got.headers['x-object-meta-b']],
    ['text', 'text/x', '1', '2'],
  );
  const headers = { 'x-copy-from': '/c/from', 'x-fresh-metadata': 'true', 'content-type': 'text/y' };
  await api.must(201, 'alice PUT /c/fresh', { headers });
  const fresh = await api.must(200, 'alice GET /c/fresh');
  assert.deepEqual(
    [fresh.text, fresh.headers['content-type'], fresh.headers['x-object-meta-a']],
    ['text', 'text/y', undefined],
  );
  await api.must(404, 'alice PUT /c/fresh', { headers: { 'x-copy-from': '/c/none' } });
  await api.must(412, 'alice PUT /c/fresh', { headers: { 'x-copy-from': 'nothing' } });
  await api.must(412, 'alice COPY /c/from');
  await api.must(400, 'alice PUT /c/fresh', { body: 'x', headers: { 'x-copy-from': '/c/from' } });
});

test('the older versioning: a delete brings the last version back, or only marks it in a history', async () => {
  await api.must(201, 'alice PUT /old');
  await api.must(201, 'alice PUT /new', { headers: { 'x-versions-location': 'old' } });
  assert.equal((await api.must(204, 'alice HEAD /new')).headers['x-versions-location'], 'old');
  for (const body of ['1', '2', '3'])
    await api.must(201, 'alice PUT /new/o', { body, headers: { 'x-object-meta-n': body } });
  const { text } = await api.must(200, 'alice GET /old');
  assert.match(text, /^001o\/\d{10}\.\d{5}\n001o\/\d{10}\.\d{5}\n$/);
  for (const left of ['2', '1']) {
    await api.must(204, 'alice DELETE /new/o');
    const got = await api.must(200, 'alice GET /new/o');
    assert.deepEqual([got.text, got.headers['x-object-meta-n']], [left, left]);
  }
  await api.must(204, 'alice DELETE /new/o');
  await api.must(404, 'alice GET /new/o');
  await api.must(204, 'alice GET /old');
  await api.must(204, 'alice POST /new', {
    headers: { 'x-history-location': 'old', 'x-remove-versions-location': 'x' },
  });
  await api.must(201, 'alice PUT /new/o', { body: '4' });
  await api.must(204, 'alice DELETE /new/o');
  await api.must(404, 'alice GET /new/o');
  const kept = JSON.parse((await api.must(200, 'alice GET /old?format=json')).text) as { content_type: string }[];
  assert.deepEqual(
    kept.map((entry) => entry.content_type),
    ['application/octet-stream', 'application/x-deleted;swift_versions_deleted=1'],
  );
  await api.must(204, 'alice POST /new', { headers: { 'x-versions-location': 'nowhere' } });
  await api.must(201, 'alice PUT /new/o', { body: '5' });
  await api.must(412, 'alice PUT /new/o', { body: '6' });
});

test('manifests of manifests are deleted each once, however often they name each other', async () => {
  await api.must(201, 'alice PUT /segments/leaf', { body: 'x' });
  let below = 'leaf';
  for (const name of ['m1', 'm2', 'm3', 'm4']) {
    const segments = Array.from({ length: 200 }, () => ({ path: `/segments/${below}` }));
    assert.equal((await put(`alice PUT /segments/${name}?multipart-manifest=put`, segments)).status, 201);
    below = name;
  }
  const { text } = await api.must(200, 'alice DELETE /segments/m4?multipart-manifest=delete');
  assert.match(text, /Number Deleted: 5\n/);
});

test('manifests that would be larger than any number are refused', async () => {
  await api.must(201, 'alice PUT /segments/ten', { body: '0123456789' });
  const manifest = { kind: 'slo' as const, segments: [], sizeBytes: 9e15, etag: 'x' };
  const where = { projectId: callers.alice.projectId!, container: 'segments' };
  const nothing = { bytes: Readable.from([]), sizeBytes: 0 };
  await api.objects.put(callers.alice, where, 'huge', nothing, { contentType: 'a/b', manifest });
  const twice = [{ path: '/segments/huge' }, { path: '/segments/huge' }];
  assert.equal((await put('alice PUT /c/more?multipart-manifest=put', twice)).status, 413);
});

test('whoever may write and not read says something else of an object', async () => {
  await api.must(201, 'alice PUT /drop', { headers: { 'x-container-write': `${callers.bob.projectId}:*` } });
  await api.must(201, 'bob PUT /drop/a', { body: 'x' });
  await api.must(202, 'bob POST /drop/a', { headers: { 'x-object-meta-colour': 'blue' } });
  await api.must(403, 'bob HEAD /drop/a');
  assert.equal((await api.must(200, 'alice HEAD /drop/a')).headers['x-object-meta-colour'], 'blue');
  await api.must(404, 'bob POST /drop/none');
});

test('what no header can have does no harm when it is told', async () => {
  const where = { projectId: callers.alice.projectId!, container: 'c' };
  const source = { bytes: Readable.from(['x']), sizeBytes: 1 };
  const wish = { contentType: 'a/b\r\nx: y', metadata: { 'a b': '1\u00072' } };
  await api.objects.put(callers.alice, where, 'odd', source, wish);
  const { headers } = await api.must(200, 'alice GET /c/odd');
  assert.deepEqual(
    [headers['content-type'], headers.x, headers['x-object-meta-a_20b']],
    ['a/b  x: y', undefined, '1 2'],
  );
});

test('what S3 has put together of parts is told as large, without segments, and goes as one', async () => {
  const where = { projectId: callers.alice.projectId!, container: 'c' };
  const { uploadId } = await api.uploads.begin(callers.alice, where, 'of-parts', { contentType: 'a/b' });
  const source = { bytes: Readable.from([Buffer.from('part')]), sizeBytes: 4 };
  const part = await api.uploads.putPart(callers.alice, where, 'of-parts', uploadId, 1, source);
  const made = await api.uploads.complete(callers.alice, where, 'of-parts', uploadId, [part]);
  const got = await api.must(200, 'alice GET /c/of-parts');
  assert.deepEqual(
    [got.text, got.headers.etag, got.headers['x-static-large-object']],
    ['part', `"${made.etag}"`, 'True'],
  );
  assert.match(made.etag, /-1$/);
  await api.must(304, 'alice GET /c/of-parts', { headers: { 'if-none-match': `"${made.etag}"` } });
  assert.equal((await api.must(200, 'alice GET /c/of-parts?multipart-manifest=get')).text, '[]');
  assert.match((await api.must(200, 'alice DELETE /c/of-parts?multipart-manifest=delete')).text, /Number Deleted: 1\n/);
  await api.must(404, 'alice HEAD /c/of-parts');
});

test('what another dialect keeps with an object stays, and opens no copy', async () => {
  const where = { projectId: callers.alice.projectId!, container: 'c' };
  const source = { bytes: Readable.from(['x']), sizeBytes: 1 };
  const headers = { 'x-amz-acl': 'public-read', 'x-amz-website-redirect-location': '/there', cacheControl: 'no-store' };
  await api.objects.put(callers.alice, where, 'kept', source, { contentType: 'a/b', headers });
  await api.must(202, 'alice POST /c/kept', { headers: { 'x-object-meta-a': 'b' } });
  const headersOf = async (name: string) => (await api.objects.head(callers.alice, where, name)).object.headers;
  const { cacheControl: _none, ...left } = headers;
  assert.deepEqual(await headersOf('kept'), left);
  await api.must(201, 'alice COPY /c/kept', { headers: { destination: 'c/kept-copy' } });
  assert.deepEqual(await headersOf('kept-copy'), { 'x-amz-website-redirect-location': '/there' });
});

test('a manifest of what no name can be is refused', async () => {
  for (const manifest of ['c/%00', '%00/c', 'c'])
    await api.must(400, 'alice PUT /c/dynamic', { headers: { 'x-object-manifest': manifest } });
});

test('who asks for a link is told of what is none as anybody is', async () => {
  await api.must(201, 'alice PUT /segments/1', { body: 'abcd' });
  assert.equal((await put('alice PUT /c/large?multipart-manifest=put', [{ path: '/segments/1' }])).status, 201);
  assert.equal((await api.must(200, 'alice GET /c/large?symlink=get')).text, 'abcd');
});
