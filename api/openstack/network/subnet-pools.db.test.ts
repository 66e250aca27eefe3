import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

async function newPool(me: Me, over: object = {}) {
  const answer = await me.post('/subnetpools', {
    subnetpool: { name: oddName, prefixes: ['10.8.0.0/16'], default_prefixlen: 24, ...over },
  });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.subnetpool;
}

async function newScope(me: Me, over: object = {}) {
  const answer = await me.post('/address-scopes', { address_scope: { name: oddName, ip_version: 4, ...over } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.address_scope;
}

test('a pool shows what it was asked for, joined and by its defaults, and changes', async () => {
  const me = api.as(testCaller());
  const pool = await newPool(me, { prefixes: ['10.1.0.0/16', '10.0.0.0/16'], default_quota: 512 });
  const { id, ...rest } = pool;
  assert.equal((await me.get(`/subnetpools/${id}`)).body.subnetpool.id, id);
  assert.deepEqual(
    [rest.prefixes, rest.ip_version, rest.min_prefixlen, rest.max_prefixlen, rest.default_prefixlen],
    [['10.0.0.0/15'], 4, '8', '32', '24'],
  );
  assert.deepEqual(
    [rest.default_quota, rest.shared, rest.is_default, rest.address_scope_id],
    [512, false, false, null],
  );
  const changed = await me.put(`/subnetpools/${id}`, {
    subnetpool: { name: 'new', prefixes: ['10.0.0.0/14'], max_prefixlen: 28, default_quota: null },
  });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  assert.deepEqual(
    [changed.body.subnetpool.prefixes, changed.body.subnetpool.max_prefixlen, changed.body.subnetpool.default_quota],
    [['10.0.0.0/14'], '28', null],
  );
  assert.equal(changed.body.subnetpool.revision_number, 2);
  const listed = await me.get('/subnetpools?ip_version=4&max_prefixlen=28&fields=id&sort_key=name');
  assert.deepEqual(listed.body.subnetpools, [{ id }]);
  await me.put(`/subnetpools/${id}/tags/blue`);
  assert.deepEqual((await me.get('/subnetpools?tags=blue')).body.subnetpools.length, 1);
  assert.equal((await me.delete(`/subnetpools/${id}`)).status, 204);
  refused(await me.get(`/subnetpools/${id}`), 404, 'SubnetPoolNotFound');
});

test('what no pool may be is refused under the name of the rule', async () => {
  const me = api.as(testCaller());
  const create = (over: object) =>
    me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'], ...over } });
  refused(await create({ prefixes: [] }), 400, 'EmptySubnetPoolPrefixList');
  refused(await create({ prefixes: ['10.0.0.0/8', '2001:db8::/32'] }), 400, 'PrefixVersionMismatch');
  refused(await create({ prefixes: ['10.0.0.0'] }), 400, 'HTTPBadRequest');
  refused(await create({ min_prefixlen: 28, max_prefixlen: 20 }), 400, 'IllegalSubnetPoolPrefixBounds');
  refused(await create({ max_prefixlen: 33 }), 400, 'IllegalSubnetPoolPrefixBounds');
  refused(await create({ min_prefixlen: 20, default_prefixlen: 19 }), 400, 'IllegalSubnetPoolPrefixBounds');
  refused(await create({ default_quota: -1 }), 400, 'HTTPBadRequest');
  refused(await create({ shared: true }), 403, 'PolicyNotAuthorized');
  refused(await create({ is_default: true }), 403, 'PolicyNotAuthorized');
  refused(await create({ address_scope_id: newId() }), 404, 'AddressScopeNotFound');
  const pool = await newPool(me);
  const change = (over: object) => me.put(`/subnetpools/${pool.id}`, { subnetpool: over });
  refused(await change({ prefixes: ['10.8.0.0/17'] }), 400, 'IllegalSubnetPoolPrefixUpdate');
  refused(await change({ is_default: true }), 403, 'PolicyNotAuthorized');
  refused(await change({ min_prefixlen: 30 }), 400, 'IllegalSubnetPoolPrefixBounds');
});

test('a subnet takes its prefix from a pool: any, of a length, or a certain one that is free', async () => {
  const me = api.as(testCaller());
  const pool = await newPool(me, { min_prefixlen: 20, max_prefixlen: 28 });
  const network_id = await newNetwork(me);
  const create = (over: object) =>
    me.post('/subnets', { subnet: { network_id, ip_version: 4, subnetpool_id: pool.id, ...over } });
  const first = await create({});
  assert.deepEqual(
    [first.status, first.body.subnet.cidr, first.body.subnet.gateway_ip],
    [201, '10.8.0.0/24', '10.8.0.1'],
  );
  assert.equal(first.body.subnet.subnetpool_id, pool.id);
  assert.equal((await create({ prefixlen: 28 })).body.subnet.cidr, '10.8.1.0/28');
  assert.equal((await create({ cidr: '10.8.7.0/24' })).body.subnet.cidr, '10.8.7.0/24');
  refused(await create({ cidr: '10.8.0.128/25' }), 409, 'SubnetAllocationError');
  refused(await create({ cidr: '10.9.0.0/24' }), 409, 'SubnetAllocationError');
  refused(await create({ prefixlen: 29 }), 400, 'MaxPrefixSubnetAllocationError');
  refused(await create({ prefixlen: 19 }), 400, 'MinPrefixSubnetAllocationError');
  refused(await create({ cidr: '10.8.9.0/24', prefixlen: 24 }), 400, 'BadRequest');
  refused(await create({ ip_version: 6 }), 400, 'BadRequest');
  refused(await create({ allocation_pools: [{ start: '10.8.2.4', end: '10.8.2.9' }] }), 400, 'BadRequest');
  refused(await create({ subnetpool_id: newId() }), 404, 'SubnetPoolNotFound');
  // The others of the network come from the same pool.
  refused(await create({ subnetpool_id: null, cidr: '10.99.0.0/24' }), 400, 'NetworkSubnetPoolAffinityError');
  refused(await me.delete(`/subnetpools/${pool.id}`), 400, 'SubnetPoolDeleteError');
  assert.equal((await me.get(`/subnets?subnetpool_id=${pool.id}`)).body.subnets.length, 3);
});

test("a pool is its project's, unless it is shared; the default one serves everybody who asks for it", async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const hidden = await newPool(me);
  refused(await other.get(`/subnetpools/${hidden.id}`), 404, 'SubnetPoolNotFound');
  const network_id = await newNetwork(other);
  const create = (over: object) => other.post('/subnets', { subnet: { network_id, ip_version: 4, ...over } });
  refused(await create({ subnetpool_id: hidden.id }), 404, 'SubnetPoolNotFound');
  refused(await create({ use_default_subnetpool: true }), 400, 'BadRequest');
  const byDefault = await newPool(admin, { is_default: true, prefixes: ['10.200.0.0/16'] });
  refused(
    await admin.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'], is_default: true } }),
    400,
    'InvalidInput',
  );
  const made = await create({ use_default_subnetpool: true });
  assert.deepEqual([made.status, made.body.subnet.cidr], [201, '10.200.0.0/24'], JSON.stringify(made.body));
  refused(await create({ use_default_subnetpool: true, subnetpool_id: byDefault.id }), 400, 'BadRequest');
  const shared = await newPool(admin, { shared: true, prefixes: ['10.201.0.0/16'] });
  assert.equal((await other.get(`/subnetpools/${shared.id}`)).status, 200);
  refused(await other.put(`/subnetpools/${shared.id}`, { subnetpool: { name: 'x' } }), 403, 'PolicyNotAuthorized');
  refused(await other.delete(`/subnetpools/${shared.id}`), 403, 'PolicyNotAuthorized');
});

test('prefixes are added and removed one by one, but those that subnets have stay', async () => {
  const me = api.as(testCaller());
  const pool = await newPool(me);
  const network_id = await newNetwork(me);
  await me.post('/subnets', { subnet: { network_id, ip_version: 4, subnetpool_id: pool.id } });
  const verb = (name: string, ...prefixes: string[]) => me.put(`/subnetpools/${pool.id}/${name}`, { prefixes });
  assert.deepEqual((await verb('add_prefixes', '10.9.0.0/16', '10.20.0.0/24')).body, {
    prefixes: ['10.8.0.0/15', '10.20.0.0/24'],
  });
  assert.deepEqual((await verb('remove_prefixes', '10.9.0.0/16', '172.16.0.0/12')).body, {
    prefixes: ['10.8.0.0/16', '10.20.0.0/24'],
  });
  refused(await verb('remove_prefixes', '10.8.0.128/25'), 400, 'IllegalSubnetPoolPrefixUpdate');
  refused(await verb('add_prefixes', '2001:db8::/64'), 400, 'PrefixVersionMismatch');
});

test("a network's subnets become a pool's afterwards, unless their prefixes are given already", async () => {
  const me = api.as(testCaller());
  const [pool, network_id] = [await newPool(me), await newNetwork(me)];
  const subnet = await newSubnet(me, network_id, '192.168.5.0/24');
  const onboard = (id: string) => me.put(`/subnetpools/${pool.id}/onboard_network_subnets`, { network_id: id });
  assert.deepEqual((await onboard(network_id)).body, [{ id: subnet.id, cidr: '192.168.5.0/24' }]);
  assert.equal((await me.get(`/subnets/${subnet.id}`)).body.subnet.subnetpool_id, pool.id);
  assert.deepEqual((await me.get(`/subnetpools/${pool.id}`)).body.subnetpool.prefixes, [
    '10.8.0.0/16',
    '192.168.5.0/24',
  ]);
  const again = await newNetwork(me);
  await newSubnet(me, again, '192.168.5.128/25');
  refused(await onboard(again), 400, 'IllegalSubnetPoolUpdate');
  refused(await onboard(newId()), 404, 'NetworkNotFound');
  const foreign = await newNetwork(admin, { shared: true });
  refused(await onboard(foreign), 403, 'PolicyNotAuthorized');
});

test('an address scope has no prefix twice, gives its networks their scope, and goes when it is empty', async () => {
  const me = api.as(testCaller());
  const scope = await newScope(me);
  const pool = await newPool(me, { address_scope_id: scope.id });
  refused(
    await me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.8.4.0/24'], address_scope_id: scope.id } }),
    409,
    'AddressScopePrefixConflict',
  );
  refused(
    await me.post('/subnetpools', {
      subnetpool: { name: 'p', prefixes: ['2001:db8::/32'], address_scope_id: scope.id },
    }),
    400,
    'IllegalSubnetPoolIpVersionAssociationToAddressScope',
  );
  const second = await newPool(me, { prefixes: ['10.30.0.0/16'], address_scope_id: scope.id });
  refused(
    await me.put(`/subnetpools/${second.id}/add_prefixes`, { prefixes: ['10.8.0.0/24'] }),
    409,
    'AddressScopePrefixConflict',
  );
  const network_id = await newNetwork(me);
  const create = (over: object) => me.post('/subnets', { subnet: { network_id, ip_version: 4, ...over } });
  assert.equal((await create({ subnetpool_id: pool.id })).status, 201);
  // Another pool will do, as long as it is of the scope.
  assert.equal((await create({ subnetpool_id: second.id })).status, 201);
  refused(await create({ cidr: '192.168.0.0/24' }), 400, 'NetworkAddressScopeAffinityError');
  const { network } = (await me.get(`/networks/${network_id}`)).body;
  assert.deepEqual([network.ipv4_address_scope, network.ipv6_address_scope], [scope.id, null]);
  assert.equal((await me.get(`/networks?ipv4_address_scope=${scope.id}`)).body.networks.length, 1);
  refused(
    await me.put(`/subnetpools/${second.id}`, { subnetpool: { address_scope_id: null } }),
    400,
    'NetworkAddressScopeAffinityError',
  );
  refused(await me.delete(`/address-scopes/${scope.id}`), 409, 'AddressScopeInUse');
});

test('an address scope is shared by administrators, for good', async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const scope = await newScope(me);
  refused(await other.get(`/address-scopes/${scope.id}`), 404, 'AddressScopeNotFound');
  refused(await me.put(`/address-scopes/${scope.id}`, { address_scope: { shared: true } }), 403, 'PolicyNotAuthorized');
  const shared = await admin.put(`/address-scopes/${scope.id}`, { address_scope: { shared: true, name: 'all' } });
  assert.deepEqual(shared.body.address_scope, {
    id: scope.id,
    tenant_id: scope.project_id,
    project_id: scope.project_id,
    name: 'all',
    ip_version: 4,
    shared: true,
  });
  await newPool(other, { address_scope_id: scope.id });
  refused(
    await admin.put(`/address-scopes/${scope.id}`, { address_scope: { shared: false } }),
    400,
    'AddressScopeUpdateError',
  );
  refused(await other.put(`/address-scopes/${scope.id}`, { address_scope: { name: 'x' } }), 403, 'PolicyNotAuthorized');
  assert.equal((await me.delete(`/address-scopes/${(await newScope(me)).id}`)).status, 204);
});
