import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();

test('nothing of another project can be read, changed, used or deleted: it does not exist', async () => {
  const owner = api.as(testCaller());
  const other = api.as(testCaller());
  const network_id = await newNetwork(owner);
  const subnet = await newSubnet(owner, network_id, '10.0.0.0/24');
  const { port } = (await owner.post('/ports', { port: { network_id } })).body;
  const router = (await owner.post('/routers', { router: { name: oddName } })).body.router;
  const group = (await owner.get('/security-groups')).body.security_groups[0];
  const rule = group.security_group_rules[0];
  const { subnetpool } = (await owner.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'] } }))
    .body;
  const { address_group } = (await owner.post('/address-groups', { address_group: {} })).body;
  const { address_scope } = (await owner.post('/address-scopes', { address_scope: { ip_version: 4 } })).body;
  const project_id = router.project_id;
  const qos = (await api.as(testAdmin()).post('/qos/policies', { policy: { project_id } })).body.policy;
  const table: [string, string, string][] = [
    ['networks', network_id, 'NetworkNotFound'],
    ['subnets', subnet.id, 'SubnetNotFound'],
    ['ports', port.id, 'PortNotFound'],
    ['routers', router.id, 'RouterNotFound'],
    ['security-groups', group.id, 'SecurityGroupNotFound'],
    ['security-group-rules', rule.id, 'SecurityGroupRuleNotFound'],
    ['subnetpools', subnetpool.id, 'SubnetPoolNotFound'],
    ['address-groups', address_group.id, 'AddressGroupNotFound'],
    ['address-scopes', address_scope.id, 'AddressScopeNotFound'],
    ['floatingips', newId(), 'FloatingIPNotFound'],
    ['qos/policies', qos.id, 'QosPolicyNotFound'],
  ];
  for (const [path, id, type] of table) {
    refused(await other.get(`/${path}/${id}`), 404, type);
    refused(await other.delete(`/${path}/${id}`), 404, type);
    const single = path === 'qos/policies' ? 'policy' : path.slice(0, -1).replaceAll('-', '_');
    if (path !== 'security-group-rules') refused(await other.put(`/${path}/${id}`, { [single]: {} }), 404, type);
    const key = path.split('/').at(-1)!.replaceAll('-', '_');
    assert.deepEqual((await other.get(`/${path}?id=${id}`)).body, { [key]: [] }, path);
  }
  refused(await other.get(`/qos/policies/${qos.id}/bandwidth_limit_rules`), 404, 'QosPolicyNotFound');
  refused(await other.post('/networks', { network: { qos_policy_id: qos.id } }), 404, 'QosPolicyNotFound');
  refused(await other.post('/ports', { port: { network_id } }), 404, 'NetworkNotFound');
  refused(
    await other.post('/subnets', { subnet: { network_id, cidr: '10.1.0.0/24', ip_version: 4 } }),
    404,
    'NetworkNotFound',
  );
  refused(
    await other.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }),
    404,
    'RouterNotFound',
  );
  const mine = (await other.post('/routers', { router: {} })).body.router;
  refused(await other.put(`/routers/${mine.id}/add_router_interface`, { subnet_id: subnet.id }), 404, 'SubnetNotFound');
  refused(await other.put(`/routers/${mine.id}/add_router_interface`, { port_id: port.id }), 404, 'PortNotFound');
  const own = await newNetwork(other);
  refused(
    await other.post('/ports', { port: { network_id: own, security_groups: [group.id] } }),
    404,
    'SecurityGroupNotFound',
  );
});

/** What is made below a floating IP. */
function belowFloatingIp(id: string, internal_port_id: string): [string, string, object | undefined][] {
  const path = `/floatingips/${id}/port_forwardings`;
  const ports = { external_port: 1, internal_port: 1 };
  return [
    ['post', path, { port_forwarding: { protocol: 'tcp', internal_port_id, ...ports } }],
    ['put', `${path}/${newId()}`, { port_forwarding: ports }],
    ['delete', `${path}/${newId()}`, undefined],
  ];
}

/** What a project has for the asking, and what is administrators'. */
const ofProject = (projectId: string): [string, string, object | undefined][] => [
  ['delete', `/auto-allocated-topology/${projectId}`, undefined],
  ['post', '/flavors', { flavor: { service_type: 'L3_ROUTER_NAT' } }],
  ['put', `/flavors/${newId()}`, { flavor: {} }],
  ['delete', `/flavors/${newId()}`, undefined],
  ['post', `/flavors/${newId()}/service_profiles`, { service_profile: { id: newId() } }],
  ['delete', `/flavors/${newId()}/service_profiles/${newId()}`, undefined],
  ['post', '/service_profiles', { service_profile: { driver: 'ovn' } }],
  ['put', `/service_profiles/${newId()}`, { service_profile: {} }],
  ['delete', `/service_profiles/${newId()}`, undefined],
  ['post', '/default-security-group-rules', { default_security_group_rule: { direction: 'ingress' } }],
  ['delete', `/default-security-group-rules/${newId()}`, undefined],
  ['put', `/agents/${newId()}`, { agent: {} }],
  ['delete', `/agents/${newId()}`, undefined],
  ['post', '/segments', { segment: { network_id: newId(), network_type: 'geneve' } }],
  ['put', `/segments/${newId()}`, { segment: {} }],
  ['delete', `/segments/${newId()}`, undefined],
];

const ofTrunk = (id: string, port_id: string): [string, string, object | undefined][] => [
  ['post', '/trunks', { trunk: { port_id } }],
  ['put', `/trunks/${id}`, { trunk: { name: 'x' } }],
  ['put', `/trunks/${id}/add_subports`, { sub_ports: [] }],
  ['put', `/trunks/${id}/remove_subports`, { sub_ports: [] }],
  ['delete', `/trunks/${id}`, undefined],
];

/** A local IP, and what is made below it. */
function ofLocalIp(id: string, network_id: string, fixed_port_id: string): [string, string, object | undefined][] {
  const below = `/local_ips/${id}/port_associations`;
  return [
    ['post', '/local_ips', { local_ip: { network_id } }],
    ['put', `/local_ips/${id}`, { local_ip: { name: 'x' } }],
    ['post', below, { port_association: { fixed_port_id } }],
    ['delete', `${below}/${fixed_port_id}`, undefined],
    ['delete', `/local_ips/${id}`, undefined],
  ];
}

const ofNdpProxy = (router_id: string, port_id: string): [string, string, object | undefined][] => [
  ['post', '/ndp_proxies', { ndp_proxy: { router_id, port_id } }],
  ['put', `/ndp_proxies/${newId()}`, { ndp_proxy: {} }],
  ['delete', `/ndp_proxies/${newId()}`, undefined],
];

/** A label of the project's with a rule, which only administrators make. */
async function ofLabel(project_id: string): Promise<[string, string, object | undefined][]> {
  const admin = api.as(testAdmin());
  const [labels, rules] = ['/metering/metering-labels', '/metering/metering-label-rules'];
  const { metering_label: label } = (await admin.post(labels, { metering_label: { project_id } })).body;
  const wish = { metering_label_id: label.id, direction: 'ingress', remote_ip_prefix: '10.0.0.0/24' };
  const { metering_label_rule: rule } = (await admin.post(rules, { metering_label_rule: wish })).body;
  return [
    ['post', labels, { metering_label: {} }],
    ['post', rules, { metering_label_rule: wish }],
    ['delete', `${rules}/${rule.id}`, undefined],
    ['delete', `${labels}/${label.id}`, undefined],
  ];
}

test('a caller who may only read can write nothing', async () => {
  const project = testCaller();
  const [me, reader] = [api.as(project), api.as(testCaller(['reader'], project.projectId!))];
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const { port } = (await me.post('/ports', { port: { network_id } })).body;
  const router = (await me.post('/routers', { router: {} })).body.router;
  const group = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const pool = (await me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'] } })).body.subnetpool;
  const scope = (await me.post('/address-scopes', { address_scope: { ip_version: 4 } })).body.address_scope;
  const { trunk } = (await me.post('/trunks', { trunk: { port_id: port.id } })).body;
  const localIp = (await me.post('/local_ips', { local_ip: { network_id } })).body.local_ip;
  const addresses = (await me.post('/address-groups', { address_group: {} })).body.address_group;
  const target = testCaller();
  await api.as(target).get('/networks');
  const policy = {
    ...{ object_type: 'network', object_id: network_id },
    ...{ action: 'access_as_shared', target_tenant: target.projectId },
  };
  const rbac = (await me.post('/rbac-policies', { rbac_policy: policy })).body.rbac_policy;
  const admin = api.as(testAdmin());
  const external = await newNetwork(admin, { 'router:external': true });
  await newSubnet(admin, external, '203.0.113.0/24', { enable_dhcp: false });
  const { floatingip } = (await me.post('/floatingips', { floatingip: { floating_network_id: external } })).body;
  const qosOf = { policy: { project_id: project.projectId } };
  const qos = (await admin.post('/qos/policies', qosOf)).body.policy;
  const qosRules = Object.entries({
    bandwidth_limit_rule: { max_kbps: 1000 },
    dscp_marking_rule: { dscp_mark: 10 },
    minimum_bandwidth_rule: { min_kbps: 10 },
  });
  const qosWrites: typeof writes = [];
  for (const [single, body] of qosRules) {
    const path = `/qos/policies/${qos.id}/${single}s`;
    const { id } = (await admin.post(path, { [single]: body })).body[single];
    const alias = { [`alias_${single}`]: body };
    qosWrites.push(['post', path, { [single]: body }]);
    for (const [of, payload] of [
      [path, { [single]: body }],
      [`/qos/alias_${single}s`, alias],
      [`/qos/alias-${single.replaceAll('_', '-')}s`, alias],
    ] as const) {
      qosWrites.push(['put', `${of}/${id}`, payload], ['delete', `${of}/${id}`, undefined]);
    }
  }
  assert.equal((await reader.get(`/ports/${port.id}`)).status, 200);
  const writes: [string, string, object | undefined][] = [
    ...qosWrites,
    ['post', '/flavors', { flavor: { name: 'f', service_type: 'L3_ROUTER_NAT' } }],
    ['put', `/flavors/${newId()}`, { flavor: {} }],
    ['delete', `/flavors/${newId()}`, undefined],
    ['post', `/flavors/${newId()}/service_profiles`, { service_profile: { id: newId() } }],
    ['delete', `/flavors/${newId()}/service_profiles/${newId()}`, undefined],
    ['post', '/service_profiles', { service_profile: { metainfo: 'x' } }],
    ['put', `/service_profiles/${newId()}`, { service_profile: {} }],
    ['delete', `/service_profiles/${newId()}`, undefined],
    ['post', '/default-security-group-rules', { default_security_group_rule: { direction: 'ingress' } }],
    ['delete', `/default-security-group-rules/${newId()}`, undefined],
    ['delete', `/auto-allocated-topology/${project.projectId}`, undefined],
    ['put', `/agents/${newId()}`, { agent: {} }],
    ['delete', `/agents/${newId()}`, undefined],
    ['post', '/qos/policies', { policy: {} }],
    ['post', `/qos/policies/${qos.id}/packet_rate_limit_rules`, {}],
    ['post', `/qos/policies/${qos.id}/minimum_packet_rate_rules`, {}],
    ['put', `/qos/policies/${qos.id}`, { policy: {} }],
    ['delete', `/qos/policies/${qos.id}`, undefined],
    ['post', '/networks', { network: {} }],
    ['put', `/networks/${network_id}`, { network: { name: 'x' } }],
    ['delete', `/networks/${network_id}`, undefined],
    ['post', '/subnets', { subnet: { network_id, cidr: '10.1.0.0/24', ip_version: 4 } }],
    ['put', `/subnets/${subnet.id}`, { subnet: { name: 'x' } }],
    ['delete', `/subnets/${subnet.id}`, undefined],
    ['post', '/ports', { port: { network_id } }],
    ['put', `/ports/${port.id}`, { port: { name: 'x' } }],
    ['delete', `/ports/${port.id}`, undefined],
    ['post', '/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'] } }],
    ['put', `/subnetpools/${pool.id}`, { subnetpool: { name: 'x' } }],
    ['put', `/subnetpools/${pool.id}/add_prefixes`, { prefixes: ['10.0.0.0/8'] }],
    ['put', `/subnetpools/${pool.id}/remove_prefixes`, { prefixes: ['10.0.0.0/8'] }],
    ['put', `/subnetpools/${pool.id}/onboard_network_subnets`, { network_id }],
    ['delete', `/subnetpools/${pool.id}`, undefined],
    ['post', '/address-groups', { address_group: {} }],
    ['put', `/address-groups/${addresses.id}`, { address_group: {} }],
    ['put', `/address-groups/${addresses.id}/add_addresses`, { addresses: [] }],
    ['put', `/address-groups/${addresses.id}/remove_addresses`, { addresses: [] }],
    ['delete', `/address-groups/${addresses.id}`, undefined],
    ['post', '/rbac-policies', { rbac_policy: policy }],
    ['put', `/rbac-policies/${rbac.id}`, { rbac_policy: {} }],
    ['delete', `/rbac-policies/${rbac.id}`, undefined],
    ['post', '/address-scopes', { address_scope: { ip_version: 4 } }],
    ['put', `/address-scopes/${scope.id}`, { address_scope: { name: 'x' } }],
    ['delete', `/address-scopes/${scope.id}`, undefined],
    ['post', '/routers', { router: {} }],
    ['put', `/routers/${router.id}`, { router: { name: 'x' } }],
    ['put', `/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }],
    ['put', `/routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id }],
    ...['add', 'update', 'remove'].map((verb): (typeof writes)[number] => [
      ...(['put', `/routers/${router.id}/${verb}_external_gateways`] as const),
      { router: { external_gateways: [] } },
    ]),
    ['put', `/routers/${router.id}/add_extraroutes`, { router: { routes: [] } }],
    ['delete', `/routers/${router.id}`, undefined],
    ['post', '/floatingips', { floatingip: { floating_network_id: network_id } }],
    ['post', '/security-groups', { security_group: { name: 'x' } }],
    ['put', `/security-groups/${group.id}`, { security_group: { name: 'x' } }],
    ['delete', `/security-groups/${group.id}`, undefined],
    ['post', '/security-group-rules', { security_group_rule: { security_group_id: group.id, direction: 'ingress' } }],
    ['delete', `/security-group-rules/${group.security_group_rules[0].id}`, undefined],
    ['put', `/routers/${router.id}/remove_extraroutes`, { router: { routes: [] } }],
    ...Object.entries({
      networks: network_id,
      subnets: subnet.id,
      ports: port.id,
      routers: router.id,
      'security-groups': group.id,
      floatingips: floatingip.id,
      subnetpools: pool.id,
      'address-groups': addresses.id,
      'qos/policies': qos.id,
      policies: qos.id,
      trunks: trunk.id,
      local_ips: localIp.id,
    }).flatMap(([path, id]): [string, string, object | undefined][] => [
      ['put', `/${path}/${id}/tags`, { tags: ['x'] }],
      ['post', `/${path}/${id}/tags`, { tags: ['x'] }],
      ['put', `/${path}/${id}/tags/x`, undefined],
      ['delete', `/${path}/${id}/tags/x`, undefined],
      ['delete', `/${path}/${id}/tags`, undefined],
    ]),
    ['put', `/floatingips/${floatingip.id}`, { floatingip: { description: 'x' } }],
    ['delete', `/floatingips/${floatingip.id}`, undefined],
    ...belowFloatingIp(floatingip.id, port.id),
    ...ofProject(project.projectId!),
    ...ofTrunk(trunk.id, port.id),
    ...ofLocalIp(localIp.id, network_id, port.id),
    ...ofNdpProxy(router.id, port.id),
    ...(await ofLabel(project.projectId!)),
    ['put', `/quotas/${project.projectId}`, { quota: { port: 1 } }],
    ['delete', `/quotas/${project.projectId}`, undefined],
  ];
  for (const [method, path, body] of writes) {
    const answer = await reader[method as 'put'](path, body);
    refused(answer, 403, 'PolicyNotAuthorized');
  }
  const seen = new Set(
    writes.map(([method, path]) => `${method} ${path.replace(/[0-9a-f-]{36}/g, '*').replace(/x$/, '*')}`),
  );
  const missing = api.routes
    .filter(({ method }) => ['POST', 'PUT', 'DELETE'].includes(method))
    .map(({ method, url }) => `${method.toLowerCase()} ${url.slice('/network/v2.0'.length).replace(/:\w+/g, '*')}`)
    .filter((route) => !seen.has(route));
  assert.deepEqual(missing, [], 'every route that writes is in the table');
  const { rows } = await sql`select from port where network_id = ${network_id}`.execute(api.database.query);
  // Its own, the metadata service's, the local IP's.
  assert.equal(rows.length, 3);
});

test('without a token every route is closed but the version documents', async () => {
  const open: string[] = [];
  for (const { method, url } of api.routes) {
    const answer = await api.app.inject({ method: method as 'GET', url: url.replaceAll(/:\w+/g, newId()) });
    if (answer.statusCode !== 401) open.push(`${method} ${url}`);
    else assert.equal(answer.json().NeutronError.type, 'HTTPUnauthorized');
  }
  assert.deepEqual(open, ['GET /network', 'GET /network/v2.0']);
});
