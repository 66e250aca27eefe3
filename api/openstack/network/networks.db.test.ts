import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { refused, testApi } from './testing.ts';

const api = await testApi();

test('a network is made, shown, listed, renamed and deleted with every attribute that Neutron shows', async () => {
  const me = api.as(testCaller());
  const made = await me.post('/networks', { network: { name: oddName, description: oddName, mtu: 1300 } });
  assert.equal(made.status, 201);
  const { network } = made.body;
  assert.equal(network.name, oddName);
  assert.equal(network.mtu, 1300);
  assert.equal(network['router:external'], false);
  assert.equal(network.tenant_id, network.project_id);
  assert.match(network.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal('provider:network_type' in network, false, 'how it is carried is for administrators');
  assert.deepEqual((await me.get(`/networks/${network.id.replaceAll('-', '')}`)).body, { network });
  const renamed = await me.put(`/networks/${network.id}`, { network: { name: 'b', admin_state_up: 'False' } });
  assert.deepEqual(
    [renamed.body.network.name, renamed.body.network.admin_state_up, renamed.body.network.revision_number],
    ['b', false, 2],
  );
  assert.equal((await me.get('/networks?name=b')).body.networks.length, 1);
  assert.deepEqual((await me.get(`/networks?name=${encodeURIComponent(oddName)}`)).body, { networks: [] });
  assert.deepEqual((await me.get('/networks?fields=name&fields=id')).body.networks, [{ name: 'b', id: network.id }]);
  assert.equal((await me.delete(`/networks/${network.id}`)).status, 204);
  refused(await me.get(`/networks/${network.id}`), 404, 'NetworkNotFound');
});

test('an administrator sees and chooses how a network is carried; a segment is given once', async () => {
  const admin = api.as(testAdmin());
  const flat = { 'provider:network_type': 'flat', 'provider:physical_network': 'physnet1', 'router:external': true };
  const made = await admin.post('/networks', { network: { name: 'public', ...flat } });
  assert.equal(made.status, 201);
  assert.deepEqual([made.body.network.mtu, made.body.network['provider:segmentation_id']], [1500, null]);
  refused(await admin.post('/networks', { network: flat }), 409, 'FlatNetworkInUse');
  refused(await admin.post('/networks', { network: { 'provider:network_type': 'vxlan' } }), 400, 'InvalidInput');
  const plain = (await admin.post('/networks', { network: {} })).body.network;
  assert.equal(plain['provider:network_type'], 'geneve');
  assert.ok(plain['provider:segmentation_id'] > 0);
  assert.equal((await admin.get('/networks?router:external=True')).body.networks.length, 1);
  for (const { id } of [made.body.network, plain]) assert.equal((await admin.delete(`/networks/${id}`)).status, 204);
});

test('bodies that are wrong are refused in Neutron words', async () => {
  const me = api.as(testCaller());
  const table: [unknown, RegExp][] = [
    [{}, /Unable to find 'network' in request body/],
    [{ network: { nmae: 'x' } }, /Unrecognized attribute\(s\) 'nmae'/],
    [{ network: { id: newId() } }, /Attribute 'id' not allowed in POST/],
    [{ network: { name: 7 } }, /Invalid input for name. Reason: '7' is not a valid string/],
    [{ network: { name: 'x'.repeat(256) } }, /exceeds maximum length of 255/],
    [{ network: { name: 'a\0b' } }, /NUL/],
    [{ network: { name: 'half \ud83c' } }, /half of a surrogate pair/],
    [{ network: { admin_state_up: 'perhaps' } }, /cannot be converted to boolean/],
    [{ network: { mtu: 'big' } }, /is not an integer/],
    [{ network: { tenant_id: 'x' } }, /is not a valid UUID/],
    [{ network: 'x' }, /Resource body required/],
    [{ networks: [] }, /Resources required/],
    [[], /Unable to find 'network'/],
  ];
  for (const [body, message] of table) refused(await me.post('/networks', body), 400, 'HTTPBadRequest', message);
  const { id } = (await me.post('/networks', { network: { name: '🏔'.repeat(255) } })).body.network;
  refused(await me.put(`/networks/${id}`, { network: { status: 'x' } }), 400, 'HTTPBadRequest', /read-only/);
  refused(
    await me.get('/networks?colour=red&name=x&shape=round'),
    400,
    'HTTPBadRequest',
    /^\['colour', 'shape'\] is invalid attribute for filtering$/,
  );
  refused(await me.get('/networks?name=a%00b'), 400, 'InvalidInput');
  refused(await me.get('/networks?tags=a%00b'), 400, 'InvalidInput');
  refused(await me.get('/networks?limit=x'), 400, 'HTTPBadRequest');
  refused(await me.get('/networks?sort_key=mtuu'), 400, 'HTTPBadRequest');
  refused(await me.get('/networks/no-uuid'), 404, 'NetworkNotFound');
  refused(await me.get('/nothing'), 404, 'HTTPNotFound');
});

test('what needs an administrator is refused to others, and said so', async () => {
  const me = api.as(testCaller());
  for (const network of [
    { shared: true },
    { 'router:external': true },
    { is_default: true },
    { 'provider:network_type': 'flat', 'provider:physical_network': 'physnet1' },
  ]) {
    refused(await me.post('/networks', { network }), 403, 'PolicyNotAuthorized', /disallowed by policy/);
  }
  for (const network of [{ tenant_id: newId() }, { project_id: newId() }])
    refused(await me.post('/networks', { network }), 400, 'HTTPBadRequest', /requires admin privileges/);
  assert.equal((await me.post('/networks', { network: { shared: false, 'router:external': false } })).status, 201);
  refused(await api.as(testCaller(['reader'])).post('/networks', { network: {} }), 403, 'PolicyNotAuthorized');
});

test('many networks are made in one request, all or none', async () => {
  const me = api.as(testCaller());
  const made = await me.post('/networks', { networks: [{ name: 'a' }, { name: 'b' }] });
  assert.deepEqual(
    made.body.networks.map(({ name }: { name: string }) => name),
    ['a', 'b'],
  );
  assert.equal((await me.post('/networks', { networks: [{ name: 'c' }, { name: 'd', mtu: 9000 }] })).status, 400);
  assert.equal((await me.get('/networks')).body.networks.length, 2);
});

test('lists come in pages with links, in any order, forwards and backwards', async () => {
  const me = api.as(testCaller());
  await me.post('/networks', { networks: ['c', 'a', 'b', 'd', 'a'].map((name) => ({ name })) });
  const names: string[] = [];
  let url: string | undefined = '/networks?limit=2&sort_key=name&sort_dir=desc&fields=name&fields=id';
  let last = '';
  while (url) {
    const { body } = await me.get(url);
    assert.ok(body.networks.length <= 2);
    names.push(...body.networks.map(({ name }: { name: string }) => name));
    last = body.networks.at(-1)?.id ?? last;
    const next = body.networks_links?.find(({ rel }: { rel: string }) => rel === 'next');
    url = next?.href.slice('https://cloud.test'.length);
  }
  assert.deepEqual(names, ['d', 'c', 'b', 'a', 'a']);
  const back = await me.get(`/networks?limit=2&sort_key=name&sort_dir=desc&page_reverse=True&marker=${last}`);
  assert.deepEqual(
    back.body.networks.map(({ name }: { name: string }) => name),
    ['b', 'a'],
  );
});

test('a shared network is everyone’s to see, only its owner’s to change; a private one does not exist for others', async () => {
  const admin = api.as(testAdmin());
  const other = api.as(testCaller());
  const shared = (await admin.post('/networks', { network: { shared: true, name: 'all' } })).body.network;
  const mine = (await admin.post('/networks', { network: { name: 'mine' } })).body.network;
  assert.equal((await other.get(`/networks/${shared.id}`)).status, 200);
  refused(await other.put(`/networks/${shared.id}`, { network: { name: 'x' } }), 403, 'PolicyNotAuthorized');
  refused(await other.delete(`/networks/${shared.id}`), 403, 'PolicyNotAuthorized');
  refused(await other.put(`/networks/${mine.id}`, { network: { name: 'x' } }), 404, 'NetworkNotFound');
  refused(await other.delete(`/networks/${mine.id}`), 404, 'NetworkNotFound');
  assert.deepEqual(
    (await other.get('/networks')).body.networks.map(({ id }: { id: string }) => id),
    [shared.id],
  );
  await admin.delete(`/networks/${shared.id}`);
});

test('tags are set, checked, filtered by and removed', async () => {
  const me = api.as(testCaller());
  const { id } = (await me.post('/networks', { network: {} })).body.network;
  const odd = encodeURIComponent(oddName);
  assert.equal((await me.put(`/networks/${id}/tags/${odd}`)).status, 201);
  assert.deepEqual((await me.put(`/networks/${id}/tags`, { tags: ['red', oddName, 'red'] })).body.tags, [
    'red',
    oddName,
  ]);
  assert.equal((await me.get(`/networks/${id}/tags/${odd}`)).status, 204);
  refused(await me.get(`/networks/${id}/tags/blue`), 404, 'TagNotFound');
  const count = async (query: string) => (await me.get(`/networks?${query}`)).body.networks.length;
  assert.deepEqual(
    [
      await count('tags=red'),
      await count('tags=red,blue'),
      await count('tags-any=red,blue'),
      await count('not-tags=red'),
    ],
    [1, 0, 1, 0],
  );
  assert.equal((await me.delete(`/networks/${id}/tags/${odd}`)).status, 204);
  assert.equal((await me.delete(`/networks/${id}/tags`)).status, 204);
  assert.deepEqual((await me.get(`/networks/${id}/tags`)).body, { tags: [] });
  refused(await api.as(testCaller()).put(`/networks/${id}/tags/x`), 404, 'NetworkNotFound');
});

test('an administrator makes things for other projects, but for none that does not exist', async () => {
  const [owner, admin] = [testCaller(), api.as(testAdmin())];
  const me = api.as(owner);
  assert.deepEqual((await me.get('/networks')).body.networks, []);
  const made = await admin.post('/networks', { network: { project_id: owner.projectId } });
  assert.equal((await me.get(`/networks/${made.body.network.id}`)).status, 200);
  const nobody = newId();
  for (const [path, body] of [
    ['/networks', { network: { project_id: nobody } }],
    ['/routers', { router: { project_id: nobody } }],
    ['/security-groups', { security_group: { name: 'g', project_id: nobody } }],
  ] as const) {
    refused(await admin.post(path, body), 404, 'HTTPNotFound', new RegExp(`Could not find project: ${nobody}`));
  }
  refused(await admin.put(`/quotas/${nobody}`, { quota: { network: 1 } }), 404, 'HTTPNotFound');
});

test('quota is refused in Neutron words, changed by administrators only, and falls back to the default', async () => {
  const caller = testCaller();
  const [me, admin] = [api.as(caller), api.as(testAdmin())];
  const path = `/quotas/${caller.projectId}`;
  refused(await me.put(path, { quota: { network: 99 } }), 403, 'PolicyNotAuthorized');
  assert.equal((await admin.put(path, { quota: { network: 1 } })).body.quota.network, 1);
  assert.equal((await me.post('/networks', { network: {} })).status, 201);
  refused(await me.post('/networks', { network: {} }), 409, 'OverQuota', /Quota exceeded for resources: \['network'\]/);
  assert.deepEqual((await me.get(`${path}/details.json`)).body.quota.network, { limit: 1, used: 1, reserved: 0 });
  assert.equal((await admin.get('/quotas')).body.quotas.length, 1);
  refused(await api.as(testCaller()).get(path), 403, 'PolicyNotAuthorized');
  refused(await admin.put(path, { quota: { network: 'many' } }), 400, 'HTTPBadRequest');
  assert.equal((await admin.delete(path)).status, 204);
  assert.deepEqual((await me.get(path)).body, (await me.get(`${path}/default`)).body);
});

test('a limit below what is used is refused to who asks for that check, and to nobody else', async () => {
  const caller = testCaller();
  const [me, admin] = [api.as(caller), api.as(testAdmin())];
  const path = `/quotas/${caller.projectId}`;
  for (const name of ['one', 'two']) assert.equal((await me.post('/networks', { network: { name } })).status, 201);
  const asked = { network: 1, port: 7, check_limit: true };
  refused(await admin.put(path, { quota: asked }), 400, 'HTTPBadRequest', /limit 1 for network .* already used .*2/);
  assert.deepEqual((await me.get(path)).body, (await me.get(`${path}/default`)).body, 'none of them was set');
  assert.equal((await admin.put(path, { quota: { ...asked, network: -1 } })).body.quota.network, -1);
  assert.equal((await admin.put(path, { quota: { ...asked, check_limit: false } })).body.quota.network, 1);
  assert.equal((await admin.put(path, { quota: { force: true } })).body.quota.port, 7, 'the client says it alone');
  refused(await admin.put(path, { quota: { check_limit: 'maybe' } }), 400, 'HTTPBadRequest');
});

test('clients find versions without a token, and extensions, agents and zones with one', async () => {
  const root = await api.app.inject({ url: '/network/' });
  assert.deepEqual(root.json().versions[0].links[0].href, 'https://cloud.test/network/v2.0/');
  assert.equal((await api.app.inject({ url: '/network/v2.0/' })).json().resources[0].name, 'network');
  assert.equal((await api.app.inject({ url: '/network/v2.0/networks' })).statusCode, 401);
  const me = api.as(testCaller());
  const { extensions } = (await me.get('/extensions')).body;
  assert.deepEqual((await me.get('/extensions/security-group')).body.extension.alias, 'security-group');
  assert.ok(extensions.length > 20);
  refused(await me.get('/extensions/l3-conntrack-helper'), 404, 'ExtensionsNotFound');
  assert.deepEqual((await me.get('/agents')).body, { agents: [] });
  assert.equal((await me.get('/availability_zones')).body.availability_zones[0].name, 'nova');
  assert.deepEqual((await me.get('/subnetpools')).body, { subnetpools: [] });
  refused(await me.get('/network-ip-availabilities'), 403, 'PolicyNotAuthorized');
  assert.ok((await api.as(testAdmin()).get('/network-ip-availabilities')).body.network_ip_availabilities.length > 0);
});

test('what is no resource of the database is filtered and shown in part, too, and what nobody filters by is refused', async () => {
  const { query } = api.database;
  const [up, down] = [newId(), newId()];
  for (const [id, connected] of [
    [up, true],
    [down, false],
  ] as const)
    await query
      .insertInto('host')
      .values({ id, name: `agent-${id}`, ...(connected && { connection_id: newId() }), connected } as never)
      .execute();
  const admin = api.as(testAdmin());
  const agents = async (asked: string): Promise<string[]> => {
    const { status, body } = await admin.get(`/agents?${asked}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body.agents.map(({ id }: { id: string }) => id).filter((id: string) => id === up || id === down);
  };
  assert.deepEqual(await agents('alive=false'), [down]);
  assert.deepEqual(await agents('alive=True&admin_state_up=true'), [up]);
  assert.deepEqual(await agents('admin_state_up=False'), []);
  assert.deepEqual(await agents('topic=l3_agent'), []);
  assert.deepEqual((await agents(`id=${up}&id=${down}`)).toSorted(), [up, down].toSorted(), 'any of several');
  const part = (await admin.get(`/agents?id=${up}&fields=id&fields=alive`)).body.agents;
  assert.deepEqual(part, [{ id: up, alive: true }]);
  const zones = (await admin.get('/availability_zones?resource=router&fields=resource')).body.availability_zones;
  assert.ok(zones.length > 0 && zones.every((zone: object) => JSON.stringify(zone) === '{"resource":"router"}'));
  const providers = async (asked: string) => (await admin.get(`/service-providers?${asked}`)).body.service_providers;
  assert.deepEqual([await providers('default=false'), await providers('service_type=VPN')], [[], []]);
  const types = (await admin.get('/qos/rule-types?sort_key=type&sort_dir=desc')).body.rule_types;
  assert.deepEqual(
    types.map(({ type }: { type: string }) => type),
    ['minimum_bandwidth', 'dscp_marking', 'bandwidth_limit'],
  );
  for (const path of ['agents', 'availability_zones', 'service-providers', 'qos/rule-types']) {
    refused(
      await admin.get(`/${path}?colour=red`),
      400,
      'HTTPBadRequest',
      /'colour'.* is invalid attribute for filtering/,
    );
    refused(await admin.get(`/${path}?sort_key=colour`), 400, 'HTTPBadRequest');
  }
  await query
    .deleteFrom('host')
    .where('id', 'in', [up, down] as never)
    .execute();
});

test('a filter by time compares whole seconds, and what is no time of ours finds nothing', async () => {
  const me = api.as(testCaller());
  const { network } = (await me.post('/networks', { network: { name: 'timed' } })).body;
  const found = async (time: string) => {
    const answer = await me.get(`/networks?created_at=${encodeURIComponent(time)}`);
    assert.equal(answer.status, 200, time);
    return answer.body.networks.map(({ id }: { id: string }) => id);
  };
  assert.deepEqual(await found(network.created_at), [network.id]);
  assert.deepEqual(await found(network.created_at.slice(0, -1)), [network.id], 'without a zone it is UTC');
  for (const odd of [
    '1',
    '99999-01-01',
    '-1',
    '2026-13-01',
    'now',
    '+275760-09-13',
    'infinity',
    '',
    '0000-01-01T00:00:00Z',
  ]) {
    assert.deepEqual(await found(odd), [], odd);
  }
});

test('a sort key counts once, however often a caller says it', async () => {
  const me = api.as(testCaller());
  for (const name of ['a', 'b']) await me.post('/networks', { network: { name } });
  const sort = 'sort_key=name&'.repeat(1000);
  const { networks } = (await me.get(`/networks?${sort}`)).body;
  assert.deepEqual((await me.get(`/networks?${sort}marker=${networks[0].id}`)).body.networks, [networks[1]]);
});

test("a marker that is gone, was never there or is another project's is not found", async () => {
  const me = api.as(testCaller());
  const other = api.as(testCaller());
  await me.post('/networks', { network: { name: 'a' } });
  const foreign = (await other.post('/networks', { network: { name: 'b' } })).body.network.id;
  for (const marker of [newId(), foreign]) refused(await me.get(`/networks?marker=${marker}`), 404, 'NetworkNotFound');
  refused(await me.get('/networks?marker=x'), 400, 'InvalidInput');
});

test('tags of what has none are no filter', async () => {
  const me = api.as(testCaller());
  refused(await me.get('/security-group-rules?tags=x'), 400, 'HTTPBadRequest', /invalid attribute for filtering/);
});
