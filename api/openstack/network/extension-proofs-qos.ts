/** Proofs of the extensions of QoS and of metering, for extensions.db.test.ts. Not for production use. */
import assert from 'node:assert/strict';
import { type Me, newNetwork } from './testing.ts';

// biome-ignore lint/suspicious/noExplicitAny: proofs look into answers as a client does
type Body = any;

/** @param admin writes policies; @param outside the id of an external network */
export function qosProofs(admin: Me, outside: () => string): Record<string, (me: Me) => Promise<void>> {
  const made = async (me: Me, path: string, single: string, body: object): Promise<Body> => {
    const answer = await me.post(`/${path}`, { [single]: body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body[single];
  };
  const shared = (over: object = {}) => made(admin, 'qos/policies', 'policy', { shared: true, ...over });
  const limit = (policy: string, body: object) =>
    made(admin, `qos/policies/${policy}/bandwidth_limit_rules`, 'bandwidth_limit_rule', { max_kbps: 1000, ...body });
  const minimum = (policy: string, body: object) =>
    made(admin, `qos/policies/${policy}/minimum_bandwidth_rules`, 'minimum_bandwidth_rule', {
      min_kbps: 1000,
      ...body,
    });
  /** What a port with a minimum asks for, as administrators see it. */
  const asking = async (me: Me): Promise<Body> => {
    const { id: qos_policy_id } = await shared();
    await minimum(qos_policy_id, {});
    const { id } = await made(me, 'ports', 'port', { network_id: await newNetwork(me), qos_policy_id });
    assert.equal('resource_request' in (await me.get(`/ports/${id}`)).body.port, false);
    const { resource_request: asked } = (await admin.get(`/ports/${id}`)).body.port;
    assert.deepEqual(asked.same_subtree, [asked.request_groups[0].id]);
    return asked.request_groups[0];
  };
  return {
    qos: async (me) => {
      const { id: qos_policy_id } = await shared();
      const network_id = await newNetwork(me);
      const port = await made(me, 'ports', 'port', { network_id, qos_policy_id });
      assert.equal(port.qos_policy_id, qos_policy_id);
      assert.equal((await admin.delete(`/qos/policies/${qos_policy_id}`)).status, 409);
    },
    'qos-bw-limit-direction': async () => {
      const { id } = await shared();
      const rules = [await limit(id, { direction: 'ingress' }), await limit(id, {})];
      assert.deepEqual(
        rules.map(({ direction }) => direction),
        ['ingress', 'egress'],
      );
    },
    'qos-bw-minimum-ingress': async () => {
      const { id } = await shared();
      const rule = await minimum(id, { direction: 'ingress' });
      assert.deepEqual([rule.direction, rule.min_kbps], ['ingress', 1000]);
    },
    'port-resource-request': async (me) => {
      assert.deepEqual((await asking(me)).resources, { NET_BW_EGR_KILOBIT_PER_SEC: 1000 });
    },
    'port-resource-request-groups': async (me) => {
      assert.deepEqual((await asking(me)).required, ['CUSTOM_NETWORK_TUNNEL_PROVIDER', 'CUSTOM_VNIC_TYPE_NORMAL']);
    },
    'qos-default': async (me) => {
      const project_id = (await me.get('/quotas/tenant')).body.tenant.project_id;
      const { id } = await shared({ project_id, is_default: true });
      const network = (await me.get(`/networks/${await newNetwork(me)}`)).body.network;
      assert.equal(network.qos_policy_id, id);
    },
    'qos-fip': async (me) => {
      const { id: qos_policy_id } = await shared();
      const wish = { floating_network_id: outside(), qos_policy_id };
      assert.equal((await made(me, 'floatingips', 'floatingip', wish)).qos_policy_id, qos_policy_id);
    },
    'qos-fip-network-policy': async (me) => {
      const { id: qos_policy_id } = await shared();
      await admin.put(`/networks/${outside()}`, { network: { qos_policy_id } });
      const ip = await made(me, 'floatingips', 'floatingip', { floating_network_id: outside() });
      assert.deepEqual([ip.qos_policy_id, ip.qos_network_policy_id], [null, qos_policy_id]);
    },
    'qos-gateway-ip': async (me) => {
      const { id: qos_policy_id } = await shared();
      const gateway = { network_id: outside(), qos_policy_id };
      const router = await made(me, 'routers', 'router', { external_gateway_info: gateway });
      assert.equal(router.external_gateway_info.qos_policy_id, qos_policy_id);
    },
    'qos-port-network-policy': async (me) => {
      const { id: qos_policy_id } = await shared();
      const port = await made(me, 'ports', 'port', { network_id: await newNetwork(me, { qos_policy_id }) });
      assert.deepEqual([port.qos_policy_id, port.qos_network_policy_id], [null, qos_policy_id]);
    },
    'qos-rule-type-details': async () => {
      const { rule_type } = (await admin.get('/qos/rule-types/dscp_marking')).body;
      assert.equal(rule_type.drivers[0].supported_parameters[0].parameter_name, 'dscp_mark');
    },
    'qos-rule-type-filter': async (me) => {
      for (const filter of ['all_rules', 'all_supported']) {
        const { rule_types: types } = (await me.get(`/qos/rule-types?${filter}=true`)).body;
        assert.ok(types.some(({ type }: Body) => type === 'bandwidth_limit'));
      }
    },
    metering: async () => {
      const { id: metering_label_id } = await made(admin, 'metering/metering-labels', 'metering_label', {});
      const wish = { metering_label_id, direction: 'ingress', remote_ip_prefix: '10.0.0.0/24' };
      const rule = await made(admin, 'metering/metering-label-rules', 'metering_label_rule', wish);
      assert.equal((await admin.delete(`/metering/metering-labels/${metering_label_id}`)).status, 204);
      assert.equal((await admin.get(`/metering/metering-label-rules/${rule.id}`)).status, 404);
    },
    metering_source_and_destination_fields: async () => {
      const { id: metering_label_id } = await made(admin, 'metering/metering-labels', 'metering_label', {});
      const ends = { source_ip_prefix: '10.0.0.0/24', destination_ip_prefix: '192.0.2.0/24' };
      const wish = { metering_label_id, direction: 'egress', ...ends };
      const rule = await made(admin, 'metering/metering-label-rules', 'metering_label_rule', wish);
      assert.deepEqual([rule.source_ip_prefix, rule.destination_ip_prefix], Object.values(ends));
    },
    'qos-rules-alias': async () => {
      const { id } = await limit((await shared()).id, {});
      assert.equal((await admin.delete(`/qos/alias-bandwidth-limit-rules/${id}`)).status, 204);
    },
  };
}
