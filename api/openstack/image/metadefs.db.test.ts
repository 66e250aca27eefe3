import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const at = (name: string, rest = '') => `/metadefs/namespaces/${encodeURIComponent(name)}${rest}`;
const make = async (fields: object) => {
  const answer = await api.call('admin POST /metadefs/namespaces', fields);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body;
};

test('a namespace is made with all that it has, shown with it, renamed, and removed', async () => {
  const name = '小屋 🏔';
  await make({
    namespace: name,
    display_name: 'Hut',
    visibility: 'public',
    objects: [{ name: 'o', properties: { p: { title: 'P', type: 'string' } } }],
    properties: { height: { title: 'Height', type: 'integer', minimum: 1 } },
    tags: [{ name: 't' }],
    resource_type_associations: [{ name: 'OS::Nova::Server', prefix: 'hw_' }],
  });
  const { body } = await api.call(`alice GET ${at(name)}`);
  assert.deepEqual(
    [body.namespace, body.display_name, body.visibility, body.protected],
    [name, 'Hut', 'public', false],
  );
  assert.deepEqual(body.properties, { height: { name: 'height', title: 'Height', type: 'integer', minimum: 1 } });
  assert.deepEqual(
    [body.tags, body.objects[0].name, body.resource_type_associations[0].prefix],
    [[{ name: 't' }], 'o', 'hw_'],
  );
  const { namespaces } = (await api.call('alice GET /metadefs/namespaces?resource_types=OS::Nova::Server')).body;
  assert.deepEqual(
    namespaces.map((one: { namespace: string }) => one.namespace),
    [name],
  );
  assert.deepEqual((await api.call('alice GET /metadefs/namespaces?resource_types=x')).body.namespaces, []);
  assert.equal((await api.call(`admin PUT ${at(name)}`, { namespace: 'renamed', protected: true })).status, 200);
  assert.equal((await api.call(`admin DELETE ${at('renamed')}`)).status, 403, 'it is protected');
  assert.equal((await api.call(`admin PUT ${at('renamed')}`, { namespace: 'renamed', protected: false })).status, 200);
  assert.equal((await api.call(`admin DELETE ${at('renamed')}`)).status, 204);
  assert.equal((await api.call(`alice GET ${at('renamed')}`)).status, 404);
});

test('objects, properties, tags and associations are made, changed and removed one by one', async () => {
  await make({ namespace: 'n', visibility: 'public' });
  const property = { name: 'p', title: 'P', type: 'string', enum: ['a'] };
  for (const [path, body, changed] of [
    ['objects', { name: 'o' }, { name: 'o2', description: 'x' }],
    ['properties', property, { ...property, title: 'P2' }],
    ['tags', undefined, { name: 't2' }],
  ] as const) {
    const one = body?.name ?? 't';
    const created = await api.call(`admin POST ${at('n', `/${path}${path === 'tags' ? '/t' : ''}`)}`, body);
    assert.equal(created.status, 201, JSON.stringify(created.body));
    assert.equal((await api.call(`admin POST ${at('n', `/${path}${path === 'tags' ? '/t' : ''}`)}`, body)).status, 409);
    assert.equal((await api.call(`alice GET ${at('n', `/${path}/${one}`)}`)).body.name, one);
    const { status, body: after } = await api.call(`admin PUT ${at('n', `/${path}/${one}`)}`, changed);
    assert.deepEqual([status, after.name], [200, changed.name]);
    assert.equal((await api.call(`admin DELETE ${at('n', `/${path}/${changed.name}`)}`)).status, 204);
    assert.equal((await api.call(`alice GET ${at('n', `/${path}/${changed.name}`)}`)).status, 404);
  }
  const tags = async () =>
    (await api.call(`alice GET ${at('n', '/tags')}`)).body.tags.map((tag: { name: string }) => tag.name);
  for (const names of [['a', 'b'], ['c']]) {
    const body = { tags: names.map((name) => ({ name })) };
    assert.equal((await api.call(`admin POST ${at('n', '/tags')}`, body)).status, 201);
    assert.deepEqual(await tags(), names, 'those that were there are replaced');
  }
  assert.equal((await api.call(`admin DELETE ${at('n', '/tags')}`)).status, 204);
  assert.deepEqual(await tags(), []);
  const [type] = (await api.call('alice GET /metadefs/resource_types')).body.resource_types;
  assert.equal((await api.call(`admin POST ${at('n', '/resource_types')}`, { name: type.name })).status, 201);
  assert.equal((await api.call(`admin DELETE ${at('n', `/resource_types/${type.name}`)}`)).status, 204);
});

test('administrators write; others read what is public or their own', async () => {
  await make({ namespace: 'hidden' });
  assert.equal((await api.call(`alice GET ${at('hidden')}`)).status, 404);
  assert.equal((await api.call('alice POST /metadefs/namespaces', { namespace: 'x' })).status, 403);
  assert.equal((await api.call('admin POST /metadefs/namespaces', { namespace: 'hidden' })).status, 409);
  assert.equal((await api.call('admin POST /metadefs/namespaces', { namespace: '' })).status, 400);
  const owner = (await api.call('alice GET /images')).status;
  assert.equal(owner, 200);
  for (const name of ['namespace', 'namespaces', 'object', 'property', 'tags', 'resource_types']) {
    assert.equal((await api.call(`alice GET /schemas/metadefs/${name}`)).body.name, name);
  }
  const many = Array.from({ length: 129 }, (_, index) => ({ name: `t${index}` }));
  assert.equal((await api.call(`admin POST ${at('hidden', '/tags')}`, { tags: many })).status, 413);
  assert.deepEqual((await api.call(`admin GET ${at('hidden', '/tags')}`)).body.tags, [], 'all or none');
});
