import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { ImageImporter } from '../../../control/image/index.ts';
import { until } from '../../../test/support/until.ts';
import { ImageApi } from './testing.ts';

let api: ImageApi;
let web: http.Server;
let origin: string;
const bytes = Buffer.from('bytes of the web');
/** What was asked of the web, in order. */
const asked: string[] = [];
let hold: Promise<void> | undefined;
/** Answers that do not go on by themselves. */
const slow: http.ServerResponse[] = [];

before(async () => {
  api = await ImageApi.start();
  web = http.createServer(async (request, response) => {
    asked.push(request.url!);
    const [, kind, rest] = /^\/(\w+)(?:\/(.*))?$/.exec(request.url!) ?? [];
    await hold;
    if (kind === 'image') response.end(bytes);
    else if (kind === 'to') response.writeHead(302, { location: decodeURIComponent(rest!) }).end();
    else if (kind === 'slow') {
      slow.push(response.writeHead(200, { 'content-length': bytes.length }));
      response.flushHeaders();
    } else if (kind === 'cut')
      response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy());
    else response.writeHead(404).end();
  });
  web.listen(0, '127.0.0.2');
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  api.webPorts.push(port);
  origin = `http://127.0.0.2:${port}`;
});
after(async () => {
  web.closeAllConnections();
  web.close();
  await api[Symbol.asyncDispose]();
});

const show = async (id: string) => (await api.call(`alice GET /images/${id}`)).body;
const start = (id: string, method: object, more: object = {}, who = 'alice') =>
  api.call(`${who} POST /images/${id}/import`, { method, ...more });
const tasks = async (id: string) => (await api.call(`alice GET /images/${id}/tasks`)).body.tasks;
const ended = (id: string) =>
  until('the task to end', async () => ['success', 'failure'].includes((await tasks(id))[0]?.status));
const fromWeb = (path: string) => ({ name: 'web-download', uri: `${origin}${path}` });

test('staged bytes wait for their import, which tells what became of them', async () => {
  const id = await api.create('alice');
  assert.equal((await start(id, { name: 'glance-direct' })).status, 409, 'nothing is staged');
  assert.equal((await api.call(`alice PUT /images/${id}/stage`, bytes)).status, 204);
  assert.deepEqual([(await show(id)).status, (await show(id)).stores], ['uploading', undefined]);
  assert.equal((await api.call(`alice GET /images/${id}/file`)).status, 204);
  for (const path of ['stage', 'file'])
    assert.equal((await api.call(`alice PUT /images/${id}/${path}`, bytes)).status, 409);
  const answer = await start(id, { name: 'glance-direct' }, { all_stores: true });
  assert.equal(answer.status, 202);
  const image = await show(id);
  assert.deepEqual(
    [image.status, image.size, image.stores, image.os_glance_failed_import, image.os_glance_importing_to_stores],
    ['active', bytes.length, 'hosts', '', ''],
  );
  assert.deepEqual((await api.call(`alice GET /images/${id}/file`)).body, bytes);
  const [task, ...others] = await tasks(id);
  assert.equal(others.length, 0);
  assert.deepEqual(
    [task.status, task.type, task.image_id, task.request_id, task.input.import_req.method.name],
    ['success', 'api_image_import', id, answer.headers['x-openstack-request-id'], 'glance-direct'],
  );
});

test('what is staged is inspected, counted, and goes with its image', async () => {
  const id = await api.create('alice', { disk_format: 'qcow2' });
  api.store.refuse = { status: 400, code: 'invalid', message: 'the image has a backing file' };
  const refused = await api.call(`alice PUT /images/${id}/stage`, bytes);
  api.store.refuse = undefined;
  assert.deepEqual(
    [refused.status, refused.body.message, (await show(id)).status],
    [400, 'the image has a backing file', 'queued'],
  );
  assert.equal((await api.call(`alice PUT /images/${id}/stage`, bytes)).status, 204);
  const { usage } = (await api.call('alice GET /info/usage')).body;
  assert.ok(usage.image_stage_total.usage >= 1 && usage.image_count_uploading.usage >= 1);
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
  await until('the bytes to go', () => !api.store.images.has(id));
});

test('an image comes from the web, by way of redirects', async () => {
  const id = await api.create('alice');
  assert.equal((await start(id, fromWeb(`/to/${encodeURIComponent('/image')}`))).status, 202);
  await ended(id);
  assert.deepEqual([(await show(id)).status, (await tasks(id))[0].status], ['active', 'success']);
  assert.deepEqual((await api.call(`alice GET /images/${id}/file`)).body, bytes);
});

test('sources that are slow on purpose take turns of their own project only', async () => {
  const ids = [];
  for (let number = 0; number < 4; number++) {
    const id = await api.create('alice');
    await start(id, fromWeb('/slow'));
    ids.push(id);
  }
  await until('four to be at work', () => slow.length === 4);
  const fifth = await api.create('alice');
  await start(fifth, fromWeb('/image'));
  const other = await api.create('bob');
  await start(other, fromWeb('/image'), {}, 'bob');
  await until(
    'the other’s to be there',
    async () => (await api.call(`bob GET /images/${other}`)).body.status === 'active',
  );
  for (const id of ids) assert.equal((await tasks(id))[0].status, 'processing', 'and none of the four had ended');
  assert.equal((await show(fifth)).status, 'importing', 'it waits for those before it');
  for (const answer of slow.splice(0)) answer.end(bytes);
  for (const id of [...ids, fifth]) await ended(id);
});

test('the web does not lead to private or management addresses, neither at once nor by a redirect', async () => {
  for (const uri of [
    'http://127.0.0.1/',
    'http://[::1]/',
    'http://169.254.169.254/latest',
    'file:///etc/passwd',
    `https://localhost:${api.port}/`,
    '',
    'x',
  ]) {
    const { status } = await start(await api.create('alice'), { name: 'web-download', uri });
    assert.equal(status, 400, uri);
  }
  const before = asked.length;
  const ways = [
    ['http://localhost/image', /not at a public address/],
    ['http://127.0.0.1:80/image', /not at a public address/],
    ['http://[::ffff:169.254.169.254]/', /not at a public address/],
    ['file:///etc/passwd', /scheme/],
    [`http://127.0.0.2:${api.port}/`, /port/],
    ['http://[x', /no URL/],
  ] as const;
  for (const [uri, why] of ways) {
    const id = await api.create('alice');
    await start(id, fromWeb(`/to/${encodeURIComponent(uri)}`));
    await ended(id);
    assert.match((await tasks(id))[0].message, why, uri);
    assert.equal((await show(id)).status, 'queued');
  }
  assert.equal(asked.length - before, ways.length, 'nothing but the redirects was asked for');
});

test('an import that fails leaves an image that waits for bytes, the reason, and no bytes', async () => {
  for (const [path, why] of [
    ['/none', /answered 404/],
    ['/cut', /cut off|aborted/],
    [`/to/${encodeURIComponent('/none')}`, /answered 404/],
    [`/to/${encodeURIComponent('http://nowhere.invalid/')}`, /could not be reached: (there is no such|its) name/],
  ] as const) {
    const id = await api.create('alice');
    await start(id, fromWeb(path));
    await ended(id);
    const image = await show(id);
    assert.deepEqual(
      [image.status, image.os_glance_failed_import, api.store.images.has(id)],
      ['queued', 'hosts', false],
    );
    assert.match((await tasks(id))[0].message, why, path);
    assert.equal((await start(id, fromWeb('/image'))).status, 202, 'and may be tried again');
    await ended(id);
    await until('it to be active', async () => (await show(id)).status === 'active');
  }
});

test("another image's bytes are taken over with its formats and what hardware it asks for", async () => {
  const properties = { hw_cpu_cores: '5', 'trait:STORAGE_DISK_SSD': 'required', os_distro: 'debian', speed: '88mph' };
  const from = await api.create('alice', { disk_format: 'raw', ...properties }, bytes);
  const id = await api.create('alice', { disk_format: 'iso', container_format: 'ovf', hw_cpu_cores: '1' });
  const source = { name: 'glance-download', glance_image_id: from, glance_region: 'here' };
  assert.equal((await start(id, source)).status, 202);
  await ended(id);
  const image = await show(id);
  assert.deepEqual(
    [image.status, image.disk_format, image.container_format, image.hw_cpu_cores, image.os_distro, image.speed],
    ['active', 'raw', 'bare', '5', 'debian', undefined],
  );
  assert.deepEqual((await api.call(`alice GET /images/${id}/file`)).body, bytes);

  assert.equal((await start(await api.create('alice'), { ...source, glance_image_id: 'foo' })).status, 400);
  const hidden = await api.create('bob', { visibility: 'private' }, bytes);
  for (const wrong of [{ glance_region: 'elsewhere' }, { glance_image_id: newId() }, { glance_image_id: hidden }]) {
    const other = await api.create('alice');
    assert.equal((await start(other, { ...source, ...wrong })).status, 202);
    assert.deepEqual([(await tasks(other))[0].status, (await show(other)).status], ['failure', 'queued']);
  }
});

test('what Glance refuses of an import is refused', async () => {
  const queued = await api.create('alice');
  const active = await api.create('alice', {}, bytes);
  const bare = (await api.call('alice POST /images', {})).body.id;
  for (const [id, method, more, status, who] of [
    [queued, { name: 'by-hand' }, {}, 400],
    [queued, {}, {}, 400],
    [queued, { name: 5 }, {}, 400],
    [queued, { name: 'web-download' }, {}, 400],
    [queued, { name: 'glance-download', glance_image_id: active }, {}, 400],
    [queued, fromWeb('/image'), { stores: ['elsewhere'] }, 409],
    [queued, fromWeb('/image'), { stores: ['hosts'], all_stores: true }, 400],
    [queued, fromWeb('/image'), { stores: 'hosts' }, 400],
    [queued, { name: 'copy-image' }, {}, 409],
    [active, fromWeb('/image'), {}, 409],
    [active, { name: 'glance-direct' }, {}, 409],
    [bare, fromWeb('/image'), {}, 400],
    [newId(), fromWeb('/image'), {}, 404],
    [queued, fromWeb('/image'), {}, 404, 'bob'],
    [queued, fromWeb('/image'), {}, 403, 'reader'],
  ] as const) {
    const answer = await start(id, method, more, who);
    const hidden = who === 'bob' ? 404 : status;
    assert.equal(answer.status, hidden, `${JSON.stringify([method, more])} ${JSON.stringify(answer.body)}`);
  }
  assert.equal((await start(active, { name: 'copy-image' }, { all_stores: true })).status, 202);
  assert.equal((await show(active)).os_glance_importing_to_stores, '');
});

test('a task keeps what was asked and no more, however much was sent with it', async () => {
  const id = await api.create('alice');
  const source = { name: 'glance-download', glance_image_id: newId(), glance_region: 'elsewhere' };
  const junk = 'x'.repeat(400_000);
  assert.equal((await start(id, { ...source, junk }, { all_stores: true, junk })).status, 202);
  assert.deepEqual((await tasks(id))[0].input.import_req, { method: source, all_stores: true });
  const stores = new Array(100_000).fill('hosts');
  assert.equal((await start(id, source, { stores })).status, 400);
});

test('tasks are for the image’s owner, all of them for administrators', async () => {
  const id = await api.create('alice');
  await start(id, fromWeb('/image'));
  await ended(id);
  const [task] = await tasks(id);
  assert.equal((await api.call(`bob GET /images/${id}/tasks`)).status, 404);
  assert.equal((await api.call(`alice GET /tasks/${task.id}`)).status, 403);
  assert.deepEqual((await api.call(`admin GET /tasks/${task.id}`)).body, task);
  assert.equal((await api.call(`admin GET /tasks/${newId()}`)).status, 404);
  const first = (await api.call('admin GET /tasks?limit=1&status=success')).body;
  assert.deepEqual(first.tasks, [task]);
  const second = (await api.call(`admin GET ${first.next.slice('/v2'.length)}`)).body;
  assert.ok(second.tasks[0].id < task.id);
  const ids = async (query: string) => {
    const { status, body } = await api.call(`admin GET /tasks?limit=1000&${query}`);
    return status === 200 ? body.tasks.map((one: { id: string }) => one.id) : status;
  };
  const newest: string[] = await ids('');
  assert.equal(newest[0], task.id);
  assert.deepEqual(await ids('sort_dir=asc'), newest.toReversed());
  assert.deepEqual(await ids('sort_key=created_at&sort_dir=desc&type=api_image_import'), newest);
  assert.deepEqual((await ids('sort_key=status&sort_dir=asc')).toSorted(), newest.toSorted());
  assert.deepEqual(await ids(`sort_dir=asc&marker=${newest[1]}`), [newest[0]]);
  assert.deepEqual(await ids('type=import'), [], 'of that type there is none here');
  for (const query of ['', '?type=import', '?limit=0'])
    assert.equal((await api.call(`alice GET /tasks${query}`)).status, 403, query);
  for (const odd of ['type=export', 'status=odd', 'sort_dir=up', 'sort_key=input', 'marker=odd'])
    assert.equal(await ids(odd), 400, odd);
  assert.equal(await ids(`marker=${newId()}`), 400, 'a page after nothing');
});

test('an import whose process died begins anew, and gives up at last', async () => {
  const id = await api.create('alice');
  const query = () => api.db.database.query;
  const held = Promise.withResolvers<void>();
  hold = held.promise;
  await start(id, fromWeb('/image'));
  await until('it to be asked for', async () => (await tasks(id))[0].status === 'processing');
  await api.call(`alice DELETE /images/${id}`);
  hold = undefined;
  held.resolve();
  await until('it to be gone', async () => (await api.call(`alice GET /images/${id}`)).status === 404);

  const other = await api.create('alice');
  await abandon(other, 1);
  assert.equal((await show(other)).status, 'active');

  const last = await api.create('alice');
  await abandon(last, 3);
  assert.match((await tasks(last))[0].message, /begun 3 times/);
  await until('it to wait', async () => (await show(last)).status === 'queued');

  /** As a control process leaves it that dies in the middle. */
  async function abandon(one: string, attempts: number) {
    const uploadId = newId();
    await insertTask(one, attempts);
    await sql`insert into image_location (image_id, host_id) values (${one}, ${api.hostId})`.execute(query());
    await sql`insert into image_upload (image_id, upload_id, deadline) values (${one}, ${uploadId}, now() - interval '1 second')`.execute(
      query(),
    );
    await sql`update image set status = 'importing', upload_id = ${uploadId} where id = ${one}`.execute(query());
    await api.controller.tasks.image(one);
    await ended(one);
  }
  async function insertTask(one: string, attempts: number) {
    const input = { source: { method: 'web-download', uri: `${origin}/image` }, request: {} };
    await sql`insert into image_task (id, image_id, user_id, request_id, input, status, attempts)
      select ${newId()}, id, 'u', 'r', ${JSON.stringify(input)}, 'processing', ${attempts} from image
      where id = ${one}`.execute(query());
  }
});

test('an import whose process died before the source had answered is one process’s at a time, and begins anew', async () => {
  const id = await api.create('alice');
  const { database } = api.db;
  const importer = (seen: string[]) =>
    new ImageImporter({
      database,
      transfer: {
        fill(one: string) {
          seen.push(one);
          return new Promise(() => {});
        },
      } as never,
      web: { open: () => new Promise(() => {}) },
      log: pino({ level: 'silent' }),
    });
  const seen: string[] = [];
  const input = { source: { method: 'web-download', uri: `${origin}/image` }, request: {} };
  await sql`update image set status = 'importing' where id = ${id}`.execute(database.query);
  await sql`insert into image_task (id, image_id, user_id, request_id, input)
    values (${newId()}, ${id}, 'u', 'r', ${JSON.stringify(input)})`.execute(database.query);
  await importer(seen).tasks.image_import(id);
  await importer(seen).tasks.image_import(id);
  assert.deepEqual(seen, [id]);

  await sql`update image_task set updated_at = now() - interval '1 hour' where image_id = ${id}`.execute(
    database.query,
  );
  await sql`update graphile_worker._private_jobs set run_at = now() where key = ${`image_import:${id}`}`.execute(
    database.query,
  );
  await ended(id);
  assert.deepEqual([(await show(id)).status, (await tasks(id))[0].status], ['active', 'success']);
});
