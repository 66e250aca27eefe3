/** Every route of the network dialect, held to its contract. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { networkDialect, networkInfo } from './index.ts';
import { newNetwork, newSubnet, testApi } from './testing.ts';

const api = await testApi();
const admin = testAdmin();
const callers = { admin, member: testCaller(), reader: testCaller(['reader'], admin.projectId!) };
const me = api.as(admin);
const [member, reader] = [api.as(callers.member), api.as(callers.reader)];
const network_id = await newNetwork(me);
const subnet = await newSubnet(me, network_id, '10.9.0.0/16');
const made = async (path: string, body: object): Promise<string> => {
  const answer = await me.post(path, body);
  return (Object.values(answer.body)[0] as { id: string }).id;
};
const policy = await made('/qos/policies', { policy: { name: 'p' } });
const ids: Record<string, string> = {
  networks: network_id,
  subnets: subnet.id,
  ports: await made('/ports', { port: { network_id } }),
  routers: await made('/routers', { router: {} }),
  subnetpools: await made('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.7.0.0/16'] } }),
  'address-scopes': await made('/address-scopes', { address_scope: { ip_version: 4 } }),
  'rbac-policies': await made('/rbac-policies', {
    // Of another network, so that what the walk looks at stays unseen by others.
    rbac_policy: {
      ...{ object_type: 'network', object_id: await newNetwork(me) },
      ...{ action: 'access_as_shared', target_tenant: '*' },
    },
  }),
  'address-groups': await made('/address-groups', { address_group: { addresses: ['10.0.0.0/8'] } }),
  qos: policy,
  'security-groups': await made('/security-groups', { security_group: { name: 'g' } }),
};

for (const [single, body] of Object.entries({
  bandwidth_limit_rule: { max_kbps: 1 },
  dscp_marking_rule: { dscp_mark: 8 },
  minimum_bandwidth_rule: { min_kbps: 1 },
})) {
  ids[single] = await made(`/qos/policies/${policy}/${single}s`, { [single]: body });
}
const idOf = (url: string): string | undefined => {
  const rule = /(?:bandwidth_limit|dscp_marking|minimum_bandwidth)_rule/.exec(url.replaceAll('-', '_'))?.[0];
  return ids[rule ?? url.split('/')[3]!];
};

const walk: Walk = {
  entries: api.entries,
  path: ({ url, method }) => ({
    // What is deleted is another one each time, so that the rest stays.
    id: method === 'DELETE' ? newId() : (idOf(url) ?? newId()),
    policy,
    type: 'bandwidth_limit',
    project: admin.projectId!,
    tag: 'x',
    alias: 'router',
  }),
  body: ({ url, method }) => {
    // Who shares it would show it to those who may not change it.
    if (url.endsWith('/address-scopes/:id')) return { address_scope: { name: 'x' } };
    if (method !== 'POST') return undefined;
    if (url.endsWith('/rbac-policies')) {
      return {
        rbac_policy: { object_type: 'network', object_id: newId(), action: 'access_as_shared', target_tenant: newId() },
      };
    }
    if (url.endsWith('/ports')) return { port: { network_id } };
    return url.endsWith('/subnets') ? { subnet: { network_id, cidr: '10.8.0.0/24', ip_version: 4 } } : undefined;
  },
  async call({ method, url, payload, as }) {
    const one = { admin: me, member, reader };
    const token = as ? one[as].token : undefined;
    const answer = await api.app.inject({
      method: method as 'GET',
      url,
      headers: {
        ...(token ? { 'x-auth-token': token } : {}),
        ...(payload ? { 'content-type': 'application/json' } : {}),
      },
      ...(payload ? { payload } : {}),
    });
    return { status: answer.statusCode, text: answer.body };
  },
};

// First: the other walk may share with everybody what it tries to change.
test('every route asks for the rights that its contract says', () => walkRights(walk));

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 500);
});

test('the document that is checked in tells what the routes do', () =>
  holdDocument('network', networkInfo, networkDialect({ authenticator: null as never, services: {} as never })));
