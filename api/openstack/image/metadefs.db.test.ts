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

test('namespaces are listed newest first or as asked for, with their types of resources, and each page goes on as the first was asked', async () => {
  const type = 'OS::Paged::Thing';
  const associations = { resource_type_associations: [{ name: type, prefix: 'hw_' }] };
  for (const [namespace, display_name] of [
    ['p-b', '2'],
    ['p-a', '3'],
    ['p-c', '1'],
  ])
    await make({ namespace, display_name, visibility: 'public', ...associations });
  await make({ namespace: 'p-private', ...associations });
  await make({ namespace: 'p-other', visibility: 'public' });
  const pages = async (query: string) => {
    const names: string[] = [];
    let next: string | undefined = `/v2/metadefs/namespaces?visibility=public&resource_types=${type}&limit=2&${query}`;
    while (next !== undefined) {
      const { status, body } = await api.call(`admin GET ${next.replace('/v2', '')}`);
      assert.equal(status, 200, JSON.stringify(body));
      for (const one of body.namespaces) {
        names.push(one.namespace);
        assert.deepEqual(
          [one.resource_type_associations[0].name, one.resource_type_associations[0].prefix],
          [type, 'hw_'],
        );
      }
      assert.equal(new URLSearchParams(body.first.split('?')[1]).get('resource_types'), type);
      next = body.next;
    }
    return names;
  };
  assert.deepEqual(await pages(''), ['p-c', 'p-a', 'p-b']);
  assert.deepEqual(await pages('sort_dir=asc'), ['p-b', 'p-a', 'p-c']);
  assert.deepEqual(await pages('sort_key=namespace&sort_dir=asc'), ['p-a', 'p-b', 'p-c']);
  assert.deepEqual(await pages('sort_key=display_name'), ['p-a', 'p-b', 'p-c']);
  for (const [query, status] of [
    ['sort_dir=up', 400],
    ['sort_key=password', 400],
    ['visibility=secret', 400],
    ['limit=x', 400],
    ['marker=nowhere', 404],
  ] as const)
    assert.equal((await api.call(`alice GET /metadefs/namespaces?${query}`)).status, status, query);
  const hidden = await api.call('alice GET /metadefs/namespaces?marker=p-private');
  assert.equal(hidden.status, 404, 'what one does not see is no place in the list either');
});

test('for a type of resource properties are called as they are set on it, with its prefix', async () => {
  const [flavor, plain] = ['OS::Nova::Flavor', 'OS::Glance::Image'];
  await make({
    ...{ namespace: 'cpu', visibility: 'public' },
    objects: [
      { name: 'o', required: ['cores'], properties: { cores: { title: 'C', type: 'integer' } } },
      { name: 'empty' },
    ],
    properties: { sockets: { title: 'S', type: 'integer' } },
    resource_type_associations: [{ name: flavor, prefix: 'hw:' }, { name: plain }],
  });
  const named = async (query: string) => {
    const { body } = await api.call(`alice GET ${at('cpu', query)}`);
    const [object] = body.objects;
    return [Object.keys(body.properties), Object.keys(object.properties), object.required];
  };
  assert.deepEqual(await named(`?resource_type=${flavor}`), [['hw:sockets'], ['hw:cores'], ['hw:cores']]);
  for (const query of ['', `?resource_type=${plain}`, '?resource_type=OS::None'])
    assert.deepEqual(await named(query), [['sockets'], ['cores'], ['cores']], query);
  const property = async (name: string, query = '') => {
    const { status, body } = await api.call(`alice GET ${at('cpu', `/properties/${name}${query}`)}`);
    return status === 200 ? body.name : status;
  };
  assert.equal(await property('hw:sockets', `?resource_type=${flavor}`), 'sockets');
  assert.equal(await property('sockets', `?resource_type=${flavor}`), 404);
  assert.equal(await property('sockets', '?resource_type=OS::None'), 404);
  assert.equal(await property('sockets'), 'sockets');
});

test('an object says where it is, also within its namespace', async () => {
  await make({ namespace: 'where is', visibility: 'public', objects: [{ name: 'an o' }] });
  const self = '/v2/metadefs/namespaces/where%20is/objects/an%20o';
  const inside = (await api.call(`alice GET ${at('where is')}`)).body.objects[0];
  const listed = (await api.call(`alice GET ${at('where is', '/objects')}`)).body.objects[0];
  const alone = (await api.call(`alice GET ${self.replace('/v2', '')}`)).body;
  for (const one of [inside, listed, alone])
    assert.deepEqual([one.self, one.schema], [self, '/v2/schemas/metadefs/object']);
});
