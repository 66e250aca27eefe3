import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const port = {
  noun: 'port',
  memberColumns: [
    'network_id',
    'mac',
    'admin_state_up',
    'device_id',
    'device_owner',
    'port_security_enabled',
    'allowed_address_pairs',
    'extra_dhcp_opts',
    'dns_name',
    'dns_domain',
    'binding_vnic_type',
    'qos_policy_id',
    'propagate_uplink_status',
    'observed_up',
  ],
  // Those that the cloud makes for itself count with what they belong to; a local IP counts as its port.
  usage: {
    ports: (p) => sql`select count(*) as used from port where project_id = ${p}
      and device_owner not in ('network:distributed', 'network:router_gateway', 'network:floatingip')`,
  },
  keepsProject: { except: sql`device_owner = 'network:distributed'` },
  wakes: {
    // That a port is up the northbound database has said itself.
    hosts: (look, { resource_id: id, body, observed_only }) => {
      if (!observed_only) look.port(id, body);
    },
    northbound: (touched, { resource_id: id, body, observed_only }) => {
      if (observed_only) return;
      touched.unit('port', id);
      const owner = String(body.device_owner ?? '');
      if (owner.startsWith('network:router')) touched.unit('router', body.device_id);
      else if (owner !== 'network:distributed') touched.leadingToPorts.add(id);
      else {
        touched.unit('network', body.network_id);
        touched.dhcpPortsOfNetworks.add(String(body.network_id));
      }
    },
  },
} satisfies ResourceDescriptor;

/** Named by its port's id; it does not say whose port that is. */
export const portIp: ResourceDescriptor = {
  noun: 'port_ip',
  wakes: {
    hosts: (look, { resource_id: id, body }) => look.port(id, body),
    northbound: (touched, { resource_id: id }) => {
      touched.unit('port', id);
      touched.servicePorts.add(id);
    },
  },
};

export const portSecurityGroup: ResourceDescriptor = {
  noun: 'port_security_group',
  wakes: { northbound: (touched, { resource_id: id }) => touched.unit('port', id) },
};
