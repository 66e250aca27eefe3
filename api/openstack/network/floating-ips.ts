import { type FloatingIpRow, floatingIpListing } from '../../../control/network/floating-ip/floating-ip.ts';
import type {
  FloatingIpPatch,
  FloatingIpService,
  FloatingIpWish,
} from '../../../control/network/floating-ip/service.ts';
import { portStatus } from '../../../control/network/port/port.ts';
import * as a from './answers.ts';
import { type Attributes, ip, nullable, standard, uuid } from './attributes.ts';
import { dnsDomain, dnsName } from './dns-names.ts';
import { singlePort } from './port-forwardings.ts';
import { type Resource, standardView } from './resource.ts';

const attributes: Attributes = {
  ...standard,
  floating_network_id: { post: true, required: true, read: uuid, show: a.id },
  subnet_id: { post: true, read: nullable(uuid), noFilter: true },
  floating_ip_address: { to: 'floating_ip', post: true, read: nullable(ip), show: a.text },
  fixed_ip_address: { to: 'fixed_ip', post: true, put: true, read: nullable(ip), show: a.orNull(a.text) },
  port_id: { post: true, put: true, read: nullable(uuid), show: a.orNull(a.id) },
  router_id: { show: a.orNull(a.id) },
  status: { show: a.text },
  qos_policy_id: { post: true, put: true, read: nullable(uuid), show: a.orNull(a.id) },
  qos_network_policy_id: { noFilter: true, show: a.orNull(a.id) },
  dns_name: { post: true, read: dnsName, noFilter: true, show: a.text },
  dns_domain: { post: true, read: dnsDomain, noFilter: true, show: a.text },
  port_details: {
    noFilter: true,
    show: a.orNull(
      a.record({
        name: a.text,
        network_id: a.id,
        mac_address: a.text,
        admin_state_up: a.boolean,
        status: a.text,
        device_id: a.text,
        device_owner: a.text,
      }),
    ),
  },
  port_forwardings: {
    noFilter: true,
    show: a.list({
      id: a.id,
      protocol: a.text,
      internal_port_id: a.id,
      internal_ip_address: a.text,
      internal_port: a.orNull(a.integer),
      external_port: a.orNull(a.integer),
    }),
  },
  tags: { noFilter: true, show: a.texts },
};

export const floatingIps = (service: FloatingIpService): Resource<FloatingIpRow> => ({
  single: 'floatingip',
  plural: 'floatingips',
  path: 'floatingips',
  attributes,
  listing: floatingIpListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.createAll(caller, wishes as unknown as FloatingIpWish[]),
  // Once the port was all that could be changed, so that nothing at all took it away. Neutron has kept that.
  update: (caller, id, wish) => {
    const nothing = Object.keys(wish).length === 0;
    return service.update(caller, id, nothing ? { port_id: null } : (wish as FloatingIpPatch));
  },
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    ...standardView(row),
    floating_network_id: row.floating_network_id,
    floating_ip_address: row.floating_ip,
    fixed_ip_address: row.fixed_ip,
    port_id: row.port_id,
    router_id: row.router_id,
    dns_name: row.dns_name,
    dns_domain: row.dns_domain,
    status: row.router_id === null ? 'DOWN' : 'ACTIVE',
    port_forwardings: row.port_forwardings.map((one) => ({
      id: one.id,
      protocol: one.protocol,
      internal_port_id: one.port_id,
      internal_ip_address: one.fixed_ip,
      internal_port: singlePort(one.internal_first, one.internal_last),
      external_port: singlePort(one.external_first, one.external_last),
    })),
    qos_policy_id: row.qos_policy_id,
    qos_network_policy_id: row.qos_network_policy_id,
    port_details: row.port_details && {
      name: row.port_details.name,
      network_id: row.port_details.network_id,
      mac_address: row.port_details.mac_address,
      admin_state_up: row.port_details.admin_state_up,
      status: portStatus(row.port_details),
      device_id: row.port_details.device_id,
      device_owner: row.port_details.device_owner,
    },
  }),
});
