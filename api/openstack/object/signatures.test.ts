/** Temporary URLs, forms, archives and manifests, as texts and bytes alone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { boundaryOf, partsOf } from './multipart-form.ts';
import { readManifest, segmentRange } from './slo.ts';
import { filesOf } from './tar.ts';
import { dispositionOf, isSigned, tempUrlOf } from './temp-url.ts';

const now = new Date('2026-01-01T00:00:00Z');
const expires = String(now.getTime() / 1000 + 60);
const request = { method: 'GET', containerPath: '/v1/AUTH_x/c', object: 'a b/小', address: '10.0.0.5' };
const hmac = (algorithm: string, text: string, form: 'hex' | 'base64' = 'hex') =>
  createHmac(algorithm, 'key').update(text).digest(form);

test('a temporary URL is good with each digest, in both forms, over the decoded path with and without the root', () => {
  for (const root of ['', '/object']) {
    const text = `GET\n${expires}\n${root}/v1/AUTH_x/c/a b/小`;
    for (const algorithm of ['sha1', 'sha256', 'sha512']) {
      for (const sig of [hmac(algorithm, text), `${algorithm}:${hmac(algorithm, text, 'base64')}`]) {
        const url = tempUrlOf({ temp_url_sig: sig, temp_url_expires: expires }, now)!;
        assert.ok(isSigned(url, request, ['other', 'key']));
        assert.ok(isSigned(url, { ...request, method: 'HEAD' }, ['key']));
        assert.ok(!isSigned(url, { ...request, method: 'PUT' }, ['key']));
        assert.ok(!isSigned(url, { ...request, object: 'other' }, ['key']));
        assert.ok(!isSigned(url, request, ['other']));
      }
    }
  }
});

test('a prefix opens what begins with it, a range of addresses only those in it', () => {
  const sig = hmac('sha256', `ip=10.0.0.0/24\nGET\n${expires}\nprefix:/v1/AUTH_x/c/a b/`);
  const query = {
    temp_url_sig: sig,
    temp_url_expires: expires,
    temp_url_prefix: 'a b/',
    temp_url_ip_range: '10.0.0.0/24',
  };
  const url = tempUrlOf(query, now)!;
  assert.ok(isSigned(url, request, ['key']));
  assert.ok(isSigned(url, { ...request, object: 'a b/other', address: '::ffff:10.0.0.9' }, ['key']));
  assert.ok(!isSigned(url, { ...request, object: 'a c' }, ['key']));
  assert.ok(!isSigned(url, { ...request, address: '10.0.1.1' }, ['key']));
});

test('what is no temporary URL is none, and one that is over, or half there, is refused', () => {
  assert.equal(tempUrlOf({ format: 'json' }, now), undefined);
  const sig = 'a'.repeat(40);
  for (const query of [
    { temp_url_sig: sig },
    { temp_url_expires: expires },
    { temp_url_sig: sig, temp_url_expires: '1' },
    { temp_url_sig: 'zz', temp_url_expires: expires },
    { temp_url_sig: sig, temp_url_expires: 'tomorrow' },
    { temp_url_sig: [sig, sig], temp_url_expires: expires },
  ]) {
    assert.throws(() => tempUrlOf(query, now), /Temp URL invalid/);
  }
  assert.ok(tempUrlOf({ temp_url_sig: sig, temp_url_expires: '2026-01-01T00:01:00Z' }, now));
});

test('a browser is told under which name to save', () => {
  assert.equal(dispositionOf({ inline: true }, 'a/b.txt', undefined), 'inline');
  assert.equal(dispositionOf({ inline: false }, 'a/b.txt', 'kept'), 'kept');
  assert.equal(
    dispositionOf({ inline: false }, 'a/"é"', undefined),
    `attachment; filename="___"; filename*=UTF-8''%22%C3%A9%22`,
  );
});

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('parts of a form come as they are, however the bytes are cut', async () => {
  const body = Buffer.from(
    'preamble\r\n--b\r\nContent-Disposition: form-data; name="redirect"\r\n\r\n\r\n--b\r\n' +
      'Content-Disposition: form-data; name="f"; filename="a%22b"\r\nContent-Type: text/x\r\n\r\nhello\r\n--xye\r\n\r\n--b--\r\nrest',
  );
  for (const size of [1, 2, 7, 1000]) {
    const parts = [];
    for await (const part of partsOf(inPieces(body, size), 'b')) {
      const pieces = [];
      for await (const piece of part.bytes()) pieces.push(Buffer.from(piece));
      parts.push([part.name, part.filename, part.headers['content-type'], Buffer.concat(pieces).toString()]);
    }
    assert.deepEqual(parts, [
      ['redirect', undefined, undefined, ''],
      ['f', 'a"b', 'text/x', 'hello\r\n--xye\r\n'],
    ]);
  }
  const cut = partsOf(inPieces(body.subarray(0, 80), 10), 'b');
  await assert.rejects(async () => {
    for await (const part of cut) for await (const _ of part.bytes());
  }, /ends in the middle/);
  assert.equal(boundaryOf('multipart/form-data; charset=x; boundary="a b"'), 'a b');
  assert.equal(boundaryOf('multipart/form-data; boundary=--b--'), '--b--');
  assert.equal(boundaryOf('text/plain'), undefined);
});

test('files of an archive come as tar has put them in, long names too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bothy-test-tar-'));
  try {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'ü'.repeat(60)}`;
    mkdirSync(join(folder, 'c', 'd'.repeat(90), 'e'.repeat(90)), { recursive: true });
    const files: Record<string, string> = { 'c/empty': '', 'c/a': 'x'.repeat(1000), [`c/${long}`]: 'long' };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    for (const format of ['gnu', 'posix', 'ustar']) {
      const names = format === 'ustar' ? ['c/empty', 'c/a'] : ['c'];
      const archive = execFileSync('tar', ['--format', format, '-C', folder, '-cf', '-', ...names]);
      for (const size of [1, 600, 100_000]) {
        const found: Record<string, string> = {};
        for await (const file of filesOf(inPieces(archive, size))) {
          const pieces = [];
          for await (const piece of file.bytes()) pieces.push(Buffer.from(piece));
          found[file.name] = Buffer.concat(pieces).toString();
        }
        const expected = format === 'ustar' ? { 'c/empty': '', 'c/a': files['c/a'] } : files;
        assert.deepEqual(found, expected, `${format} ${size}`);
      }
      await assert.rejects(async () => {
        for await (const file of filesOf(inPieces(archive.subarray(0, 700), 100))) for await (const _ of file.bytes());
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  await assert.rejects(async () => {
    for await (const _ of filesOf(inPieces(Buffer.alloc(1024, 'x'), 512)));
  }, /damaged/);
});

test('a manifest is held to its form, each segment with its own fault', () => {
  assert.deepEqual(readManifest('[{"path":"/c/o","etag":"x","size_bytes":"7","range":"0-3"},{"data":"YWI="}]'), [
    { container: 'c', name: 'o', etag: 'x', sizeBytes: 7, range: '0-3' },
    { data: 'YWI=', sizeBytes: 2 },
  ]);
  for (const [text, why] of [
    ['{', /valid JSON/],
    ['{}', /must be a list/],
    ['[]', /at least one/],
    ['[{"data":"YQ=="}]', /at least one object-backed/],
    ['[{"path":"c"},{"path":"/c/o","x":1}]', /Index 0: path.*\nIndex 1: extraneous keys "x"/],
    ['[{"path":"/c/o","size_bytes":0}]', /too small/],
    ['[{"path":"/c/o","range":"1-2,3-4"}]', /multiple ranges/],
    ['[{"path":"/c/o","data":"YQ=="}]', /"path" or "data"/],
    ['[{"path":"/c/a\\u0000"}]', /NUL/],
  ] as const) {
    assert.throws(() => readManifest(text), why, text);
  }
  assert.deepEqual(segmentRange('2-', 5), { first: 2, last: 4 });
  assert.deepEqual(segmentRange('-2', 5), { first: 3, last: 4 });
  assert.equal(segmentRange('5-', 5), undefined);
});
