import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { CloudError } from '../../contract/errors.ts';
import { type HostId, type ImageId, newId } from '../../contract/ids.ts';
import { type TestAuthority, testAuthority } from '../../test/support/certificates.ts';
import { collect } from '../../test/support/collect.ts';
import { FakeImageStore } from '../../test/support/fake-image-store.ts';
import type { HostEndpoint } from './answers.ts';
import { HostClient } from './client.ts';

const hostId = newId<HostId>();
let authority: TestAuthority;
let store: FakeImageStore;
let client: HostClient;
let host: HostEndpoint;

before(async () => {
  authority = await testAuthority();
  store = await FakeImageStore.start(await authority.issue(hostId));
  client = new HostClient({
    tls: await authority.issue('control'),
    local: { id: hostId, socket: '/nowhere/host.socket' },
  });
  host = { id: hostId, url: store.url };
});
after(async () => {
  client.close();
  await store[Symbol.asyncDispose]();
});

const code = (wanted: string) => (error: unknown) => error instanceof CloudError && error.code === wanted;

test('over mutual TLS, where the socket is not on this machine, bytes go in, come out and go', async () => {
  const id = newId<ImageId>();
  const bytes = Buffer.from('bytes of an image');
  const result = await client.putImage(host, id, Readable.from([bytes]), { format: 'raw', maxBytes: 100 });
  assert.deepEqual(result, {
    sizeBytes: bytes.length,
    virtualSizeBytes: bytes.length,
    md5: createHash('md5').update(bytes).digest('hex'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sha512: createHash('sha512').update(bytes).digest('hex'),
  });
  assert.deepEqual(await collect(await client.getImage(host, id)), bytes);
  assert.equal((await collect(await client.getImage(host, id, { first: 0, last: 4 }))).toString(), 'bytes');
  await client.deleteImage(host, id);
  await client.deleteImage(host, id);
  await assert.rejects(client.getImage(host, id), code('not_found'));
});

test('only the host of this machine is called over the socket that lies here', async () => {
  await using here = await FakeImageStore.start();
  const [local, id] = [newId<HostId>(), newId<ImageId>()];
  const both = new HostClient({ tls: await authority.issue('control'), local: { id: local, socket: here.socket } });
  const put = (to: HostEndpoint) =>
    both.putImage(to, id, Readable.from([Buffer.from('x')]), { format: 'raw', maxBytes: 9 });
  // What a host says of a socket is the same path on every machine: it is not even looked at.
  await put({ ...host, socket: here.socket } as HostEndpoint);
  assert.deepEqual([store.images.has(id), here.images.has(id)], [true, false]);
  await both.deleteImage(host, id);
  await put({ id: local, url: store.url });
  assert.deepEqual([store.images.has(id), here.images.has(id)], [false, true]);
  both.close();
});

test("a host whose certificate names another host gets nothing, and neither does one of another cloud's", async () => {
  const id = newId<ImageId>();
  const put = (to: HostEndpoint, by = client) =>
    by.putImage(to, id, Readable.from([Buffer.from('x')]), { format: 'raw', maxBytes: 9 });
  await assert.rejects(put({ ...host, id: newId<HostId>() }), code('unavailable'));
  const stranger = new HostClient({ tls: await (await testAuthority('another')).issue('control') });
  await assert.rejects(put(host, stranger), code('unavailable'));
  stranger.close();
  assert.equal(store.images.has(id), false);
});

test('a renewed certificate is what every later connection shows', async () => {
  const id = newId<ImageId>();
  const renewed = new HostClient({ tls: await (await testAuthority('another')).issue('control') });
  const put = () => renewed.putImage(host, id, Readable.from([Buffer.from('x')]), { format: 'raw', maxBytes: 9 });
  await assert.rejects(put(), code('unavailable'));
  await assert.rejects(renewed.getImage(host, id), code('unavailable'));
  renewed.renew(await authority.issue('control'));
  await put();
  assert.equal((await collect(await renewed.getImage(host, id))).toString(), 'x');
  await renewed.deleteImage(host, id);
  renewed.close();
});

test("a host's refusal arrives with its words, also before the end of the body", async () => {
  store.refuse = { status: 413, code: 'too_large', message: 'more than 5 bytes', early: true };
  const source = Readable.from(Array.from({ length: 200 }, () => Buffer.alloc(65_536)));
  const error = await client.putImage(host, newId(), source, { format: 'raw', maxBytes: 5 }).catch((e) => e);
  store.refuse = undefined;
  assert.deepEqual([error.code, error.reason, error.fields.said], ['too_large', 'host_refused', 'more than 5 bytes']);
});

test('a source that breaks, ends early or is given up leaves nothing', async () => {
  const give = (source: Readable, signal?: AbortSignal) =>
    client.putImage(host, newId(), source, { format: 'raw', maxBytes: 1e6, ...(signal ? { signal } : {}) });
  const cuts = store.cut;
  const breaking = new PassThrough();
  const broken = give(breaking);
  breaking.write('x');
  setImmediate(() => breaking.destroy(new Error('broken')));
  await assert.rejects(broken, code('invalid'));
  const closing = new PassThrough();
  const closed = give(closing);
  closing.write('x');
  setImmediate(() => closing.destroy());
  await assert.rejects(closed, code('invalid'));
  const abort = new AbortController();
  const aborted = give(new PassThrough(), abort.signal);
  setImmediate(() => abort.abort());
  await assert.rejects(aborted, code('invalid'));
  assert.equal(store.images.size, 0);
  assert.ok(store.cut >= cuts);
});

test('a host that is away or breaks off is unavailable', async () => {
  store.breakOff = true;
  await assert.rejects(
    client.putImage(host, newId(), Readable.from([Buffer.from('x')]), { format: 'raw', maxBytes: 9 }),
    code('unavailable'),
  );
  await assert.rejects(client.deleteImage(host, newId()), code('unavailable'));
  store.breakOff = false;
  await assert.rejects(client.deleteImage({ ...host, url: 'https://127.0.0.1:1' }, newId()), code('unavailable'));
  await assert.rejects(client.deleteImage({ ...host, url: '' }, newId()), code('unavailable'));
});
