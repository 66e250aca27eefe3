/** A server's interface, and the addresses that its guest is told. */
import type { Static } from 'typebox';
import type { NetworkId, PortId, SubnetId } from '../ids.ts';
import { boolean, id, integer, list, nullable, object, oneOf, optional, text } from '../schema/type.ts';
import { portLimits } from './limits.ts';

export const address = text(64, { format: 'ip' });
export const cidr = text(64, { format: 'cidr' });
export const mac = text(17, { pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' });
export const mtu = integer(portLimits.mtu.minimum, portLimits.mtu.maximum);

export const desiredFixedIp = object({
  ip: address,
  subnetId: id<SubnetId>(),
  ipVersion: oneOf(4, 6),
  prefixLength: integer(0, 128),
  gateway: nullable(address),
  dnsNameservers: list(address, portLimits.dnsNameservers),
  /** Neutron's ipv6_address_mode; null for IPv4 and for static IPv6. */
  ipv6AddressMode: nullable(oneOf('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
  /** False where the subnet has no DHCP: the guest has to be told its address. Absent (an older control): it has. */
  dhcp: optional(boolean),
  /** Routes beside the gateway's, for a guest that DHCP does not tell. */
  hostRoutes: optional(list(object({ destination: cidr, nexthop: address }), portLimits.hostRoutes)),
});
export type DesiredFixedIp = Static<typeof desiredFixedIp>;

export const desiredPort = object({
  /** Also the OVS Interface's external_ids:iface-id and the name of the logical switch port. */
  id: id<PortId>(),
  networkId: id<NetworkId>(),
  mac,
  mtu,
  /** Where in the machine: its place among the server's interfaces, which no other's coming and going changes. */
  slot: optional(integer(0, portLimits.slots - 1)),
  /** By which its guest finds it in its metadata (Nova's device tags). Absent: it has none. */
  tag: optional(text(portLimits.tagLength)),
  fixedIps: list(desiredFixedIp, portLimits.fixedIps + portLimits.slaacIps),
});
export type DesiredPort = Static<typeof desiredPort>;
