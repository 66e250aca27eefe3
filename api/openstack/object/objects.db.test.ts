/** Objects by Swift's API: bytes, names, metadata, conditions, ranges. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ObjectApi } from './testing.ts';

let api: ObjectApi;
before(async () => {
  api = await ObjectApi.start();
  await api.must(201, 'alice PUT /c');
});
after(() => api[Symbol.asyncDispose]());

const md5 = (bytes: string | Buffer) => createHash('md5').update(bytes).digest('hex');

test('what is put is got, with its MD5, its type and its metadata', async () => {
  const headers = { 'content-type': 'text/x; charset=é', 'x-object-meta-Colour': 'blå', 'content-encoding': 'x' };
  const put = await api.must(201, 'alice PUT /c/o', { body: 'hello', headers });
  assert.equal(put.headers.etag, md5('hello'));
  assert.equal(put.headers['content-length'], '0');
  assert.ok(put.headers['last-modified']);
  assert.match(put.headers['x-trans-id']!, /^tx[0-9a-f]{21}-[0-9a-f]{10}$/);
  const got = await api.must(200, 'alice GET /c/o');
  assert.equal(got.text, 'hello');
  assert.equal(got.headers['content-type'], headers['content-type']);
  assert.equal(got.headers['x-object-meta-colour'], 'blå');
  assert.equal(got.headers['content-encoding'], 'x');
  assert.match(got.headers['x-timestamp']!, /^\d{10}\.\d{5}$/);
  const head = await api.must(200, 'alice HEAD /c/o');
  const { date, 'x-trans-id': id, 'x-openstack-request-id': other, ...told } = head.headers;
  const { date: _, 'x-trans-id': __, 'x-openstack-request-id': ___, ...same } = got.headers;
  assert.ok(date && id && other);
  assert.deepEqual(told, same);
});

test('large bodies and those of unknown length come back bit for bit', async () => {
  const bytes = randomBytes(3_000_000);
  await api.must(201, 'alice PUT /c/large', { body: bytes });
  assert.ok((await api.must(200, 'alice GET /c/large')).bytes.equals(bytes));
  const part = await api.must(206, 'alice GET /c/large', { headers: { range: 'bytes=1000000-2999998' } });
  assert.ok(part.bytes.equals(bytes.subarray(1_000_000, 2_999_999)));
});

test('every name of UTF-8 is itself', async () => {
  const names = [
    '/',
    '//',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    '小屋/🏔',
    'a b',
    '%',
    '%2F',
    '%25',
    'a?b',
    'a#b',
    'a;b',
    'a+b',
    '\n',
    '"\'<&',
  ];
  await api.must(201, 'alice PUT /names');
  for (const name of names) {
    const path = `/names/${encodeURIComponent(name)}`;
    await api.must(201, `alice PUT ${path}`, { body: name });
    assert.equal((await api.must(200, `alice GET ${path}`)).text, name);
  }
  // Not escaped, as many clients send them.
  for (const name of ['a/', 'a//b', 'a/../b', '//']) {
    assert.equal((await api.must(200, `alice GET /names/${name}`)).text, name);
  }
  const { text } = await api.must(200, 'alice GET /names?format=json');
  const listed = (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(
    listed,
    names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  for (const name of names) await api.must(204, `alice DELETE /names/${encodeURIComponent(name)}`);
  await api.must(204, 'alice DELETE /names');
  await api.must(412, 'alice PUT /c/%FF', { body: 'x' });
  await api.must(412, 'alice PUT /c/%00', { body: 'x' });
  assert.match(
    (await api.must(400, `alice PUT /c/${'n'.repeat(1025)}`)).text,
    /^Object name length of 1025 longer than 1024$/,
  );
});

test('an MD5 that is another is refused, and nothing of the body stays', async () => {
  await api.must(422, 'alice PUT /c/bad', { body: 'hello', headers: { etag: md5('other') } });
  await api.must(404, 'alice GET /c/bad');
  await api.must(201, 'alice PUT /c/good', { body: 'hello', headers: { etag: `"${md5('hello')}"` } });
  await api.must(412, 'alice PUT /c/good', { body: 'x', headers: { 'if-none-match': '*' } });
  await api.must(400, 'alice PUT /c/good', { body: 'x', headers: { 'if-none-match': 'abc' } });
});

test('conditions of reads', async () => {
  await api.must(201, 'alice PUT /c/cond', { body: 'hello' });
  const headers = { 'if-none-match': `"${md5('hello')}"` };
  const { status, text, headers: told } = await api.call('alice GET /c/cond', { headers });
  assert.deepEqual([status, text, told.etag], [304, '', md5('hello')]);
  await api.must(412, 'alice GET /c/cond', { headers: { 'if-match': 'x' } });
  await api.must(200, 'alice GET /c/cond', { headers: { 'if-modified-since': 'Sun Nov  6 08:49:37 1994' } });
  await api.must(412, 'alice GET /c/cond', { headers: { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' } });
});

test('ranges: one, several, none that can be had', async () => {
  await api.must(201, 'alice PUT /c/range', { body: '0123456789', headers: { 'content-type': 'text/plain' } });
  const one = await api.must(206, 'alice GET /c/range', { headers: { range: 'bytes=-3' } });
  assert.deepEqual(
    [one.text, one.headers['content-range'], one.headers['content-length']],
    ['789', 'bytes 7-9/10', '3'],
  );
  const many = await api.must(206, 'alice GET /c/range', { headers: { range: 'bytes=0-1,5-6' } });
  assert.match(many.headers['content-type']!, /^multipart\/byteranges;boundary=\w+$/);
  assert.equal(Number(many.headers['content-length']), many.bytes.length);
  assert.match(many.text, /bytes 0-1\/10\r\n\r\n01\r\n--\w+\r\n[\s\S]*bytes 5-6\/10\r\n\r\n56\r\n--\w+--$/);
  const none = await api.must(416, 'alice GET /c/range', { headers: { range: 'bytes=10-' } });
  assert.equal(none.headers['content-range'], 'bytes */10');
  await api.must(200, 'alice GET /c/range', { headers: { range: 'bytes=0-1', 'if-range': '"other"' } });
});

test('a POST replaces all metadata, and keeps the type unless it gives one', async () => {
  const headers = {
    'content-type': 'text/a',
    'x-object-meta-a': '1',
    'content-disposition': 'inline',
    'x-delete-after': '900',
  };
  await api.must(201, 'alice PUT /c/meta', { body: 'x', headers });
  assert.ok((await api.must(200, 'alice HEAD /c/meta')).headers['x-delete-at']);
  await api.must(202, 'alice POST /c/meta', { headers: { 'x-object-meta-b': '' } });
  const { headers: told } = await api.must(200, 'alice HEAD /c/meta');
  assert.deepEqual(
    [
      told['x-object-meta-a'],
      told['x-object-meta-b'],
      told['content-type'],
      told['content-disposition'],
      told['x-delete-at'],
    ],
    [undefined, '', 'text/a', undefined, undefined],
  );
  await api.must(404, 'alice POST /c/none', { headers: { 'x-object-meta-b': '' } });
  await api.must(400, 'alice POST /c/meta', { headers: { 'x-delete-at': '1' } });
  await api.must(400, 'alice POST /c/meta', { headers: { 'x-delete-after': 'soon' } });
  await api.must(400, 'alice POST /c/meta', { headers: { 'x-object-meta-long': 'x'.repeat(257) } });
});

test('what nobody may is refused in Swift’s own form', async () => {
  const none = await api.must(404, 'alice GET /c/none');
  assert.equal(none.text, '<html><h1>Not Found</h1><p>The resource could not be found.</p></html>');
  assert.equal(none.headers['content-type'], 'text/html; charset=UTF-8');
  await api.must(404, 'alice PUT /none/o', { body: 'x' });
  await api.must(403, 'bob GET /c/o');
  await api.must(401, 'nobody GET /c/o');
  await api.must(401, 'stranger GET /c/o');
  await api.must(403, 'reader PUT /c/o', { body: 'x' });
  await api.must(200, 'reader GET /c/o');
  const allowed = await api.call('alice PATCH /c/o');
  assert.equal(allowed.status, 405);
  const { status } = await api.send('PUT', `/object/v1/${''}/c`, {});
  assert.equal(status, 412);
});
