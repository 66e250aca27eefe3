import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { ImageApi } from './testing.ts';

let api: ImageApi;
const ids: Record<string, string> = {};
before(async () => {
  api = await ImageApi.start();
  const make = async (who: string, name: string, fields: object = {}, bytes?: Buffer) => {
    ids[name] = await api.create(who, { name, ...fields }, bytes);
  };
  await make('alice', 'a', { tags: ['x', 'y'], os_distro: 'debian' }, Buffer.alloc(10));
  await make('alice', 'b', { tags: ['x'], disk_format: 'qcow2', min_ram: 64, min_disk: 2 }, Buffer.alloc(20));
  await make('alice', 'c, "d"', { visibility: 'private', protected: true });
  await make('alice', 'hidden', { os_hidden: true });
  await make('alice', 'community', { visibility: 'community' });
  await make('bob', 'bobs', { visibility: 'private' });
  await make('bob', 'bobs community', { visibility: 'community' });
  await make('bob', 'offered');
  await make('bob', 'accepted');
  await make('admin', 'public', { visibility: 'public' });
  const { rows } = await sql<{ project_id: string }>`select project_id from image where id = ${ids.a}`.execute(
    api.db.database.query,
  );
  for (const name of ['offered', 'accepted']) {
    await api.call(`bob POST /images/${ids[name]}/members`, { member: rows[0]!.project_id });
  }
  await api.call(`alice PUT /images/${ids.accepted}/members/${rows[0]!.project_id}`, { status: 'accepted' });
});
after(() => api[Symbol.asyncDispose]());

async function names(query: string, who = 'alice'): Promise<string[]> {
  const { status, body } = await api.call(`${who} GET /images?${query}`);
  assert.equal(status, 200, `${query}: ${JSON.stringify(body)}`);
  return body.images.map((image: { name: string }) => image.name).sort();
}

test("a list shows what is one's own, public, or accepted; more only where it is asked for", async () => {
  const own = ['a', 'b', 'c, "d"', 'community'];
  assert.deepEqual(await names(''), [...own, 'accepted', 'public'].sort());
  assert.deepEqual(await names('visibility=all'), [...own, 'accepted', 'bobs community', 'public'].sort());
  assert.deepEqual(await names('visibility=community'), ['bobs community', 'community']);
  assert.deepEqual(await names('visibility=private'), ['c, "d"']);
  assert.deepEqual(await names('visibility=public'), ['public']);
  assert.deepEqual(await names('visibility=shared'), ['a', 'accepted', 'b']);
  assert.deepEqual(await names('visibility=shared&member_status=pending'), ['a', 'b', 'offered']);
  assert.deepEqual(await names('visibility=shared&member_status=all'), ['a', 'accepted', 'b', 'offered']);
  assert.deepEqual(await names('os_hidden=True'), ['hidden']);
  assert.equal((await names('limit=1000', 'admin')).length, 9, 'administrators see all');
});

test('filters select by every attribute, also in combination', async () => {
  assert.deepEqual(await names('name=a'), ['a']);
  assert.deepEqual(await names('name=in:a,%22c,%20%5C%22d%5C%22%22'), ['a', 'c, "d"']);
  assert.deepEqual(await names(`id=${ids.a}`), ['a']);
  assert.deepEqual(await names(`id=in:${ids.a},${ids.b},no-uuid`), ['a', 'b']);
  assert.deepEqual(await names('id=no-uuid'), []);
  assert.deepEqual(await names('status=active'), ['a', 'b']);
  assert.deepEqual(await names('status=in:active,queued&name=in:a,public'), ['a', 'public']);
  assert.deepEqual(await names('disk_format=in:qcow2'), ['b']);
  assert.deepEqual(await names('container_format=bare&name=a'), ['a']);
  assert.deepEqual(await names('tag=x'), ['a', 'b']);
  assert.deepEqual(await names('tag=x&tag=y'), ['a']);
  assert.deepEqual(await names('size=10'), ['a']);
  assert.deepEqual(await names('size_min=11'), ['b']);
  assert.deepEqual(await names('size_max=10'), ['a']);
  assert.deepEqual(await names('min_ram=64&min_disk=2'), ['b']);
  assert.deepEqual(await names('min_ram=999999999999999&min_disk=2147483648'), []);
  assert.deepEqual(await names('protected=true'), ['c, "d"']);
  assert.deepEqual(await names('os_distro=debian'), ['a']);
  assert.deepEqual(await names('os_distro=debian%27%20or%20true'), []);
  assert.deepEqual(await names(`owner=${newId()}`), []);
  assert.deepEqual(await names('owner=x'), []);
  const { body } = await api.call(`alice GET /images/${ids.b}`);
  assert.deepEqual(await names(`checksum=${body.checksum}`), ['b']);
  assert.deepEqual(await names(`os_hash_value=${body.os_hash_value}`), ['b']);
  assert.deepEqual(await names('constructor=x'), []);
});

test('times are compared in whole seconds, as they are shown', async () => {
  const { body } = await api.call(`alice GET /images/${ids.a}`);
  const at = body.created_at;
  assert.ok((await names(`name=a&created_at=gte:${at}`)).length === 1);
  assert.ok((await names(`name=a&created_at=gt:${at}`)).length === 0);
  assert.ok((await names(`name=a&created_at=lte:${at}`)).length === 1);
  assert.ok((await names(`name=a&created_at=eq:${at}`)).length === 1);
  assert.ok((await names(`name=a&created_at=neq:${at}`)).length === 0);
  assert.ok((await names(`name=a&created_at=${at}`)).length === 1);
  assert.ok((await names(`name=a&updated_at=lt:2001-01-01`)).length === 0);
  assert.ok((await names(`name=a&updated_at=gt:2001-01-01T00:00:00`)).length === 1);
});

test("what can't be read in a query is refused", async () => {
  for (const query of [
    'limit=x',
    'limit=-1',
    'sort_key=color',
    'sort_dir=up',
    'sort=name:up',
    'sort=',
    'sort=name&sort_key=name',
    'sort_key=name&sort_dir=asc&sort_dir=desc',
    'visibility=secret',
    'member_status=maybe',
    'size_min=x',
    'protected=perhaps',
    'os_hidden=',
    'created_at=gt:yesterday',
    'created_at=about:2001-01-01',
    'marker=x',
    `marker=${newId()}`,
    `marker=${ids.bobs}`,
    'name=in:%22a',
    'changes-since=2001',
    'name=%00',
    'created_at=gt:2001-99-99',
  ]) {
    assert.equal((await api.call(`alice GET /images?${query}`)).status, 400, query);
  }
});

test('pages follow each other by any order, without gap or double', async () => {
  for (const order of [
    '',
    'sort=name:asc',
    'sort=size:desc,name:asc',
    'sort_key=status&sort_key=created_at&sort_dir=asc&sort_dir=desc',
    'sort_key=disk_format&sort_dir=asc',
    'sort=id',
  ]) {
    const whole = (await api.call(`alice GET /images?${order}`)).body;
    assert.equal(whole.next, undefined);
    const seen: string[] = [];
    let next: string | undefined = `/v2/images?limit=2&visibility=all&${order}`;
    let pages = 0;
    while (next) {
      const { body } = await api.call(`alice GET ${next.slice('/v2'.length)}`);
      seen.push(...body.images.map((image: { id: string }) => image.id));
      assert.equal(body.schema, '/v2/schemas/images');
      assert.match(body.first, /^\/v2\/images\?limit=2/);
      next = body.next;
      assert.ok(++pages < 10);
    }
    const all = (await api.call(`alice GET /images?visibility=all&${order}`)).body.images;
    assert.deepEqual(
      seen,
      all.map((image: { id: string }) => image.id),
      order,
    );
    assert.equal(seen.length, 7);
  }
  const sorted = (await api.call('alice GET /images?sort=name:desc')).body.images.map(
    (image: { name: string }) => image.name,
  );
  assert.deepEqual(sorted, [...sorted].sort().reverse());
  assert.deepEqual((await api.call('alice GET /images?limit=0')).body.images, []);
});

test('the newest comes first by default', async () => {
  const images = (await api.call('alice GET /images')).body.images;
  assert.equal(images[0].name, 'public');
});
