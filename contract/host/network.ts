/** A network that has a server on the host: the host keeps a namespace on it, with metadata and a resolver. */
import type { Static } from 'typebox';
import type { NetworkId, PortId, ProjectId } from '../ids.ts';
import { id, list, object, optional, text } from '../schema/type.ts';
import { portLimits } from './limits.ts';
import { address, cidr, mac, mtu } from './port.ts';

/**
 * DSCP of what a guest sent and nobody may get: router advertisements. The network's projection sets it, hosts spoil what bears it. No codepoint
 * of the registry, and none that Neutron's policies can set (RFC 2474, section 6: of pool 2, for local use).
 */
export const forbiddenDscp = 63;

/** Lower-case labels of letters, digits and hyphens with dots between them; no dot at the end. */
const domainName = text(portLimits.domainLength, {
  pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$',
});

/** What the resolver of a network answers by itself. */
export const networkNames = object({
  /** The domain of the network's guests. */
  domain: domainName,
  /** Whole names; two may have the same, and an address several, of which the first is told of it. */
  /** Who has an IPv4 address alone has one below this prefix as well (DNS64, RFC 6147): its guests have no IPv4, and a router that translates. */
  dns64: optional(cidr),
  hosts: list(
    object({ name: domainName, ips: list(address, portLimits.fixedIps + portLimits.slaacIps) }),
    portLimits.networkHosts,
    {
      misfits: 'left out',
    },
  ),
});
export type NetworkNames = Static<typeof networkNames>;

export const desiredNetwork = object({
  id: id<NetworkId>(),
  /** Whose floating IPs are among the names. Absent: of an older control. */
  projectId: optional(id<ProjectId>()),
  mtu,
  /** The network's localport (same id, MAC and addresses on every host); `ips` in CIDR form, one per IPv4 subnet. */
  metadataPort: object({
    id: id<PortId>(),
    mac,
    ips: list(cidr, portLimits.metadataAddresses),
  }),
  /** Absent: of an older control. */
  names: optional(networkNames),
});
export type DesiredNetwork = Static<typeof desiredNetwork>;
