import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { HostClient } from '../../../control/host/index.ts';
import { cloudActor } from '../../../control/kit/database/database.ts';
import { until } from '../../../test/support/until.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());
afterEach(() => {
  api.store.refuse = undefined;
  api.store.hold = undefined;
  api.store.breakOff = false;
});

const bytes = Buffer.from('the bytes of an image');
const show = async (id: string) => (await api.call(`alice GET /images/${id}`)).body;
const query = () => api.db.database.query;
const locations = async (id: string) =>
  (await sql`select from image_location where image_id = ${id}`.execute(query())).rows.length;

/** A real upload over TLS, to be cut or held. */
function upload(id: string, headers: Record<string, string | number> = {}) {
  const request = https.request({
    host: '127.0.0.1',
    port: api.port,
    ca: api.tls.ca,
    method: 'PUT',
    path: `/image/v2/images/${id}/file`,
    agent: false,
    headers: {
      'x-auth-token': 'alice',
      accept: 'application/json',
      'content-type': 'application/octet-stream',
      ...headers,
    },
  });
  request.on('error', () => {});
  const answered = once(request, 'response').then(async ([response]) => {
    let body = '';
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode as number, body };
  });
  answered.catch(() => {});
  return { request, answered };
}

/** An upload that has reached the host and goes no further until `release`. */
async function heldUpload(id: string) {
  let release = () => {};
  const reached = new Promise<void>((resolve) => {
    api.store.hold = () => {
      resolve();
      return new Promise((go) => {
        release = go;
      });
    };
  });
  const running = upload(id);
  running.request.write(bytes);
  await reached;
  return { ...running, release: () => release() };
}

test('bytes go in and out; the image is active with size and sums', async () => {
  const id = await api.create('alice');
  assert.equal((await api.call(`alice GET /images/${id}/file`)).status, 204, 'no bytes yet');
  assert.equal((await api.call(`alice PUT /images/${id}/file`, bytes)).status, 204);
  const image = await show(id);
  assert.deepEqual(
    [
      image.status,
      image.size,
      image.virtual_size,
      image.checksum,
      image.os_hash_algo,
      image.os_hash_value,
      image.stores,
    ],
    [
      'active',
      bytes.length,
      bytes.length,
      createHash('md5').update(bytes).digest('hex'),
      'sha512',
      createHash('sha512').update(bytes).digest('hex'),
      'hosts',
    ],
  );
  assert.equal(api.store.images.get(id)!.format, 'raw');
  const { status, headers, body } = await api.call(`alice GET /images/${id}/file`);
  assert.deepEqual(
    [status, headers['content-type'], headers['content-length'], headers['content-md5'], body.toString()],
    [200, 'application/octet-stream', String(bytes.length), image.checksum, bytes.toString()],
  );
  assert.equal(await locations(id), 1);
  const { rows } = await sql<{ n: number }>`select count(*) n from image_upload`.execute(query());
  assert.equal(rows[0]!.n, 0);
});

test('of an image that no upload brought there is one digest, whose algorithm is told, and the bytes come without MD5', async () => {
  const id = await api.create('alice', {}, bytes);
  await sql`update image set md5 = null, sha512 = null where id = ${id}`.execute(query());
  const image = await show(id);
  assert.deepEqual(
    [image.checksum, image.os_hash_algo, image.os_hash_value],
    [null, 'sha256', createHash('sha256').update(bytes).digest('hex')],
  );
  const { status, headers, body } = await api.call(`alice GET /images/${id}/file`);
  assert.deepEqual([status, headers['content-md5'], body.toString()], [200, undefined, bytes.toString()]);
});

test('an upload of unknown length is taken as it comes', async () => {
  const id = await api.create('alice');
  const { request, answered } = upload(id);
  request.write(bytes.subarray(0, 5));
  request.end(bytes.subarray(5));
  assert.equal((await answered).status, 204);
  assert.equal((await show(id)).size, bytes.length);
});

test('ranges are served as HTTP has them', async () => {
  const id = await api.create('alice', {}, bytes);
  const get = async (range: string) => {
    const { status, headers, body } = await api.call(`alice GET /images/${id}/file`, undefined, { range });
    return [status, headers['content-range'], status === 416 ? undefined : body?.toString()];
  };
  const size = bytes.length;
  assert.deepEqual(await get('bytes=0-2'), [206, `bytes 0-2/${size}`, 'the']);
  assert.deepEqual(await get('bytes=4-'), [206, `bytes 4-${size - 1}/${size}`, 'bytes of an image']);
  assert.deepEqual(await get('bytes=-5'), [206, `bytes ${size - 5}-${size - 1}/${size}`, 'image']);
  assert.deepEqual(await get('bytes=4-999'), [206, `bytes 4-${size - 1}/${size}`, 'bytes of an image']);
  assert.deepEqual(await get(`bytes=${size}-`), [416, `bytes */${size}`, undefined]);
  assert.deepEqual(await get('bytes=-0'), [416, `bytes */${size}`, undefined]);
  assert.deepEqual((await get('nonsense'))[0], 200);
  assert.deepEqual((await get('bytes=5-3'))[0], 200);
});

/** The first bytes of a download have come, more are on their way. */
async function halfDownload() {
  const id = await api.create('alice', {}, Buffer.alloc(16 * 1024 * 1024, 'x'));
  const request = https.get({
    ...{ host: '127.0.0.1', port: api.port, ca: api.tls.ca, path: `/image/v2/images/${id}/file`, agent: false },
    headers: { 'x-auth-token': 'alice' },
  });
  request.on('error', () => {});
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await once(response, 'data');
  response.pause();
  return { request, response };
}

test('a download whose client goes away is not read further from the host', async () => {
  const { request } = await halfDownload();
  assert.equal(api.store.sending, 1);
  request.destroy();
  await until('the host is let go', () => api.store.sending === 0);
});

test('a download whose host breaks off is cut short, so that nobody takes it for whole', async () => {
  const { response } = await halfDownload();
  api.store.cutDownloads();
  await assert.rejects(buffer(response), /aborted/);
});

test('what must be set or true before an upload is asked for', async () => {
  const { body: bare } = await api.call('alice POST /images', {});
  assert.match(
    (await api.call(`alice PUT /images/${bare.id}/file`, bytes)).body.message,
    /disk_format, container_format must be set/,
  );
  const id = await api.create('alice');
  assert.equal(
    (await api.call(`alice PUT /images/${id}/file`, 'x', { 'content-type': 'application/json' })).status,
    400,
  );
  assert.equal(
    (await api.call(`alice PUT /images/${id}/file`, '{}', { 'content-type': 'application/json' })).status,
    415,
  );
  assert.equal((await api.call(`alice PUT /images/${id}/file`, 'x', { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await show(id)).status, 'queued');
  assert.equal((await api.call(`alice PUT /images/${id}/file`, Buffer.alloc(0))).status, 204, 'clients send nothing');
  assert.deepEqual([(await show(id)).status, (await show(id)).size], ['active', 0]);
});

test('a second upload is refused, while the first runs and after it', async () => {
  const id = await api.create('alice');
  const first = await heldUpload(id);
  assert.equal((await show(id)).status, 'saving');
  assert.equal((await api.call(`alice PUT /images/${id}/file`, bytes)).status, 409);
  first.release();
  first.request.end();
  assert.equal((await first.answered).status, 204);
  assert.equal((await api.call(`alice PUT /images/${id}/file`, bytes)).status, 409);
  assert.equal((await show(id)).status, 'active');
});

test('of one project so many uploads run at a time; the next one waits, and nobody else does', async () => {
  const held: (() => void)[] = [];
  api.store.hold = () => new Promise((go) => held.push(go));
  const begin = (id: string, who: string) => {
    const running = upload(id, { 'x-auth-token': who });
    running.request.write(bytes);
    return running;
  };
  const running = [];
  for (let number = 0; number < 8; number++) running.push(begin(await api.create('alice'), 'alice'));
  await until('eight to be at their host', () => held.length === 8);
  const [ninth, gone, other] = [await api.create('alice'), await api.create('alice'), await api.create('bob')];
  running.push(begin(ninth, 'alice'));
  const cut = begin(gone, 'alice');
  running.push(begin(other, 'bob'));
  await until('the other’s to be there, too', () => held.length === 9);
  assert.ok(!api.store.requests.includes(`PUT /v1/images/${ninth}`));
  cut.request.destroy();
  api.store.hold = undefined;
  for (const go of held) go();
  for (const { request } of running) request.end();
  for (const { answered } of running) assert.equal((await answered).status, 204);
  assert.equal((await show(gone)).status, 'queued');
});

test('an upload that is cut leaves a queued image and nothing else, and may be tried again', async () => {
  for (const headers of [{}, { 'content-length': 1000 }] as Record<string, number>[]) {
    const id = await api.create('alice');
    const { request } = upload(id, headers);
    request.write(bytes);
    await until('the upload to run', async () => (await show(id)).status === 'saving');
    request.destroy();
    await until('the image to be queued', async () => (await show(id)).status === 'queued');
    assert.deepEqual([(await show(id)).size, await locations(id), api.store.images.has(id)], [null, 0, false]);
    const { rows } = await sql`select state, error_message from operation where resource_id = ${id}`.execute(query());
    assert.deepEqual(rows, [{ state: 'failed', error_message: 'upload cut off' }]);
    assert.equal((await api.call(`alice PUT /images/${id}/file`, bytes)).status, 204);
  }
});

test("an image that is not what it claims is refused with the host's reason", async () => {
  const id = await api.create('alice', { disk_format: 'qcow2' });
  api.store.refuse = { status: 400, code: 'invalid', message: 'the image has a backing file, which is not allowed' };
  const { status, body } = await api.call(`alice PUT /images/${id}/file`, bytes);
  assert.deepEqual([status, body.message], [400, 'the image has a backing file, which is not allowed']);
  assert.deepEqual([(await show(id)).status, await locations(id)], ['queued', 0]);
});

test('a full disk, a limit and a dead host are told apart', async () => {
  const id = await api.create('alice');
  const put = () => api.call(`alice PUT /images/${id}/file`, bytes);
  api.store.refuse = { status: 507, code: 'no_capacity', message: 'the host has no room for the image: 1 GiB free' };
  const full = await put();
  assert.deepEqual([full.status, full.body.message], [413, 'the host has no room for the image: 1 GiB free']);
  api.store.refuse = { status: 507, code: 'odd', message: 'full' };
  assert.equal((await put()).status, 413);
  api.store.refuse = { status: 500, code: 'internal', message: 'secret path' };
  const broken = await put();
  assert.equal(broken.status, 500);
  assert.doesNotMatch(broken.body.message, /secret/);
  api.store.refuse = undefined;
  api.store.breakOff = true;
  assert.equal((await put()).status, 503);
  api.store.breakOff = false;
  assert.equal((await show(id)).status, 'queued');
  assert.equal((await put()).status, 204, 'and then it works');
});

test('a refusal before the end of a large upload reaches the caller', async () => {
  const id = await api.create('alice');
  api.store.refuse = { status: 413, code: 'too_large', message: 'too much', early: true };
  const large = Buffer.alloc(8 * 1024 * 1024);
  const { request, answered } = upload(id, { 'content-length': large.length });
  request.end(large);
  const { status, body } = await answered;
  assert.deepEqual([status, JSON.parse(body).message], [413, 'too much']);
});

test('without a connected host there is no upload', async () => {
  const id = await api.create('alice');
  await sql`update host set connected = false`.execute(query());
  try {
    const { status, body } = await api.call(`alice PUT /images/${id}/file`, bytes);
    assert.equal(status, 503);
    assert.match(body.message, /no host is connected/);
    assert.equal((await show(id)).status, 'queued');
  } finally {
    await sql`update host set connected = true`.execute(query());
  }
});

test('the quota of bytes holds, for announced and for unknown lengths', async () => {
  const projectId = callers.alice.projectId;
  const { rows } = await sql<{ used: number }>`select coalesce(sum(size_bytes), 0)::bigint used from image
    where project_id = ${projectId} and desired_presence = 'present'`.execute(query());
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${projectId}, 'image_bytes', ${rows[0]!.used + 30})`.execute(
    query(),
  );
  try {
    const id = await api.create('alice');
    assert.equal((await api.call(`alice PUT /images/${id}/file`, Buffer.alloc(31))).status, 413);
    const { request, answered } = upload(id);
    request.write(Buffer.alloc(16));
    request.end(Buffer.alloc(15));
    assert.equal((await answered).status, 413);
    assert.equal((await show(id)).status, 'queued');
    assert.equal((await api.call(`alice PUT /images/${id}/file`, Buffer.alloc(30))).status, 204);
  } finally {
    await sql`delete from quota where project_id is not null`.execute(query());
  }
});

test('an image that is deleted under its upload is gone: 410, and no bytes stay', async () => {
  const id = await api.create('alice');
  const running = await heldUpload(id);
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
  assert.equal((await running.answered).status, 410);
  running.request.destroy();
  running.release();
  await until(
    'the row to go',
    async () => (await sql`select from image where id = ${id}`.execute(query())).rows.length === 0,
  );
  assert.equal(api.store.images.has(id), false);
});

test('an upload whose control process died is taken back when its lease has run out', async () => {
  const id = await api.create('alice');
  const uploadId = newId();
  await sql`insert into image_location (image_id, host_id) values (${id}, ${api.hostId})`.execute(query());
  await sql`insert into image_upload (image_id, upload_id, deadline) values (${id}, ${uploadId}, now() + interval '50 milliseconds')`.execute(
    query(),
  );
  await sql`update image set status = 'saving', upload_id = ${uploadId}, size_bytes = 5 where id = ${id}`.execute(
    query(),
  );
  api.store.images.set(id, { bytes, format: 'raw' });
  await api.controller.tasks.image(id);
  assert.equal((await show(id)).status, 'saving', 'not before');
  await new Promise((resolve) => setTimeout(resolve, 60));
  await api.controller.tasks.image(id);
  assert.deepEqual(
    [(await show(id)).status, (await show(id)).size, await locations(id), api.store.images.has(id)],
    ['queued', null, 0, false],
  );
  await api.controller.tasks.image(id);
  assert.equal((await api.call(`alice PUT /images/${id}/file`, bytes)).status, 204);
  await api.controller.tasks.image(id);
  assert.equal((await show(id)).status, 'active');
});

test('bytes that a cut upload left on a host that was away are removed later', async () => {
  const id = await api.create('alice');
  await sql`insert into image_location (image_id, host_id) values (${id}, ${api.hostId})`.execute(query());
  api.store.images.set(id, { bytes, format: 'raw' });
  await sql`update host set connected = false`.execute(query());
  await api.controller.tasks.image(id);
  assert.equal(await locations(id), 1);
  await sql`update host set connected = true`.execute(query());
  await until('the bytes to go', async () => (await locations(id)) === 0);
  assert.equal(api.store.images.has(id), false);
});

test('while a host removes what an abandoned upload left, no transaction is open and no row locked', async () => {
  const id = await api.create('alice');
  const uploadId = newId();
  await sql`insert into image_location (image_id, host_id) values (${id}, ${api.hostId})`.execute(query());
  await sql`insert into image_upload (image_id, upload_id, deadline) values (${id}, ${uploadId}, now() - interval '1 second')`.execute(
    query(),
  );
  await sql`update image set status = 'saving', upload_id = ${uploadId} where id = ${id}`.execute(query());
  const deletes = heldDelete();
  const done = api.controller.tasks.image(id);
  await deletes.reached;
  const { rows } = await sql`select query from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'`.execute(query());
  assert.deepEqual(rows, []);
  await api.db.database.transaction(cloudActor, (tx) =>
    sql`select from image where id = ${id} for update nowait`.execute(tx),
  );
  deletes.release();
  await done;
  assert.equal((await show(id)).status, 'queued');
});

test('an upload waits while what an earlier one left is removed, and keeps its bytes', async () => {
  const id = await api.create('alice');
  await sql`insert into image_location (image_id, host_id) values (${id}, ${api.hostId})`.execute(query());
  api.store.images.set(id, { bytes, format: 'raw' });
  const deletes = heldDelete();
  const done = api.controller.tasks.image(id);
  await deletes.reached;
  const running = api.call(`alice PUT /images/${id}/file`, bytes);
  await until('it to ask', async () => (await show(id)).status === 'queued');
  deletes.release();
  await done;
  assert.equal((await running).status, 204);
  assert.deepEqual([(await show(id)).status, api.store.images.has(id)], ['active', true]);
});

test('a host can not be asked within a transaction', async () => {
  const host = { id: api.hostId, url: '' };
  const client = new HostClient({ tls: api.tls, local: { id: host.id, socket: api.store.socket } });
  const work = api.db.database.transaction(cloudActor, () => client.deleteImage(host, newId()));
  await assert.rejects(work, /within a transaction/);
  await client.deleteImage(host, newId());
  client.close();
});

/** The next removal that has reached the host and goes no further until `release`. */
function heldDelete() {
  const reached = Promise.withResolvers<void>();
  const mayGo = Promise.withResolvers<void>();
  api.store.holdDelete = async () => {
    api.store.holdDelete = undefined;
    reached.resolve();
    await mayGo.promise;
  };
  return { reached: reached.promise, release: () => mayGo.resolve() };
}
