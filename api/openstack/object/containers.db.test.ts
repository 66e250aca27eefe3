/** Accounts and containers by Swift's API: metadata, listings, access lists, quotas. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { callers, ObjectApi } from './testing.ts';

let api: ObjectApi;
before(async () => {
  api = await ObjectApi.start();
});
after(() => api[Symbol.asyncDispose]());

test('an account is there before anything is in it, and counts what is', async () => {
  const empty = await api.must(204, 'bob HEAD bob:/');
  assert.equal(empty.headers['x-account-container-count'], '0');
  assert.equal(empty.headers['content-type'], 'text/plain; charset=utf-8');
  await api.must(204, 'bob GET bob:/');
  await api.must(201, 'bob PUT bob:/c');
  await api.must(202, 'bob PUT bob:/c');
  await api.must(201, 'bob PUT bob:/c/o', { body: 'hello' });
  const { headers } = await api.must(204, 'bob HEAD bob:/');
  assert.deepEqual(
    [headers['x-account-container-count'], headers['x-account-object-count'], headers['x-account-bytes-used']],
    ['1', '1', '5'],
  );
  const listed = JSON.parse((await api.must(200, 'bob GET bob:/?format=json')).text);
  assert.deepEqual([listed[0].name, listed[0].count, listed[0].bytes], ['c', 1, 5]);
  await api.must(409, 'bob DELETE bob:/c');
  await api.must(204, 'bob DELETE bob:/c/o');
  await api.must(204, 'bob DELETE bob:/c');
  await api.must(404, 'bob HEAD bob:/c');
});

test('an account is its own people’s alone; its quota only a reseller’s to set', async () => {
  await api.must(403, 'bob HEAD /');
  await api.must(401, 'nobody HEAD /');
  await api.must(204, 'reader HEAD /');
  await api.must(403, 'reader POST /', { headers: { 'x-account-meta-a': 'b' } });
  await api.must(405, 'alice PUT /');
  await api.must(204, 'alice POST /', {
    headers: { 'x-account-meta-a': '1', 'x-account-meta-Temp-Url-Key': 'secret' },
  });
  await api.must(204, 'alice POST /', { headers: { 'x-account-meta-b': '2', 'x-remove-account-meta-a': 'x' } });
  const { headers } = await api.must(204, 'alice HEAD /');
  assert.deepEqual(
    [headers['x-account-meta-a'], headers['x-account-meta-b'], headers['x-account-meta-temp-url-key']],
    [undefined, '2', 'secret'],
  );
  assert.equal((await api.must(204, 'reader HEAD /')).headers['x-account-meta-temp-url-key'], undefined);
  await api.must(403, 'alice POST /', { headers: { 'x-account-meta-quota-bytes': '20' } });
  await api.must(204, 'reseller POST /', { headers: { 'x-account-meta-quota-bytes': '20' } });
  await api.must(403, 'alice POST /', { headers: { 'x-account-meta-quota-bytes': '' } });
  await api.must(201, 'alice PUT /quota');
  await api.must(413, 'alice PUT /quota/o', { body: 'x'.repeat(21) });
  await api.must(204, 'reseller POST /', { headers: { 'x-remove-account-meta-quota-bytes': 'x' } });
  await api.must(201, 'alice PUT /quota/o', { body: 'x'.repeat(21) });
});

test('containers: metadata, quotas, what is refused by name', async () => {
  const headers = {
    'x-container-meta-a': '1',
    'x-container-meta-quota-count': '1',
    'x-container-meta-quota-bytes': '10',
  };
  await api.must(201, 'alice PUT /meta', { headers });
  await api.must(204, 'alice POST /meta', { headers: { 'x-container-meta-a': '', 'x-container-meta-b': 'ü' } });
  const told = await api.must(204, 'alice HEAD /meta');
  assert.deepEqual(
    [told.headers['x-container-meta-a'], told.headers['x-container-meta-b'], told.headers['x-storage-policy']],
    [undefined, 'ü', 'default'],
  );
  assert.equal(told.headers['x-container-meta-quota-count'], '1');
  const over = await api.must(413, 'alice PUT /meta/o', { body: 'x'.repeat(11) });
  assert.equal(over.text, 'Upload exceeds quota.');
  await api.must(201, 'alice PUT /meta/o', { body: 'x' });
  await api.must(413, 'alice PUT /meta/p', { body: '' });
  await api.must(201, 'alice PUT /meta/o', { body: 'y' });
  await api.must(400, 'alice POST /meta', { headers: { 'x-container-meta-quota-bytes': 'many' } });
  await api.must(400, 'alice POST /meta', { headers: { 'x-container-sync-to': '//realm/cluster/AUTH_x/c' } });
  await api.must(400, 'alice PUT /policy', { headers: { 'x-storage-policy': 'gold' } });
  await api.must(400, `alice PUT /${'c'.repeat(257)}`);
  await api.must(201, `alice PUT /${encodeURIComponent('ü'.repeat(128))}`);
});

test('listings: prefix, delimiter, markers, reverse, path, limits; full pages until the last', async () => {
  await api.must(201, 'alice PUT /list');
  for (const name of ['a', 'dir', 'dir/', 'dir/1', 'dir/2', 'dir/sub/x', 'dir/sub/y', 'z']) {
    await api.must(201, `alice PUT /list/${name}`, { body: '' });
  }
  const list = async (query: string) => {
    const { text } = await api.call(`alice GET /list?${query}`);
    return text.split('\n').filter((name) => name !== '');
  };
  assert.deepEqual(await list('delimiter=/'), ['a', 'dir', 'dir/', 'z']);
  assert.deepEqual(await list('delimiter=/&prefix=dir/'), ['dir/', 'dir/1', 'dir/2', 'dir/sub/']);
  assert.deepEqual(await list('marker=dir/1&end_marker=z'), ['dir/2', 'dir/sub/x', 'dir/sub/y']);
  assert.deepEqual(await list('reverse=true&limit=2'), ['z', 'dir/sub/y']);
  assert.deepEqual(await list('reverse=on&marker=dir/1'), ['dir/', 'dir', 'a']);
  assert.deepEqual(await list('path=dir'), ['dir/1', 'dir/2']);
  assert.deepEqual(await list('path='), ['a', 'dir', 'dir/', 'z']);
  assert.deepEqual(await list('limit=0'), []);
  assert.deepEqual(await list('limit=2&delimiter=/&marker=dir'), ['dir/', 'z']);
  await api.must(412, 'alice GET /list?limit=10001');
  await api.must(406, 'alice GET /list', { headers: { accept: 'image/png' } });
  const json = JSON.parse((await api.must(200, 'alice GET /list?format=json&delimiter=/&prefix=d')).text);
  assert.deepEqual(Object.keys(json[0]), ['name', 'hash', 'bytes', 'content_type', 'last_modified']);
  assert.deepEqual(json[1], { subdir: 'dir/' });
  const xml = await api.must(200, 'alice GET /list?format=xml&limit=1');
  assert.match(xml.text, /^<\?xml[^>]+\?>\n<container name="list"><object><name>a<\/name>/);
});

test('access lists: a user of another project, everybody by referrer, and no more than that', async () => {
  const { projectId, userId } = callers.bob;
  await api.must(201, 'alice PUT /acl', { headers: { 'x-container-read': `${projectId}:${userId}` } });
  await api.must(201, 'alice PUT /acl/o', { body: 'hello' });
  await api.must(200, 'bob GET /acl/o');
  await api.must(200, 'bob GET /acl');
  const told = await api.must(204, 'bob HEAD /acl');
  assert.equal(told.headers['x-container-read'], undefined);
  await api.must(403, 'bob HEAD /');
  await api.must(403, 'bob PUT /acl/o', { body: 'x' });
  await api.must(401, 'nobody GET /acl/o');
  await api.must(204, 'alice POST /acl', {
    headers: { 'x-container-write': `${projectId}:*`, 'x-container-read': '' },
  });
  await api.must(201, 'bob PUT /acl/o', { body: 'bye' });
  await api.must(403, 'bob GET /acl/o');
  await api.must(204, 'alice POST /acl', { headers: { 'x-container-read': '.r:.example.com,.r:-bad.example.com' } });
  const from = (host: string) => ({ headers: { referer: `https://${host}/page` } });
  await api.must(200, 'nobody GET /acl/o', from('www.example.com'));
  await api.must(401, 'nobody GET /acl/o', from('bad.example.com'));
  await api.must(401, 'nobody GET /acl', from('www.example.com'));
  await api.must(204, 'alice POST /acl', { headers: { 'x-container-read': '.r:*,.rlistings' } });
  await api.must(200, 'nobody GET /acl');
  await api.must(200, 'stranger GET /acl/o');
  await api.must(400, 'alice POST /acl', { headers: { 'x-container-write': '.r:*' } });
});

test('/info tells what there is, to everybody', async () => {
  const { text, headers } = await api.send('GET', '/object/info');
  assert.match(headers['content-type']!, /^application\/json/);
  const told = JSON.parse(text);
  assert.equal(told.swift.max_object_name_length, 1024);
  assert.ok(told.tempurl && told.slo && !told.container_sync && !told.s3api);
  assert.equal((await api.send('GET', '/object/healthcheck')).text, 'OK');
});

test('lists are told as they were given, in any letters', async () => {
  const headers = { 'x-container-read': 'größe:小屋', 'x-container-write': 'größe:小屋' };
  await api.must(201, 'alice PUT /letters', { headers });
  const told = (await api.must(204, 'alice HEAD /letters')).headers;
  assert.deepEqual([told['x-container-read'], told['x-container-write']], ['größe:小屋', 'größe:小屋']);
});
