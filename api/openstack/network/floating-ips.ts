import { type FloatingIpRow, floatingIpListing } from '../../../control/network/floating-ip/floating-ip.ts';
import type {
  FloatingIpPatch,
  FloatingIpService,
  FloatingIpWish,
} from '../../../control/network/floating-ip/service.ts';
import { portStatus } from '../../../control/network/port/port.ts';
import { type Attributes, ip, nothing, nullable, standard, text, uuid } from './attributes.ts';
import { type Resource, standardView } from './resource.ts';

const attributes: Attributes = {
  ...standard,
  floating_network_id: { post: true, required: true, read: uuid },
  subnet_id: { post: true, read: nullable(uuid), noFilter: true },
  floating_ip_address: { to: 'floating_ip', post: true, read: nullable(ip) },
  fixed_ip_address: { to: 'fixed_ip', post: true, put: true, read: nullable(ip) },
  port_id: { post: true, put: true, read: nullable(uuid) },
  router_id: {},
  status: {},
  qos_policy_id: { post: true, put: true, read: nothing, noFilter: true },
  dns_name: { post: true, read: (value) => text(255)(value) && nothing(value), noFilter: true },
  dns_domain: { post: true, read: (value) => text(255)(value) && nothing(value), noFilter: true },
  port_details: { noFilter: true },
  tags: { noFilter: true },
};

export const floatingIps = (service: FloatingIpService): Resource<FloatingIpRow> => ({
  single: 'floatingip',
  plural: 'floatingips',
  path: 'floatingips',
  attributes,
  listing: floatingIpListing,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: async (caller, [wish]) => [await service.create(caller, wishOf(wish!) as unknown as FloatingIpWish)],
  update: (caller, id, wish) => service.update(caller, id, wishOf(wish) as FloatingIpPatch),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    ...standardView(row),
    floating_network_id: row.floating_network_id,
    floating_ip_address: row.floating_ip,
    fixed_ip_address: row.fixed_ip,
    port_id: row.port_id,
    router_id: row.router_id,
    status: row.router_id === null ? 'DOWN' : 'ACTIVE',
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

const wishOf = ({ dns_name: _, dns_domain: __, ...wish }: Record<string, unknown>) => wish;
