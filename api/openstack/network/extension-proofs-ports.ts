/** Proofs of the extensions of ports, routers and lists, for extensions.db.test.ts. Not for production use. */
import assert from 'node:assert/strict';
import { proxied } from './ndp-proxies-testing.ts';
import { type Me, newNetwork, newSubnet, refused } from './testing.ts';

// biome-ignore lint/suspicious/noExplicitAny: proofs look into answers as a client does
type Body = any;

const external = { 'router:external': true };

/** @param admin sees agents and external subnets */
export function portProofs(admin: Me): Record<string, (me: Me) => Promise<void>> {
  const newPort = async (me: Me, over: object = {}): Promise<Body> => {
    const answer = await me.post('/ports', { port: { network_id: await newNetwork(me), ...over } });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body.port;
  };
  return {
    'agent-resources-synced': async () => {
      const { agents } = (await admin.get('/agents')).body;
      assert.deepEqual([agents.length > 0, agents[0].resources_synced], [true, null]);
    },
    'enable-default-route-ecmp': async () => {
      const answer = await admin.post('/routers', { router: { enable_default_route_ecmp: true } });
      assert.equal(answer.body.router.enable_default_route_ecmp, true);
    },
    'external-gateway-multihoming': async (me) => {
      const networks = [await newNetwork(admin, external), await newNetwork(admin, external)];
      const { id } = (await me.post('/routers', { router: {} })).body.router;
      const external_gateways = networks.map((network_id) => ({ network_id }));
      const { body } = await me.put(`/routers/${id}/add_external_gateways`, { router: { external_gateways } });
      assert.deepEqual(
        body.router.external_gateways.map((one: Body) => one.network_id),
        networks,
      );
    },
    'l3-ext-ndp-proxy': async () => {
      const { router } = await proxied(admin);
      assert.equal((await admin.get(`/routers/${router}`)).body.router.enable_ndp_proxy, true);
    },
    'l3-ndp-proxy': async () => {
      const { router, port, ip, make } = await proxied(admin);
      const { ndp_proxy } = (await make()).body;
      assert.deepEqual([ndp_proxy.router_id, ndp_proxy.port_id, ndp_proxy.ip_address], [router, port, ip]);
    },
    local_ip: async (me) => {
      const network_id = await newNetwork(me);
      await newSubnet(me, network_id, '10.0.0.0/24');
      const port = await newPort(me, { network_id });
      const { local_ip } = (await me.post('/local_ips', { local_ip: { network_id } })).body;
      const wish = { port_association: { fixed_port_id: port.id } };
      const { body } = await me.post(`/local_ips/${local_ip.id}/port_associations`, wish);
      const { fixed_ip, local_ip_address } = body.port_association;
      assert.deepEqual([fixed_ip, local_ip_address], [port.fixed_ips[0].ip_address, local_ip.local_ip_address]);
    },
    'port-mac-address-regenerate': async (me) => {
      const { id, mac_address: first } = await newPort(me, { mac_address: null });
      const { port } = (await me.put(`/ports/${id}`, { port: { mac_address: null } })).body;
      assert.match(port.mac_address, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      assert.notEqual(port.mac_address, first);
    },
    'port-security-groups-filtering': async (me) => {
      const { security_group: group } = (await me.post('/security-groups', { security_group: { name: 'g' } })).body;
      const { id } = await newPort(me, { security_groups: [group.id] });
      const { ports } = (await me.get(`/ports?security_groups=${group.id}`)).body;
      assert.deepEqual(
        ports.map((port: Body) => port.id),
        [id],
      );
    },
    'sort-key-validation': async (me) =>
      refused(await me.get('/ports?sort_key=colour'), 400, 'HTTPBadRequest', /colour/),
    'subnet-external-network': async (me) => {
      const outside = await newNetwork(admin, external);
      const [outer, inner] = [
        await newSubnet(admin, outside, '198.51.100.0/24'),
        await newSubnet(me, await newNetwork(me), '10.0.0.0/24'),
      ];
      assert.deepEqual([outer['router:external'], inner['router:external']], [true, false]);
    },
    'uplink-status-propagation': async (me) => {
      assert.equal((await newPort(me)).propagate_uplink_status, true);
      assert.equal((await newPort(me, { propagate_uplink_status: false })).propagate_uplink_status, false);
    },
    'uplink-status-propagation-updatable': async (me) => {
      const { id } = await newPort(me);
      const { port } = (await me.put(`/ports/${id}`, { port: { propagate_uplink_status: false } })).body;
      assert.equal(port.propagate_uplink_status, false);
    },
  };
}
