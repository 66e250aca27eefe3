import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testCaller } from '../../../control/network/testing.ts';
import { type Me, refused, testApi } from './testing.ts';

const api = await testApi();

const newGroup = async (me: Me, ...addresses: string[]) =>
  (await me.post('/address-groups', { address_group: { name: oddName, addresses } })).body.address_group;

test('an address group holds prefixes of both versions, each once, and gains and loses single ones', async () => {
  const me = api.as(testCaller());
  const group = await newGroup(me, '10.0.0.9/24', '2001:DB8::f00/32', '10.0.0.0/24', '192.0.2.7/32');
  assert.deepEqual(group.addresses, ['10.0.0.0/24', '192.0.2.7/32', '2001:db8::/32']);
  const verb = (name: string, ...addresses: string[]) => me.put(`/address-groups/${group.id}/${name}`, { addresses });
  const more = await verb('add_addresses', '10.2.0.0/16');
  assert.deepEqual(more.body.address_group.addresses, ['10.0.0.0/24', '10.2.0.0/16', '192.0.2.7/32', '2001:db8::/32']);
  assert.equal(more.body.address_group.revision_number, 2);
  refused(await verb('add_addresses', '10.3.0.0/16', '10.2.0.0/16'), 400, 'AddressesAlreadyExist');
  refused(await verb('remove_addresses', '10.3.0.0/16'), 404, 'AddressesNotFound');
  refused(await verb('add_addresses', '10.2.0.1/16'), 400, 'AddressesAlreadyExist');
  refused(await verb('add_addresses', '10.3.0.1/33'), 400, 'HTTPBadRequest', /not a valid IP subnet/);
  refused(await verb('remove_addresses', '10.3.0.1'), 404, 'AddressesNotFound', /10.3.0.1\/32/);
  const alone = await me.post('/address-groups', { address_group: { addresses: ['10.3.0.1'] } });
  refused(alone, 400, 'HTTPBadRequest', /not a valid IP subnet/);
  assert.equal((await verb('remove_addresses', '10.2.0.0/16', '192.0.2.7')).body.address_group.addresses.length, 2);
  const changed = await me.put(`/address-groups/${group.id}`, { address_group: { name: 'n', description: 'd' } });
  assert.deepEqual([changed.body.address_group.name, changed.body.address_group.description], ['n', 'd']);
  assert.deepEqual((await me.get('/address-groups?name=n&fields=id')).body, { address_groups: [{ id: group.id }] });
});

test('rules name address groups, which stay as long; more than one remote is refused', async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const addresses = await newGroup(me, '10.0.0.0/24');
  const { security_group: group } = (await me.post('/security-groups', { security_group: { name: 'g' } })).body;
  const rule = (over: object) =>
    me.post('/security-group-rules', {
      security_group_rule: { security_group_id: group.id, direction: 'ingress', ...over },
    });
  const made = await rule({ remote_address_group_id: addresses.id });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.security_group_rule.remote_address_group_id, addresses.id);
  refused(await rule({ remote_address_group_id: addresses.id }), 409, 'SecurityGroupRuleExists');
  refused(
    await rule({ remote_address_group_id: addresses.id, remote_ip_prefix: '10.0.0.0/8' }),
    400,
    'SecurityGroupMultipleRemoteEntites',
  );
  refused(await rule({ remote_address_group_id: newId() }), 404, 'AddressGroupNotFound');
  const foreign = await newGroup(other, '10.9.0.0/24');
  refused(await rule({ remote_address_group_id: foreign.id }), 404, 'AddressGroupNotFound');
  const listed = await me.get(`/security-group-rules?remote_address_group_id=${addresses.id}`);
  assert.equal(listed.body.security_group_rules.length, 1);
  refused(await me.delete(`/address-groups/${addresses.id}`), 409, 'AddressGroupInUse');
  await me.delete(`/security-group-rules/${made.body.security_group_rule.id}`);
  assert.equal((await me.delete(`/address-groups/${addresses.id}`)).status, 204);
  refused(await me.get(`/address-groups/${addresses.id}`), 404, 'AddressGroupNotFound');
});
