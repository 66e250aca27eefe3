/**
 * The list of extensions is true: each alias has a behaviour here that a cloud without it would not show. An alias without a proof
 * fails, and so does a proof of what is not in the list.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { gatewayProofs } from './extension-proofs-gateways.ts';
import { portProofs } from './extension-proofs-ports.ts';
import { qosProofs } from './extension-proofs-qos.ts';
import { securityProofs } from './extension-proofs-security.ts';
import { type Answer, type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
/** An external network with a subnet, and a host. */
const outside = { network: '', subnet: '' };
const host = { id: newId(), name: 'host of zone two' };

before(async () => {
  outside.network = await newNetwork(admin, { 'router:external': true, is_default: true });
  outside.subnet = (await newSubnet(admin, outside.network, '203.0.113.0/24', { enable_dhcp: false })).id;
  await sql`insert into host (id, name, availability_zone, connected, physical_networks)
    values (${host.id}, ${host.name}, 'two', true, '{physnet1}')`.execute(api.database.query);
});

// biome-ignore lint/suspicious/noExplicitAny: proofs look into answers as a client does
type Body = any;

/** The one object of an answer that must be good. */
function ok(answer: Answer): Body {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return Object.values(answer.body)[0];
}

const post = async (me: Me, path: string, single: string, body: object = {}) =>
  ok(await me.post(`/${path}`, { [single]: body }));
const put = async (me: Me, path: string, single: string, id: string, body: object) =>
  ok(await me.put(`/${path}/${id}`, { [single]: body }));
const list = async (me: Me, path: string): Promise<Body[]> => ok(await me.get(`/${path}`));

const newRouter = (me: Me, over: object = {}) => post(me, 'routers', 'router', over);
const newGroup = (me: Me, over: object = {}) => post(me, 'security-groups', 'security_group', { name: 'g', ...over });
const newPool = (me: Me, over: object = {}) =>
  post(me, 'subnetpools', 'subnetpool', { name: 'p', prefixes: ['10.0.0.0/8'], ...over });
const newPort = (me: Me, network_id: string, over: object = {}) => post(me, 'ports', 'port', { network_id, ...over });
const newRule = (me: Me, security_group_id: string, over: object) =>
  post(me, 'security-group-rules', 'security_group_rule', { security_group_id, direction: 'ingress', ...over });

/** A router between a subnet of the caller's and the outside, and a floating IP of a port there. */
async function floating(me: Me) {
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.9.0.0/24');
  const router = await newRouter(me, { external_gateway_info: { network_id: outside.network } });
  ok(await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }));
  const port = await newPort(me, network_id, { name: 'inside' });
  const ip = await post(me, 'floatingips', 'floatingip', {
    floating_network_id: outside.network,
    port_id: port.id,
  });
  return { router, port, ip };
}

/** What the caller gives another project is there for it. */
async function given(me: Me, object_type: string, path: string, id: string): Promise<void> {
  const taker = testCaller();
  const other = api.as(taker);
  assert.equal((await other.get(`/${path}/${id}`)).status, 404);
  const policy = { object_type, object_id: id, action: 'access_as_shared', target_tenant: taker.projectId };
  await post(me, 'rbac-policies', 'rbac_policy', policy);
  assert.equal((await other.get(`/${path}/${id}`)).status, 200);
}

/** One of a floating IP that is in parts, and how that is shown then. */
async function forwarding(me: Me, ports: object) {
  const { router, port, ip } = await floating(me);
  await put(me, 'floatingips', 'floatingip', ip.id, { port_id: null });
  const wish = { protocol: 'tcp', internal_port_id: port.id, ...ports };
  const made = await post(me, `floatingips/${ip.id}/port_forwardings`, 'port_forwarding', wish);
  return { made, router: router.id, shown: ok(await me.get(`/floatingips/${ip.id}`)) };
}

/** A trunk with one subport. */
async function trunked(me: Me) {
  const [parent, subport] = [await newPort(me, await newNetwork(me)), await newPort(me, await newNetwork(me))];
  const sub_ports = [{ port_id: subport.id, segmentation_type: 'vlan', segmentation_id: 7 }];
  return { subport, made: await post(me, 'trunks', 'trunk', { port_id: parent.id, sub_ports }) };
}

type Proof = (me: Me) => Promise<void>;

const proofs: Record<string, Proof> = {
  ...portProofs(admin),
  ...securityProofs(admin),
  ...gatewayProofs(api, admin),
  ...qosProofs(admin, () => outside.network),
  'address-group': async (me) => {
    const { id } = await post(me, 'address-groups', 'address_group', { addresses: ['10.0.0.0/24'] });
    const more = ok(await me.put(`/address-groups/${id}/add_addresses`, { addresses: ['10.1.0.0/24'] }));
    assert.deepEqual(more.addresses, ['10.0.0.0/24', '10.1.0.0/24']);
  },
  'address-scope': async (me) => {
    const { id } = await post(me, 'address-scopes', 'address_scope', { ip_version: 4 });
    const { id: subnetpool_id } = await newPool(me, { address_scope_id: id });
    const network_id = await newNetwork(me);
    await post(me, 'subnets', 'subnet', { network_id, ip_version: 4, prefixlen: 24, subnetpool_id });
    assert.equal(ok(await me.get(`/networks/${network_id}`)).ipv4_address_scope, id);
  },
  agent: async () => {
    const [agent] = await list(admin, `agents?host=${encodeURIComponent(host.name)}`);
    assert.deepEqual([agent.id, agent.alive, agent.availability_zone], [host.id, true, 'two']);
    await sql`insert into host_bandwidth (host_id, physical_network, egress_kbps) values (${host.id}, '', 7)`.execute(
      api.database.query,
    );
    const { configurations } = ok(await admin.get(`/agents/${host.id}`));
    assert.deepEqual(configurations.resource_provider_bandwidths, { rp_tunnelled: { egress: 7, ingress: 0 } });
    const noted = await put(admin, 'agents', 'agent', host.id, { description: '小屋', admin_state_up: true });
    assert.deepEqual([noted.description, noted.admin_state_up], ['小屋', true]);
    refused(
      await admin.put(`/agents/${host.id}`, { agent: { admin_state_up: false } }),
      400,
      'HTTPBadRequest',
      /cannot be/,
    );
    refused(await admin.put(`/agents/${newId()}`, { agent: {} }), 404, 'AgentNotFound');
    refused(await admin.delete(`/agents/${host.id}`), 409, 'HTTPConflict', /goes with it/);
    refused(await admin.delete('/agents/none'), 404, 'AgentNotFound');
  },
  'allowed-address-pairs': async (me) => {
    const pairs = [{ ip_address: '10.0.0.0/24', mac_address: '02:00:00:00:00:01' }];
    const port = await newPort(me, await newNetwork(me), { allowed_address_pairs: pairs });
    assert.deepEqual(port.allowed_address_pairs, pairs);
  },
  'auto-allocated-topology': async (me) => {
    await newPool(admin, { is_default: true });
    const { id } = ok(await me.get('/auto-allocated-topology/None'));
    assert.ok(ok(await me.get(`/networks/${id}`)).subnets.length > 0);
    assert.equal((await list(me, 'routers'))[0].external_gateway_info.network_id, outside.network);
  },
  availability_zone: async (me) => {
    const hinted = { availability_zone_hints: ['two'] };
    refused(await me.post('/networks', { network: hinted }), 400, 'HTTPBadRequest', /availability_zone_hints.*two/);
    const zones = await list(me, 'availability_zones');
    assert.ok(zones.some(({ name, resource }) => name === 'two' && resource === 'router'));
  },
  'bothy-nat64': async (me) => {
    const router = await newRouter(me, { nat64: true });
    assert.deepEqual([router.nat64, router.nat64_prefix], [true, 'fd64:ff9b:1::/96']);
    assert.deepEqual(
      (await list(me, 'routers?nat64=True')).map(({ id }) => id),
      [router.id],
    );
    const off = await put(me, 'routers', 'router', router.id, { nat64: false });
    assert.deepEqual([off.nat64, off.nat64_prefix], [false, null]);
  },
  binding: async (me) => {
    const { id } = await newPort(me, await newNetwork(me));
    const bound = await put(admin, 'ports', 'port', id, { 'binding:host_id': 'elsewhere' });
    assert.deepEqual([bound['binding:host_id'], bound['binding:vif_type']], ['elsewhere', 'ovs']);
    assert.equal('binding:host_id' in ok(await me.get(`/ports/${id}`)), false);
  },
  'default-subnetpools': async (me) => {
    const pool = await newPool(admin, { prefixes: ['2001:db8::/32'], is_default: true });
    const subnet = { network_id: await newNetwork(me), ip_version: 6, use_default_subnetpool: true };
    assert.equal((await post(me, 'subnets', 'subnet', subnet)).subnetpool_id, pool.id);
  },
  'empty-string-filtering': async (me) => {
    for (const name of ['', 'named']) await newNetwork(me, { name });
    assert.deepEqual(
      (await list(me, 'networks?name=')).map(({ name }) => name),
      [''],
    );
  },
  'ext-gw-mode': async () => {
    const gateway = { network_id: outside.network, enable_snat: false };
    const { external_gateway_info: made } = await newRouter(admin, { external_gateway_info: gateway });
    assert.equal(made.enable_snat, false);
  },
  'expose-port-forwarding-in-fip': async (me) => {
    const { shown } = await forwarding(me, { external_port: 5, internal_port: 6 });
    assert.deepEqual([shown.port_forwardings[0].external_port, shown.port_forwardings[0].internal_port], [5, 6]);
  },
  'external-net': async (me) => {
    assert.ok((await list(me, 'networks?router:external=True')).some(({ id }) => id === outside.network));
  },
  'dns-domain-ports': async (me) => {
    const network = await newNetwork(me, { dns_domain: 'huts.example.' });
    await newSubnet(me, network, '10.0.0.0/24');
    const fixed_ips = [{ ip_address: '10.0.0.9' }];
    const port = await newPort(me, network, { dns_name: 'bothy', dns_domain: 'Own.example.', fixed_ips });
    const own = { hostname: 'bothy', ip_address: '10.0.0.9', fqdn: 'bothy.own.example.' };
    assert.deepEqual([port.dns_domain, port.dns_assignment], ['own.example.', [own]]);
    const without = await put(me, 'ports', 'port', port.id, { dns_domain: '' });
    assert.deepEqual([without.dns_domain, without.dns_assignment[0].fqdn], ['', 'bothy.huts.example.']);
    assert.equal((await me.put(`/ports/${port.id}`, { port: { dns_domain: 'no.dot' } })).status, 400);
  },
  'dns-integration': async (me) => {
    const network = await newNetwork(me, { dns_domain: 'Huts.example.' });
    await newSubnet(me, network, '10.0.0.0/24');
    const port = await newPort(me, network, { dns_name: 'Bothy', fixed_ips: [{ ip_address: '10.0.0.9' }] });
    const named = { hostname: 'bothy', ip_address: '10.0.0.9', fqdn: 'bothy.huts.example.' };
    assert.deepEqual([port.dns_name, port.dns_assignment], ['bothy', [named]]);
    const unnamed = await put(me, 'ports', 'port', port.id, { dns_name: '' });
    assert.equal(unnamed.dns_assignment[0].fqdn, 'host-10-0-0-9.huts.example.');
    for (const dns_name of ['-a', 'a_b', 'a..b', 'a.1', 'ü', 'x'.repeat(64)])
      assert.equal((await me.put(`/ports/${port.id}`, { port: { dns_name } })).status, 400, dns_name);
    assert.equal((await me.put(`/networks/${network}`, { network: { dns_domain: 'no.dot' } })).status, 400);
    const ip = await post(me, 'floatingips', 'floatingip', {
      ...{ floating_network_id: outside.network, dns_name: 'door', dns_domain: 'huts.example.' },
    });
    assert.deepEqual([ip.dns_name, ip.dns_domain], ['door', 'huts.example.']);
  },
  extra_dhcp_opt: async (me) => {
    const option = { opt_name: 'mtu', opt_value: '1400', ip_version: 4 };
    const { id, extra_dhcp_opts: made } = await newPort(me, await newNetwork(me), { extra_dhcp_opts: [option] });
    assert.deepEqual(made, [option]);
    const gone = await put(me, 'ports', 'port', id, { extra_dhcp_opts: [{ ...option, opt_value: null }] });
    assert.deepEqual(gone.extra_dhcp_opts, []);
  },
  extraroute: async (me) => {
    const { router } = await floating(me);
    const routes = [{ destination: '198.51.100.0/24', nexthop: '10.9.0.9' }];
    assert.deepEqual((await put(me, 'routers', 'router', router.id, { routes })).routes, routes);
  },
  'extraroute-atomic': async (me) => {
    const { router } = await floating(me);
    const verb = async (name: string, destination: string) =>
      ok(
        await me.put(`/routers/${router.id}/${name}_extraroutes`, {
          router: { routes: [{ destination, nexthop: '10.9.0.9' }] },
        }),
      ).routes.length;
    assert.equal(await verb('add', '198.51.100.0/24'), 1);
    assert.equal(await verb('add', '192.0.2.0/24'), 2);
    assert.equal(await verb('remove', '198.51.100.0/24'), 1);
  },
  'filter-validation': async (me) =>
    refused(
      await me.get('/networks?colour=red'),
      400,
      'HTTPBadRequest',
      /'colour'\] is invalid attribute for filtering/,
    ),
  'fip-port-details': async (me) => {
    const { port, ip } = await floating(me);
    assert.deepEqual([ip.port_details.name, ip.port_details.network_id], ['inside', port.network_id]);
  },
  'floating-ip-port-forwarding': async (me) => {
    const { made, router, shown } = await forwarding(me, { external_port: 2222, internal_port: 22 });
    assert.deepEqual([made.external_port, made.internal_port, shown.router_id], [2222, 22, router]);
  },
  'floating-ip-port-forwarding-description': async (me) =>
    assert.equal(
      (await forwarding(me, { external_port: 1, internal_port: 1, description: 'd' })).made.description,
      'd',
    ),
  'floating-ip-port-forwarding-detail': async (me) => {
    const { made, shown } = await forwarding(me, { external_port: 1, internal_port: 1 });
    const [{ id, internal_port_id }] = shown.port_forwardings;
    assert.deepEqual([id, internal_port_id], [made.id, made.internal_port_id]);
  },
  'floating-ip-port-forwarding-port-ranges': async (me) => {
    const { made } = await forwarding(me, { external_port_range: '80:81', internal_port_range: '8080:8081' });
    assert.deepEqual([made.external_port_range, made.internal_port_range], ['80:81', '8080:8081']);
  },
  ip_allocation: async (me) => assert.equal((await newPort(me, await newNetwork(me))).ip_allocation, 'immediate'),
  'ip-substring-filtering': async (me) => {
    const network_id = await newNetwork(me);
    await newSubnet(me, network_id, '10.77.5.0/24');
    const port = await newPort(me, network_id);
    assert.deepEqual(
      (await list(me, 'ports?fixed_ips=ip_address_substr%3D.77.5.&device_owner=')).map(({ id }) => id),
      [port.id],
    );
  },
  flavors: async (me) => {
    const { id } = await post(admin, 'flavors', 'flavor', { name: 'f', service_type: 'L3_ROUTER_NAT' });
    const profile = await post(admin, 'service_profiles', 'service_profile', { driver: 'ovn' });
    ok(await admin.post(`/flavors/${id}/service_profiles`, { service_profile: { id: profile.id } }));
    assert.deepEqual(ok(await me.get(`/flavors/${id}`)).service_profiles, [profile.id]);
  },
  'l3-flavors': async (me) => {
    const profile = await post(admin, 'service_profiles', 'service_profile', { driver: 'ovn' });
    const flavor = { service_type: 'L3_ROUTER_NAT', service_profiles: [profile.id] };
    const { id: flavor_id } = await post(admin, 'flavors', 'flavor', flavor);
    assert.equal((await newRouter(me, { flavor_id })).flavor_id, flavor_id);
  },
  'net-mtu': async (me) => assert.ok((await post(me, 'networks', 'network')).mtu >= 1280),
  'net-mtu-writable': async (me) => {
    const id = await newNetwork(me, { mtu: 1300 });
    assert.equal((await put(me, 'networks', 'network', id, { mtu: 1400 })).mtu, 1400);
  },
  'network-ip-availability': async (me) => {
    const network_id = await newNetwork(me);
    await newSubnet(me, network_id, '10.0.0.0/29', { gateway_ip: null });
    await newPort(me, network_id);
    const use = ok(await admin.get(`/network-ip-availabilities/${network_id}`));
    assert.deepEqual([use.total_ips, use.used_ips], [6, 2], 'the metadata port has one too');
  },
  pagination: async (me) => {
    for (const name of ['a', 'b']) await newNetwork(me, { name });
    const { networks, networks_links: links } = (await me.get('/networks?limit=1&sort_key=name&router:external=False'))
      .body;
    assert.deepEqual([networks.length, links[0].rel], [1, 'next']);
    const next = (await me.get(links[0].href.slice('https://cloud.test'.length))).body.networks;
    assert.equal(next[0].name, 'b');
  },
  'multi-provider': async () => {
    const segments = [
      { 'provider:network_type': 'geneve', 'provider:physical_network': null, 'provider:segmentation_id': 5_000_001 },
      { 'provider:network_type': 'geneve', 'provider:physical_network': null, 'provider:segmentation_id': 5_000_002 },
    ];
    const { id } = await post(admin, 'networks', 'network', { segments });
    assert.deepEqual(ok(await admin.get(`/networks/${id}`)).segments, segments);
  },
  'port-security': async (me) => {
    const network_id = await newNetwork(me, { port_security_enabled: false });
    const port = await newPort(me, network_id);
    assert.deepEqual([port.port_security_enabled, port.security_groups], [false, []]);
  },
  'project-id': async (me) => {
    const { project_id, tenant_id } = await post(me, 'networks', 'network');
    assert.equal(project_id, tenant_id);
    assert.equal((await list(me, `networks?project_id=${project_id}`)).length, 1);
  },
  provider: async () => {
    const vlan = {
      'provider:network_type': 'vlan',
      'provider:physical_network': 'physnet1',
      'provider:segmentation_id': 7,
    };
    const made = await post(admin, 'networks', 'network', vlan);
    assert.deepEqual(Object.fromEntries(Object.keys(vlan).map((name) => [name, made[name]])), vlan);
  },
  segment: async (me) => {
    const network_id = await newNetwork(me);
    const made = await post(admin, 'segments', 'segment', { network_id, network_type: 'geneve', name: 's' });
    assert.deepEqual(
      new Set((await list(admin, `segments?network_id=${network_id}`)).map(({ name }) => name)),
      new Set([null, 's']),
    );
    assert.equal((await admin.delete(`/segments/${made.id}`)).status, 204);
  },
  'standard-attr-segment': async (me) => {
    const [segment] = await list(admin, `segments?network_id=${await newNetwork(me)}`);
    const changed = await put(admin, 'segments', 'segment', segment.id, { description: 'd' });
    assert.deepEqual([changed.description, changed.revision_number], ['d', segment.revision_number + 1]);
  },
  'quota-check-limit': async (me) => {
    const { project_id } = await post(me, 'networks', 'network');
    refused(
      await admin.put(`/quotas/${project_id}`, { quota: { network: 0, check_limit: true } }),
      400,
      'HTTPBadRequest',
    );
  },
  quota_details: async (me) => {
    const { project_id } = await post(me, 'networks', 'network');
    const { network } = ok(await me.get(`/quotas/${project_id}/details.json`));
    assert.deepEqual([network.used, network.reserved], [1, 0]);
  },
  quotas: async (me) => {
    const { project_id } = await post(me, 'networks', 'network');
    assert.equal(ok(await admin.put(`/quotas/${project_id}`, { quota: { network: 1 } })).network, 1);
    refused(await me.post('/networks', { network: {} }), 409, 'OverQuota');
  },
  'rbac-policies': async (me) => given(me, 'network', 'networks', await newNetwork(me)),
  'rbac-address-group': async (me) =>
    given(me, 'address_group', 'address-groups', (await post(me, 'address-groups', 'address_group')).id),
  'rbac-address-scope': async (me) =>
    given(
      me,
      'address_scope',
      'address-scopes',
      (await post(me, 'address-scopes', 'address_scope', { ip_version: 4 })).id,
    ),
  'rbac-security-groups': async (me) => given(me, 'security_group', 'security-groups', (await newGroup(me)).id),
  'rbac-subnetpool': async (me) => given(me, 'subnetpool', 'subnetpools', (await newPool(me)).id),
  'revision-if-match': async (me) => {
    const id = await newNetwork(me);
    const change = async (revision: number) =>
      (
        await api.app.inject({
          ...{ method: 'PUT', url: `/network/v2.0/networks/${id}`, payload: { network: { name: 'x' } } },
          headers: { 'x-auth-token': me.token, 'if-match': `revision_number=${revision}` },
        })
      ).statusCode;
    assert.deepEqual([await change(1), await change(1)], [200, 412]);
  },
  router: async (me) => {
    const { router, ip } = await floating(me);
    assert.deepEqual([ip.router_id, ip.status], [router.id, 'ACTIVE']);
  },
  router_availability_zone: async (me) => {
    const gateway = { external_gateway_info: { network_id: outside.network } };
    const made = await newRouter(me, { availability_zone_hints: ['two'], ...gateway });
    assert.deepEqual([made.availability_zone_hints, made.availability_zones], [['two'], ['two']]);
    refused(
      await me.post('/routers', { router: { availability_zone_hints: ['two', 'nowhere'] } }),
      404,
      'AvailabilityZoneNotFound',
      /nowhere/,
    );
  },
  'security-group': async (me) => {
    const rule = await newRule(me, (await newGroup(me)).id, {
      protocol: 'tcp',
      port_range_min: 22,
      port_range_max: 22,
    });
    assert.deepEqual([rule.protocol, rule.port_range_min], ['tcp', 22]);
  },
  'security-groups-remote-address-group': async (me) => {
    const { id } = await post(me, 'address-groups', 'address_group', { addresses: ['10.0.0.0/24'] });
    const rule = await newRule(me, (await newGroup(me)).id, { remote_address_group_id: id });
    assert.equal(rule.remote_address_group_id, id);
  },
  'security-groups-shared-filtering': async (me) => {
    const { id } = await newGroup(me);
    assert.equal((await list(me, `security-groups?shared=False&id=${id}`)).length, 1);
    assert.equal((await list(me, `security-groups?shared=True&id=${id}`)).length, 0);
  },
  'security-groups-normalized-cidr': async (me) => {
    const rule = await newRule(me, (await newGroup(me)).id, { remote_ip_prefix: '10.0.0.7/24' });
    assert.equal(rule.normalized_cidr, '10.0.0.0/24');
  },
  'service-type': async (me) =>
    assert.deepEqual(await list(me, 'service-providers'), [
      { service_type: 'L3_ROUTER_NAT', name: 'ovn', default: true },
    ]),
  sorting: async (me) => {
    for (const name of ['a', 'b']) await newNetwork(me, { name });
    const names = (await list(me, 'networks?sort_key=name&sort_dir=desc&router:external=False')).map(
      ({ name }) => name,
    );
    assert.deepEqual(names, ['b', 'a']);
  },
  'standard-attr-description': async (me) => {
    const id = await newNetwork(me, { description: 'one' });
    assert.equal((await put(me, 'networks', 'network', id, { description: 'two' })).description, 'two');
    assert.equal((await list(me, 'networks?description=two')).length, 1);
  },
  'standard-attr-revisions': async (me) => {
    const id = await newNetwork(me);
    assert.equal((await put(me, 'networks', 'network', id, { name: 'x' })).revision_number, 2);
  },
  'standard-attr-tag': async (me) => {
    const id = await newNetwork(me);
    assert.equal((await me.put(`/networks/${id}/tags/red`)).status, 201);
    assert.equal((await list(me, 'networks?tags=red')).length, 1);
  },
  'standard-attr-timestamp': async (me) => {
    const { created_at, updated_at } = await post(me, 'networks', 'network');
    for (const time of [created_at, updated_at]) assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
  },
  'stateful-security-group': async (me) => assert.equal((await newGroup(me, { stateful: false })).stateful, false),
  'tag-creation': async (me) => {
    const id = await newNetwork(me);
    for (const tag of ['red', 'blue']) ok(await me.post(`/networks/${id}/tags`, { tags: [tag] }));
    assert.deepEqual(ok(await me.get(`/networks/${id}/tags`)), ['red', 'blue']);
  },
  'tag-ports-during-bulk-creation': async (me) => {
    const network_id = await newNetwork(me);
    const ports = [['red'], ['red', '小屋'], []].map((tags) => ({ network_id, tags }));
    const made = ok(await me.post('/ports', { ports }));
    assert.deepEqual(
      made.map(({ tags }: Body) => tags),
      [['red'], ['red', '小屋'], []],
    );
    refused(await me.post('/ports', { port: { network_id, tags: ['a,b'] } }), 400, 'InvalidInput');
    refused(await me.post('/ports', { port: { network_id, tags: ['a', 'a'] } }), 400, 'HTTPBadRequest');
  },
  subnet_allocation: async (me) => {
    const { id: subnetpool_id } = await newPool(me);
    const subnet = { network_id: await newNetwork(me), ip_version: 4, prefixlen: 24, subnetpool_id };
    assert.equal((await post(me, 'subnets', 'subnet', subnet)).cidr, '10.0.0.0/24');
  },
  subnet_onboard: async (me) => {
    const network_id = await newNetwork(me);
    const { id } = await newSubnet(me, network_id, '10.5.0.0/24');
    const pool = await newPool(me, { prefixes: ['192.168.0.0/16'] });
    ok(await me.put(`/subnetpools/${pool.id}/onboard_network_subnets`, { network_id }));
    assert.equal(ok(await me.get(`/subnets/${id}`)).subnetpool_id, pool.id);
  },
  'subnetpool-prefix-ops': async (me) => {
    const { id } = await newPool(me);
    const more = ok(await me.put(`/subnetpools/${id}/add_prefixes`, { prefixes: ['192.168.0.0/16'] }));
    assert.deepEqual(more, ['10.0.0.0/8', '192.168.0.0/16']);
    const less = ok(await me.put(`/subnetpools/${id}/remove_prefixes`, { prefixes: ['10.0.0.0/8'] }));
    assert.deepEqual(less, ['192.168.0.0/16']);
  },
  'subnet-service-types': async (me) => {
    const network_id = await newNetwork(me);
    await newSubnet(me, network_id, '10.0.0.0/24', { service_types: ['compute:nova'] });
    const plain = await newSubnet(me, network_id, '10.1.0.0/24', { service_types: ['network:floatingip'] });
    const port = await newPort(me, network_id, { device_owner: 'compute:nova' });
    assert.deepEqual(port.fixed_ips.map(({ subnet_id }: Body) => subnet_id).includes(plain.id), false);
  },
  trunk: async (me) => {
    const { made, subport } = await trunked(me);
    assert.equal(made.sub_ports[0].port_id, subport.id);
  },
  'trunk-details': async (me) => {
    const { made, subport } = await trunked(me);
    const { trunk_details } = ok(await me.get(`/ports/${made.port_id}`));
    assert.deepEqual([trunk_details.trunk_id, trunk_details.sub_ports[0].mac_address], [made.id, subport.mac_address]);
  },
};

const aliases: string[] = (await list(admin, 'extensions')).map(({ alias }) => alias);

test('every extension that is listed has a proof, once, and nothing else has one', () => {
  assert.deepEqual(aliases.toSorted(), Object.keys(proofs).sort());
});

for (const [alias, proof] of Object.entries(proofs)) {
  test(`${alias} is there, and works`, async () => {
    assert.equal(ok(await admin.get(`/extensions/${alias}`)).alias, alias);
    await proof(api.as(testCaller()));
  });
}

test('what OVN here does not carry is in no list, and has no routes', async () => {
  const { id } = await newRouter(admin);
  for (const [alias, ...paths] of [['l3-conntrack-helper', `routers/${id}/conntrack_helpers`]] as const) {
    for (const path of [`extensions/${alias}`, ...paths]) assert.equal((await admin.get(`/${path}`)).status, 404, path);
  }
});

test('what is not here is refused by name, where clients of Neutron would call it', async () => {
  const { id } = await newRouter(admin);
  for (const [alias, path] of [
    ['l3-conntrack-helper', `/routers/${id}/conntrack_helpers`],
    ['l3-conntrack-helper', `/routers/${id}/conntrack_helpers/${id}`],
    ['logging', '/log/logs'],
    ['logging', `/log/logs/${id}`],
    ['logging', '/log/loggable-resources'],
    ['network-segment-range', '/network_segment_ranges'],
    ['network-segment-range', `/network-segment-ranges/${id}`],
    ['qos-pps', `/qos/policies/${id}/packet_rate_limit_rules`],
    ['qos-pps-minimum', `/qos/policies/${id}/minimum_packet_rate_rules/${id}`],
    ['qos-pps', `/qos/alias-packet-rate-limit-rules/${id}`],
    ['qos-pps-minimum', `/qos/alias_minimum_packet_rate_rules/${id}`],
  ] as const) {
    assert.ok(!aliases.includes(alias));
    for (const answer of [await admin.get(path), await admin.put(path, {}), await admin.delete(path)]) {
      refused(answer, 404, 'HTTPNotFound');
      assert.match(answer.body.NeutronError.message, new RegExp(`extension ${alias} is not available: `), path);
    }
  }
  assert.equal((await admin.get('/lots')).body.NeutronError.message, 'The resource could not be found.');
});
