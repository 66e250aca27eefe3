import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const strange = '小屋 🏔 "x"; drop';
const op = (verb: string, path: string, value?: unknown) => ({
  op: verb,
  path,
  ...(value === undefined ? {} : { value }),
});

test('the versions are told to all, in the forms that discovery needs', async () => {
  const get = async (url: string) => api.app.inject({ method: 'GET', url });
  for (const [url, status] of [
    ['/image', 300],
    ['/image/', 300],
    ['/image/versions', 200],
    ['/image/v2/', 200],
    ['/image/v2', 200],
  ] as const) {
    const answer = await get(url);
    assert.equal(answer.statusCode, status, url);
    const [current] = answer.json().versions;
    assert.equal(current.status, 'CURRENT');
    assert.match(current.links[0].href, /^https:\/\/.*\/image\/v2\/$/);
  }
});

test("an image is created with Glance's defaults and shown with all its attributes", async () => {
  const { status, headers, body } = await api.call('alice POST /images', {
    name: strange,
    os_distro: 'debian',
    tags: ['b', 'a', 'b'],
  });
  assert.equal(status, 201);
  assert.match(headers.location!, new RegExp(`/image/v2/images/${body.id}$`));
  assert.match(headers['openstack-image-import-methods']!, /^glance-direct,web-download/);
  const { id, created_at, updated_at, ...rest } = body;
  assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(created_at, updated_at);
  assert.deepEqual(rest, {
    name: strange,
    os_distro: 'debian',
    tags: ['b', 'a'],
    visibility: 'shared',
    status: 'queued',
    locations: [],
    protected: false,
    os_hidden: false,
    disk_format: null,
    container_format: null,
    size: null,
    virtual_size: null,
    checksum: null,
    os_hash_algo: null,
    os_hash_value: null,
    min_disk: 0,
    min_ram: 0,
    owner: callers.alice.projectId,
    self: `/v2/images/${id}`,
    file: `/v2/images/${id}/file`,
    schema: '/v2/schemas/image',
  });
  assert.deepEqual((await api.call(`alice GET /images/${id}`)).body, body);
  assert.deepEqual(
    (await api.call(`alice GET /images/${id.replaceAll('-', '').toUpperCase()}`)).body,
    body,
    'undashed',
  );
});

test("openstacksdk's own properties and a chosen id are taken", async () => {
  const id = newId();
  const properties = {
    'owner_specified.openstack.md5': '',
    'owner_specified.openstack.sha256': '',
    'owner_specified.openstack.object': 'images/x',
  };
  const { status, body } = await api.call('alice POST /images', {
    id,
    name: 'x',
    disk_format: 'qcow2',
    container_format: 'bare',
    ...properties,
  });
  assert.equal(status, 201);
  assert.equal(body.id, id);
  assert.equal(body['owner_specified.openstack.object'], 'images/x');
  assert.equal((await api.call('bob POST /images', { id })).status, 409, 'an id is used once, whoever has it');
});

test('what is out of range is called what the caller calls it', async () => {
  for (const name of ['min_ram', 'min_disk']) {
    const { status, body } = await api.call('alice POST /images', { [name]: -1 });
    assert.equal(status, 400);
    assert.match(JSON.stringify(body), new RegExp(`${name} must be a whole number`));
    assert.doesNotMatch(JSON.stringify(body), /_mib|_gib/);
  }
});

test('what Glance refuses at creation is refused', async () => {
  const refused: [object | string, number][] = [
    [{ name: 5 }, 400],
    [{ name: 'x'.repeat(256) }, 400],
    [{ name: 'nul \0' }, 400],
    [{ name: '\ud800' }, 400],
    [{ visibility: 'secret' }, 400],
    [{ visibility: 'public' }, 403],
    [{ disk_format: 'dmg' }, 400],
    [{ container_format: 'docker' }, 400],
    [{ min_disk: -1 }, 400],
    [{ min_ram: 2 ** 31 }, 400],
    [{ min_ram: '5' }, 400],
    [{ protected: 'yes' }, 400],
    [{ tags: 'x' }, 400],
    [{ tags: ['x'.repeat(256)] }, 400],
    [{ tags: Array.from({ length: 129 }, (_, i) => `t${i}`) }, 413],
    [Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`p${i}`, ''])), 413],
    [{ property: 5 }, 400],
    [{ property: null }, 400],
    [{ ['p'.repeat(256)]: 'x' }, 400],
    [{ id: 'x' }, 400],
    [{ owner: callers.bob.projectId }, 403],
    [{ owner: 'x' }, 403],
    [{ owner: 'x'.repeat(256) }, 400],
    [{ owner: 5 }, 400],
    [{ status: 'active' }, 403],
    [{ size: 5 }, 403],
    [{ checksum: null }, 403],
    [{ self: 'x' }, 403],
    [{ stores: 'x' }, 403],
    [{ locations: [] }, 403],
    [{ os_glance_import_task: 'x' }, 403],
    [{ deleted: 'x' }, 403],
    [{ constructor: 5 }, 400],
    ['[]', 400],
    ['null', 400],
    ['', 400],
    ['{"name":', 400],
    ['{"__proto__": {"protected": true}}', 400],
  ];
  for (const [body, status] of refused) {
    const answer = await api.call('alice POST /images', body, { 'content-type': 'application/json' });
    assert.equal(answer.status, status, `${JSON.stringify(body).slice(0, 100)} ${JSON.stringify(answer.body)}`);
    assert.equal(answer.body.code.slice(0, 3), String(status));
  }
  assert.equal(
    (
      await api.call('alice POST /images', `{"name": "${'x'.repeat(10_000_000)}"}`, {
        'content-type': 'application/json',
      })
    ).status,
    413,
  );
  assert.equal((await api.call('reader POST /images', {})).status, 403);
  assert.equal((await api.call('nobody POST /images', {})).status, 401);
  assert.equal((await api.call('mallory GET /images')).status, 401);
});

test('faults come in the form that is accepted, as WebOb chooses it', async () => {
  const get = async (accept?: string) => {
    const answer = await api.app.inject({
      method: 'GET',
      url: '/image/v2/images/<b>',
      headers: { 'x-auth-token': 'alice', ...(accept === undefined ? {} : { accept }) },
    });
    assert.equal(answer.statusCode, 404);
    return [answer.headers['content-type'], answer.body] as const;
  };
  const [type, json] = await get('application/json');
  assert.equal(type, 'application/json; charset=UTF-8');
  assert.deepEqual(JSON.parse(json), {
    message: 'No image found with ID <b>',
    code: '404 Not Found',
    title: 'Not Found',
  });
  for (const accept of ['*/*', undefined, 'text/html, application/json']) {
    const [htmlType, html] = await get(accept);
    assert.equal(htmlType, 'text/html; charset=UTF-8');
    assert.match(html, /<h1>404 Not Found<\/h1>\s+No image found with ID &lt;b&gt;<br/);
  }
  assert.equal((await get('image/png'))[0], 'text/plain; charset=UTF-8');
  assert.equal(
    (await get(''))[0],
    'text/html; charset=UTF-8',
    'openstacksdk sends this with uploads, and shows no plain text',
  );
});

test('an image without an id is not found', async () => {
  for (const method of ['GET', 'DELETE', 'PATCH']) {
    const { status, body } = await api.call(`alice ${method} /images/`, method === 'PATCH' ? [] : undefined);
    assert.deepEqual([status, body.message], [404, 'No image found with ID '], method);
  }
});

test('a wrong method answers 405 with those that are allowed', async () => {
  const { status, headers } = await api.call('alice PUT /images');
  assert.equal(status, 405);
  assert.equal(headers.allow, 'POST, GET');
  assert.equal((await api.call('alice GET /nothing')).status, 404);
});

test("another project's image does not exist; public, community and shared ones may be read but not changed", async () => {
  const hidden = await api.create('alice', { visibility: 'private' });
  const shared = await api.create('alice', { visibility: 'shared' });
  for (const id of [hidden, shared, newId(), 'no-uuid', '%00', strange]) {
    const path = `/images/${encodeURIComponent(id)}`;
    for (const [method, rest, body] of [
      ['GET', ''],
      ['DELETE', ''],
      ['PATCH', '', [op('replace', '/name', 'x')]],
      ['GET', '/file'],
      ['PUT', '/file', Buffer.from('x')],
      ['POST', '/actions/deactivate'],
      ['PUT', '/tags/x'],
      ['DELETE', '/tags/x'],
      ['GET', '/members'],
      ['POST', '/members', { member: newId() }],
      ['PUT', `/members/${newId()}`, { status: 'accepted' }],
      ['DELETE', `/members/${newId()}`],
    ] as const) {
      assert.equal((await api.call(`bob ${method} ${path}${rest}`, body)).status, 404, `${method} ${path}${rest}`);
    }
  }
  const seen = [
    await api.create('admin', { visibility: 'public' }),
    await api.create('alice', { visibility: 'community' }),
  ];
  for (const id of seen) {
    assert.equal((await api.call(`bob GET /images/${id}`)).status, 200);
    assert.equal((await api.call(`bob DELETE /images/${id}`)).status, 403);
    assert.equal((await api.call(`bob PATCH /images/${id}`, [op('replace', '/name', 'x')])).status, 403);
    assert.equal((await api.call(`bob PUT /images/${id}/file`, Buffer.from('x'))).status, 403);
    assert.equal((await api.call(`bob PUT /images/${id}/tags/x`)).status, 403);
  }
  const own = await api.create('alice', { visibility: 'private' });
  assert.equal((await api.call(`reader GET /images/${own}`)).status, 200);
  assert.equal((await api.call(`reader DELETE /images/${own}`)).status, 403, 'a reader changes nothing');
  assert.equal((await api.call(`admin GET /images/${own}`)).status, 200);
});

test('a patch sets, adds and removes in order, all or nothing, in both drafts', async () => {
  const id = await api.create('alice', { name: 'before', a: '1', 'x/y~z': 'slash' });
  const patch = (...operations: object[]) => api.call(`alice PATCH /images/${id}`, operations);
  const { status, body } = await patch(
    op('replace', '/name', strange),
    op('add', '/b', '2'),
    op('replace', '/a', '3'),
    op('remove', '/b'),
    op('add', '/c', strange),
    op('replace', '/tags', ['t']),
    op('replace', '/min_disk', 3),
    op('add', '/visibility', 'private'),
    op('replace', '/x~1y~0z', 'found'),
    op('replace', '/name', null),
    op('replace', '/os_hidden', true),
    op('replace', '/disk_format', 'qcow2'),
  );
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(
    [
      body.name,
      body.a,
      body.b,
      body.c,
      body.tags,
      body.min_disk,
      body.visibility,
      body['x/y~z'],
      body.os_hidden,
      body.disk_format,
    ],
    [null, '3', undefined, strange, ['t'], 3, 'private', 'found', true, 'qcow2'],
  );
  assert.equal((await patch(op('replace', '/name', 'half'), op('remove', '/nothing'))).status, 409);
  assert.equal((await api.call(`alice GET /images/${id}`)).body.name, null, 'nothing of a refused patch remains');
  assert.equal((await patch()).status, 200);

  const draft4 = { 'content-type': 'application/openstack-images-v2.0-json-patch' };
  const old = (...operations: object[]) => api.call(`alice PATCH /images/${id}`, operations, draft4);
  assert.equal(
    (await old({ replace: '/name', value: 'by draft 4' }, { add: '/d', value: '4' }, { remove: '/c' })).body.name,
    'by draft 4',
  );
  assert.equal((await old({ add: '/d', value: '5' })).status, 409, 'draft 4 adds only what is not there');
  assert.equal((await old({ add: '/e', remove: '/d' })).status, 400);
});

test('what Glance refuses in a patch is refused', async () => {
  const id = await api.create('alice', { p: 'x' });
  const refused: [unknown, number][] = [
    [{}, 400],
    [['x'], 400],
    [[op('move', '/name', 'x')], 400],
    [[{ path: '/name', value: 'x' }], 400],
    [[{ op: 'replace', value: 'x' }], 400],
    [[op('replace', '/name')], 400],
    [[op('replace', 'name', 'x')], 400],
    [[op('replace', '/', 'x')], 400],
    [[op('replace', '/name//x', 'x')], 400],
    [[op('replace', '/name/x', 'x')], 400],
    [[op('add', '/x~2', 'x')], 400],
    [[op('add', '/tags/-', 'x')], 400],
    [[op('replace', 5 as unknown as string, 'x')], 400],
    [[op('replace', '/name', 5)], 400],
    [[op('replace', '/name', 'x'.repeat(256))], 400],
    [[op('add', '/p', 5)], 400],
    [[op('add', '/p', 'nul \0')], 400],
    [[op('replace', '/protected', 'x')], 400],
    [[op('replace', '/nothing', 'x')], 409],
    [[op('remove', '/nothing')], 409],
    [[op('remove', '/name')], 403],
    [[op('replace', '/id', newId())], 403],
    [[op('replace', '/status', 'active')], 403],
    [[op('replace', '/size', 1)], 403],
    [[op('add', '/stores', 'x')], 403],
    [[op('replace', '/locations', [])], 403],
    [[op('add', '/os_glance_x', 'x')], 403],
    [[op('add', '/__proto__', 'x')], 403],
    [[op('replace', '/visibility', 'public')], 403],
    [[op('replace', '/owner', callers.bob.projectId)], 403],
    [Array.from({ length: 129 }, (_, i) => op('add', `/p${i}`, 'x')), 413],
  ];
  for (const [body, status] of refused) {
    const answer = await api.call(`alice PATCH /images/${id}`, body);
    assert.equal(answer.status, status, `${JSON.stringify(body).slice(0, 100)} ${JSON.stringify(answer.body)}`);
  }
  const json = await api.call(`alice PATCH /images/${id}`, [], { 'content-type': 'application/json' });
  assert.equal(json.status, 415);
  assert.match(json.headers['accept-patch']!, /v2\.1-json-patch/);
  assert.equal((await api.call(`alice PATCH /images/${id}`, 'x', { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await api.call(`alice GET /images/${id}`)).body.p, 'x');
  assert.equal(
    (await api.call(`alice PATCH /images/${id}`, [op('add', '/constructor', 'x'), op('add', '/toString', 'y')])).body
      .constructor,
    'x',
  );
});

test('formats may change only while there are no bytes', async () => {
  const id = await api.create('alice', {}, Buffer.from('bytes'));
  assert.equal((await api.call(`alice PATCH /images/${id}`, [op('replace', '/disk_format', 'qcow2')])).status, 403);
  assert.equal((await api.call(`alice PATCH /images/${id}`, [op('replace', '/disk_format', 'raw')])).status, 200);
});

test('an administrator publishes, gives away and sees all', async () => {
  const id = await api.create('alice', {});
  const { status, body } = await api.call(`admin PATCH /images/${id}`, [
    op('replace', '/visibility', 'public'),
    op('replace', '/owner', callers.bob.projectId),
  ]);
  assert.deepEqual([status, body.visibility, body.owner], [200, 'public', callers.bob.projectId]);
  assert.equal(
    (
      await api.call(`bob PATCH /images/${id}`, [
        op('replace', '/name', 'mine'),
        op('replace', '/visibility', 'public'),
      ])
    ).status,
    200,
    'it is public already',
  );
});

test('a protected image is not deleted; a deleted one is gone at once, its bytes and row soon', async () => {
  const id = await api.create('alice', { protected: true }, Buffer.from('bytes'));
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 403);
  assert.equal((await api.call(`alice PATCH /images/${id}`, [op('replace', '/protected', false)])).status, 200);
  assert.ok(api.store.images.has(id));
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
  for (const who of ['alice', 'admin']) assert.equal((await api.call(`${who} GET /images/${id}`)).status, 404);
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 404);
  assert.ok(!(await api.call('alice GET /images')).body.images.some((image: { id: string }) => image.id === id));
  await until('the row to go', async () => !(await row(id)));
  assert.ok(!api.store.images.has(id));
  const { rows } = await sql<{
    state: string;
  }>`select state from operation where resource_id = ${id} and verb = 'delete'`.execute(api.db.database.query);
  assert.deepEqual(rows, [{ state: 'succeeded' }]);
});

const row = async (id: string) =>
  (await sql`select from image where id = ${id}`.execute(api.db.database.query)).rows[0];

test('the id of an image that is gone is nobody’s again', async () => {
  const id = newId();
  await api.create('alice', { id, visibility: 'community' });
  await api.call(`alice DELETE /images/${id}`);
  const gone = async () => !(await row(id));
  await until('the row to go', gone);
  for (const who of ['bob', 'alice']) {
    const { status } = await api.call(`${who} POST /images`, { id, name: 'the same', visibility: 'community' });
    assert.equal(status, 409, who);
  }
  assert.ok(await gone(), 'and nothing of it is left');
});

test('while a host is away a deletion waits unseen, and ends when the host is back', async () => {
  const id = await api.create('alice', {}, Buffer.from('bytes'));
  const setConnected = (connected: boolean) =>
    sql`update host set connected = ${connected} where id = ${api.hostId}`.execute(api.db.database.query);
  const before = (await api.call('alice GET /images')).body.images.length;
  await setConnected(false);
  try {
    assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
    assert.equal((await api.call('alice GET /images')).body.images.length, before - 1);
    await until('the reason on record', async () => {
      const { rows } = await sql<{
        waiting_for: string;
      }>`select waiting_for from operation where resource_id = ${id} and state = 'running'`.execute(
        api.db.database.query,
      );
      return rows[0]?.waiting_for === 'hosts that are away to remove the bytes';
    });
    assert.ok(api.store.images.has(id));
  } finally {
    await setConnected(true);
  }
  await until('the row to go', async () => !(await row(id)));
  assert.ok(!api.store.images.has(id));
});

test('what waits for a host is looked at again after a while, however far this process’s clock is from the database’s', async (t) => {
  const setConnected = (connected: boolean) =>
    sql`update host set connected = ${connected} where id = ${api.hostId}`.execute(api.db.database.query);
  const ids = [await api.create('alice', {}, Buffer.from('one')), await api.create('alice', {}, Buffer.from('two'))];
  const now = Date.now.bind(Date);
  let off = 0;
  t.mock.method(Date, 'now', () => now() + off * 3_600_000);
  await setConnected(false);
  try {
    for (const [index, hours] of [-1, 1].entries()) {
      const id = ids[index]!;
      off = hours;
      assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
      await until('the next look to be wished for', async () => {
        const { rows } = await sql`select from graphile_worker._private_jobs where key = ${`image:${id}`}
          and locked_at is null and run_at between now() + interval '30 seconds' and now() + interval '90 seconds'`.execute(
          api.db.database.query,
        );
        return rows.length === 1;
      });
    }
  } finally {
    t.mock.restoreAll();
    await setConnected(true);
  }
  await until('the rows to go', async () => !(await row(ids[0]!)) && !(await row(ids[1]!)));
});

test('tags are put and taken one by one', async () => {
  const id = await api.create('alice', { tags: ['one'] });
  const tag = (method: string, name: string) =>
    api.call(`alice ${method} /images/${id}/tags/${encodeURIComponent(name)}`);
  assert.equal((await tag('PUT', strange)).status, 204);
  assert.equal((await tag('PUT', strange)).status, 204, 'twice is once');
  assert.deepEqual((await api.call(`alice GET /images/${id}`)).body.tags, ['one', strange]);
  assert.equal((await tag('DELETE', 'one')).status, 204);
  assert.equal((await tag('DELETE', 'one')).status, 404);
  assert.equal((await tag('PUT', 'x'.repeat(256))).status, 400);
});

test('a deactivated image shows itself but not its bytes, except to administrators', async () => {
  const queued = await api.create('alice');
  assert.equal((await api.call(`alice POST /images/${queued}/actions/deactivate`)).status, 400);
  const id = await api.create('alice', {}, Buffer.from('bytes'));
  for (let i = 0; i < 2; i++) assert.equal((await api.call(`alice POST /images/${id}/actions/deactivate`)).status, 204);
  assert.equal((await api.call(`alice GET /images/${id}`)).body.status, 'deactivated');
  assert.equal((await api.call(`alice GET /images/${id}/file`)).status, 403);
  assert.equal((await api.call(`admin GET /images/${id}/file`)).status, 200);
  assert.equal((await api.call(`alice POST /images/${id}/actions/reactivate`)).status, 204);
  assert.equal((await api.call(`alice GET /images/${id}/file`)).status, 200);
});

test("the project's quota of images holds, and deletion frees it at once", async () => {
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${callers.bob.projectId}, 'images', 1)
    on conflict do nothing`.execute(api.db.database.query);
  const own = async () =>
    (
      await sql<{
        n: number;
      }>`select count(*) n from image where project_id = ${callers.bob.projectId} and desired_presence = 'present'`.execute(
        api.db.database.query,
      )
    ).rows[0]!.n;
  await sql`update quota set maximum = ${(await own()) + 1} where project_id = ${callers.bob.projectId}`.execute(
    api.db.database.query,
  );
  const id = await api.create('bob');
  const { status, body } = await api.call('bob POST /images', {});
  assert.deepEqual([status, body.title], [413, 'Request Entity Too Large']);
  assert.match(body.message, /image_count_total/);
  await api.call(`bob DELETE /images/${id}`);
  assert.equal((await api.call('bob POST /images', {})).status, 201);
  await sql`delete from quota where project_id = ${callers.bob.projectId}`.execute(api.db.database.query);
});

test('schemas and store information are there', async () => {
  for (const name of ['image', 'images', 'member', 'members', 'task', 'tasks']) {
    assert.equal((await api.call(`alice GET /schemas/${name}`)).body.name, name);
  }
  assert.deepEqual((await api.call('alice GET /info/stores')).body, { stores: [{ id: 'hosts', default: 'true' }] });
  const methods = ['glance-direct', 'web-download', 'glance-download', 'copy-image'];
  assert.deepEqual((await api.call('alice GET /info/import')).body['import-methods'].value, methods);
  assert.equal((await api.call('alice GET /info/stores/detail')).status, 403);
  assert.equal((await api.call('admin GET /info/stores/detail')).body.stores[0].id, 'hosts');
});
