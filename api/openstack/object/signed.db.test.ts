/** Who comes with a signature, and what browsers ask: temporary URLs, forms, static web, CORS; and many at once. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { callers, ObjectApi } from './testing.ts';

let api: ObjectApi;
const account = `AUTH_${callers.alice.projectId}`;
const seconds = (from: number) => String(Math.floor(Date.now() / 1000) + from);

before(async () => {
  api = await ObjectApi.start();
  await api.must(204, 'alice POST /', { headers: { 'x-account-meta-temp-url-key': 'key' } });
  await api.must(201, 'alice PUT /c', { headers: { 'x-container-meta-temp-url-key-2': 'other' } });
  await api.must(201, 'alice PUT /c/dir/o', {
    body: 'hello',
    headers: { 'x-object-meta-secret': 'x', 'x-object-meta-public-a': 'b' },
  });
});
after(() => api[Symbol.asyncDispose]());

function signed(method: string, object: string, { key = 'key', expires = seconds(60), root = '/object' } = {}): string {
  const sig = createHmac('sha256', key)
    .update(`${method}\n${expires}\n${root}/v1/${account}/c/${object}`)
    .digest('hex');
  return `/c/${encodeURIComponent(object)}?temp_url_sig=${sig}&temp_url_expires=${expires}`;
}

test('a temporary URL opens its object for its method, and tells no secrets', async () => {
  const got = await api.must(200, `nobody GET ${signed('GET', 'dir/o')}`);
  assert.equal(got.text, 'hello');
  assert.match(got.headers['content-disposition']!, /^attachment; filename="o"/);
  assert.deepEqual([got.headers['x-object-meta-secret'], got.headers['x-object-meta-public-a']], [undefined, 'b']);
  assert.ok(got.headers.expires);
  const inline = await api.must(200, `nobody GET ${signed('GET', 'dir/o', { key: 'other', root: '' })}&inline`);
  assert.equal(inline.headers['content-disposition'], 'inline');
  await api.must(200, `nobody HEAD ${signed('PUT', 'dir/o')}`);
  await api.must(201, `nobody PUT ${signed('PUT', 'put')}`, { body: 'x' });
  assert.equal((await api.must(200, 'alice GET /c/put')).text, 'x');
  await api.must(204, `nobody DELETE ${signed('DELETE', 'put')}`);
  for (const url of [
    signed('GET', 'dir/o', { key: 'wrong' }),
    signed('GET', 'dir/o', { expires: seconds(-1) }),
    signed('PUT', 'dir/o'),
    signed('GET', 'dir/o').replace('dir%2Fo', 'dir%2Fp'),
  ]) {
    await api.must(401, `nobody GET ${url}`);
    // A token does not help a URL that is wrong.
    await api.must(401, `alice GET ${url}`);
  }
  await api.must(400, `nobody PUT ${signed('PUT', 'put')}`, { body: '', headers: { 'x-object-manifest': 'c/dir' } });
});

test('a signature opens no more than its key’s account, or its key’s container: no symlink and no manifest leads beyond', async () => {
  const bob = `AUTH_${callers.bob.projectId}`;
  await api.must(201, 'bob PUT bob:/private');
  await api.must(201, 'bob PUT bob:/private/o', { body: 'secret' });
  const target = { 'x-symlink-target': 'private/o', 'x-symlink-target-account': bob };
  await api.must(201, 'alice PUT /c/bobs', { body: '', headers: target });
  await api.must(403, 'alice GET /c/bobs');
  await api.must(401, `nobody GET ${signed('GET', 'bobs')}`);
  await api.must(201, 'alice PUT /inner');
  await api.must(201, 'alice PUT /inner/1', { body: 'inner' });
  await api.must(201, 'alice PUT /c/link', { body: '', headers: { 'x-symlink-target': 'inner/1' } });
  assert.equal((await api.must(200, `nobody GET ${signed('GET', 'link')}`)).text, 'inner');
  await api.must(401, `nobody GET ${signed('GET', 'link', { key: 'other' })}`);
  await api.must(201, 'alice PUT /c/large', { body: '', headers: { 'x-object-manifest': 'inner/1' } });
  assert.equal((await api.must(200, `nobody GET ${signed('GET', 'large')}`)).text, 'inner');
  await api.must(401, `nobody GET ${signed('GET', 'large', { key: 'other' })}`);
});

test('who may only write in a container learns nothing by a manifest, and what he overwrites is kept all the same', async () => {
  const bob = `${callers.bob.projectId}:${callers.bob.userId}`;
  await api.must(201, 'alice PUT /kept');
  const headers = { 'x-container-write': bob, 'x-container-read': bob, 'x-versions-location': 'kept' };
  await api.must(201, 'alice PUT /shared', { headers });
  await api.must(201, 'alice PUT /hidden');
  await api.must(201, 'alice PUT /hidden/1', { body: 'secret' });
  await api.must(201, 'bob PUT /shared/spy', { body: '', headers: { 'x-object-manifest': 'hidden/1' } });
  await api.must(403, 'bob GET /shared/spy');
  await api.must(403, 'bob HEAD /shared/spy');
  await api.must(204, 'alice POST /shared', { headers: { 'x-container-read': '' } });
  for (const body of ['1', '2']) await api.must(201, 'bob PUT /shared/o', { body });
  await api.must(403, 'bob GET /shared/o');
  assert.match((await api.must(200, 'alice GET /kept')).text, /^001o\//);
  await api.must(204, 'bob DELETE /shared/o');
  assert.equal((await api.must(200, 'alice GET /shared/o')).text, '1');
});

function form({
  expires = seconds(60),
  key = 'key',
  size = '100',
  count = '1',
  redirect = '',
  files = ['hello'],
} = {}) {
  const text = [`/object/v1/${account}/c/up-`, redirect, size, count, expires].join('\n');
  const signature = createHmac('sha1', key).update(text).digest('hex');
  const fields = { redirect, max_file_size: size, max_file_count: count, expires, signature };
  const parts = Object.entries(fields).map(
    ([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const sent = files.map(
    (file, at) =>
      `--b\r\nContent-Disposition: form-data; name="f${at}"; filename="f${at}"\r\nContent-Type: text/x\r\n\r\n${file}\r\n`,
  );
  return {
    body: `${[...parts, ...sent].join('')}--b--\r\n`,
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  };
}

test('a signed form puts files under its prefix, so many and so large as was signed', async () => {
  const post = 'nobody POST /c/up-';
  await api.must(201, post, form());
  const got = await api.must(200, 'alice GET /c/up-f0');
  assert.deepEqual([got.text, got.headers['content-type']], ['hello', 'text/x']);
  const there = await api.must(303, post, form({ redirect: 'https://example.com/?a=b' }));
  assert.equal(there.headers.location, 'https://example.com/?a=b&status=201&message=');
  assert.match((await api.must(401, post, form({ expires: seconds(-1) }))).text, /FormPost: Form Expired/);
  assert.match((await api.must(401, post, form({ key: 'wrong' }))).text, /FormPost: Invalid Signature/);
  await api.must(413, post, form({ size: '4' }));
  await api.must(400, post, form({ files: ['a', 'b'] }));
  await api.must(400, post, form({ files: [] }));
  await api.must(400, post, { ...form(), body: 'nothing' });
});

test('a site: its index, its directories, its page about what is not there', async () => {
  await api.must(201, 'alice PUT /web', { headers: { 'x-container-read': '.r:*,.rlistings' } });
  for (const name of ['index.html', 'sub/a<b', 'sub/deep/x', '404error.html']) {
    await api.must(201, `alice PUT /web/${encodeURIComponent(name)}`, { body: name });
  }
  const web = (headers: Record<string, string>) => api.must(204, 'alice POST /web', { headers });
  await web({ 'x-container-meta-web-index': 'index.html', 'x-container-meta-web-error': 'error.html' });
  const there = await api.must(301, 'nobody GET /web');
  assert.match(there.headers.location!, /\/web\/$/);
  const index = await api.must(200, 'nobody GET /web/');
  assert.deepEqual([index.text, index.headers['content-type']], ['index.html', 'text/html']);
  assert.equal((await api.must(404, 'nobody GET /web/none')).text, '404error.html');
  assert.equal((await api.must(404, 'nobody GET /web/sub/')).text, '404error.html');
  await web({ 'x-container-meta-web-listings': 'true', 'x-container-meta-web-listings-css': 'site.css' });
  const listing = await api.must(200, 'nobody GET /web/sub/');
  assert.match(listing.text, /<link rel="stylesheet" type="text\/css" href="\.\.\/site\.css" \/>/);
  assert.match(listing.text, /<a href="\.\/a%3Cb">a&lt;b<\/a>[\s\S]*<a href="\.\/deep\/">deep\/<\/a>/);
  await api.must(301, 'nobody GET /web/sub');
  // With a token it is a container like any other.
  assert.match((await api.must(200, 'alice GET /web')).text, /^404error.html\nindex.html\n/);
});

test('a page of another origin is told what the container’s owner allows', async () => {
  const headers = { 'x-container-meta-access-control-allow-origin': 'https://a.example', 'x-container-read': '.r:*' };
  await api.must(201, 'alice PUT /cors', { headers });
  await api.must(201, 'alice PUT /cors/o', { body: 'x' });
  const ask = (origin: string) => ({ headers: { origin, 'access-control-request-method': 'GET' } });
  const allowed = await api.must(200, 'nobody OPTIONS /cors/o', ask('https://a.example'));
  assert.equal(allowed.headers['access-control-allow-origin'], 'https://a.example');
  await api.must(401, 'nobody OPTIONS /cors/o', ask('https://b.example'));
  const got = await api.must(200, 'nobody GET /cors/o', { headers: { origin: 'https://a.example' } });
  assert.equal(got.headers['access-control-allow-origin'], 'https://a.example');
  assert.match(got.headers['access-control-expose-headers']!, /etag/);
  const other = await api.must(200, 'nobody GET /cors/o', { headers: { origin: 'https://b.example' } });
  assert.equal(other.headers['access-control-allow-origin'], undefined);
});

test('an archive becomes containers and objects, and a list of names takes them away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bothy-test-bulk-'));
  try {
    mkdirSync(join(folder, 'bulk/sub'), { recursive: true });
    writeFileSync(join(folder, 'bulk/a b'), 'x');
    writeFileSync(join(folder, 'bulk/sub/c.txt'), 'hello');
    const tar = execFileSync('tar', ['-C', folder, '-cf', '-', 'bulk']);
    const accept = { accept: 'application/json' };
    const made = await api.must(200, 'alice PUT /?extract-archive=tar', { body: tar, headers: accept });
    assert.deepEqual(JSON.parse(made.text), {
      'Number Files Created': 2,
      'Response Status': '201 Created',
      'Response Body': '',
      Errors: [],
    });
    const got = await api.must(200, 'alice GET /bulk/sub/c.txt');
    assert.deepEqual([got.text, got.headers['content-type']], ['hello', 'text/plain']);
    const again = await api.must(200, 'alice PUT /bulk?extract-archive=tar.gz', {
      body: gzipSync(tar),
      headers: accept,
    });
    assert.equal(JSON.parse(again.text)['Number Files Created'], 2);
    await api.must(200, 'alice GET /bulk/bulk/sub/c.txt');
    const broken = await api.must(200, 'alice PUT /?extract-archive=tar', {
      body: tar.subarray(0, 1300),
      headers: accept,
    });
    assert.equal(JSON.parse(broken.text)['Response Status'], '400 Bad Request');
    await api.must(400, 'alice PUT /?extract-archive=tar.bz2', { body: 'x' });
    const list = ['bulk/a%20b', '/bulk/sub/c.txt', 'bulk/none', 'bulk/bulk/a%20b', 'bulk/bulk/sub/c.txt', 'bulk'].join(
      '\n',
    );
    const gone = await api.must(200, 'alice POST /?bulk-delete', { body: list });
    assert.equal(
      gone.text,
      'Number Deleted: 5\nNumber Not Found: 1\nResponse Status: 200 OK\nResponse Body: \nErrors:\n',
    );
    await api.must(404, 'alice HEAD /bulk');
    const full = await api.must(200, 'alice DELETE /?bulk-delete', { body: 'c\n%ff', headers: accept });
    assert.deepEqual(JSON.parse(full.text).Errors, [
      ['/c', '409 Conflict'],
      ['%ff', '412 Precondition Failed'],
    ]);
    await api.must(401, 'nobody POST /?bulk-delete', { body: 'c' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('who comes from another origin does not learn which containers an account has', async () => {
  await api.must(201, 'alice PUT /unseen');
  const headers = { origin: 'https://a.example' };
  await api.must(401, 'nobody GET /unseen/a', { headers });
  await api.must(401, 'nobody GET /there-is-none/a', { headers });
});

test('what a container tells pages of other origins may be any text', async () => {
  const headers = {
    'x-container-meta-access-control-allow-origin': '*',
    'x-container-meta-access-control-max-age': 'é',
  };
  await api.must(201, 'alice PUT /odd-cors', {
    headers: {
      ...headers,
      'x-container-meta-access-control-expose-headers': 'x-é',
      'x-container-read': '.r:*,.rlistings',
    },
  });
  const origin = { origin: 'https://a.example' };
  await api.must(204, 'nobody GET /odd-cors', { headers: origin });
  await api.must(200, 'nobody OPTIONS /odd-cors', { headers: { ...origin, 'access-control-request-method': 'GET' } });
});
