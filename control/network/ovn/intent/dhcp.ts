/**
 * DHCP_Options rows: OVN's own DHCP server answers from them on each host. One for each subnet that gives out
 * addresses: IPv4 with DHCP, IPv6 with dhcpv6-stateful or -stateless; and one for each port that has options of its own. SLAAC needs none (see router.ts for RAs).
 */
import { ovnOptions } from '../../port/dhcp-options.ts';
import { firstHost, macFor, versionOf } from '../address.ts';
import type { DesiredRow } from '../desired.ts';
import type { IndexedModel, NetworkRow, PortRow, SubnetRow } from '../model.ts';

/** Neutron's default. Addresses never change under a lease, so only the renewal traffic depends on it. */
const leaseSeconds = '43200';
const metadataAddress = '169.254.169.254/32';
/** Where the network's resolver listens on each host, beside its metadata, whatever subnets there are. */
export const resolverAddress6 = 'fe80::a9fe:a9fe';
/** A text in options of ovn-northd. Domains have nothing in them that would have to be escaped. */
const quoted = (text: string): string => `"${text}"`;

export function dhcpRows(model: IndexedModel, network: NetworkRow): DesiredRow[] {
  return model
    .subnetsOf(network.id)
    .filter(servesDhcp)
    .map((subnet) => ({
      table: 'DHCP_Options',
      key: subnet.id,
      columns: { cidr: subnet.cidr, options: optionsOf(model, network, subnet) },
    }));
}

/** Of one port, where it has options of its own: the subnet's, and those instead. */
export function portDhcpRow(model: IndexedModel, port: PortRow, subnet: SubnetRow): DesiredRow | undefined {
  const network = model.networks.get(port.network_id);
  const own = Object.entries(ovnOptions(port.extra_dhcp_opts, subnet.ip_version));
  if (!network || own.length === 0) return undefined;
  const options = optionsOf(model, network, subnet);
  for (const [name, value] of own) {
    if (value === null) delete options[name];
    else options[name] = value;
  }
  return { table: 'DHCP_Options', key: `dhcp${subnet.ip_version}`, columns: { cidr: subnet.cidr, options } };
}

const optionsOf = (model: IndexedModel, network: NetworkRow, subnet: SubnetRow): Record<string, string> =>
  subnet.ip_version === 4 ? v4(model, network, subnet) : v6(network, subnet);

export function servesDhcp(subnet: SubnetRow): boolean {
  if (!subnet.enable_dhcp) return false;
  return subnet.ip_version === 4 || subnet.ipv6_address_mode?.startsWith('dhcpv6') === true;
}

const braces = (items: readonly string[]): string => `{${items.join(', ')}}`;

function v4(model: IndexedModel, network: NetworkRow, subnet: SubnetRow): Record<string, string> {
  const metadata = model.metadataPort(network.id)?.ips.find((ip) => ip.subnet_id === subnet.id)?.ip;
  const gateway = subnet.gateway_ip;
  const own = subnet.dns_nameservers.filter((address) => versionOf(address) === 4);
  // Who names none is answered by the network's resolver, which is where metadata is.
  const dns = subnet.dns_nameservers.length > 0 || !metadata ? own : [metadata];
  const routes = [
    ...(metadata ? [`${metadataAddress},${metadata}`] : []),
    ...subnet.host_routes.map(({ destination, nexthop }) => `${destination},${nexthop}`),
    // RFC 3442: a client that gets option 121 ignores the router option, so the default route stands here too.
    ...(gateway ? [`0.0.0.0/0,${gateway}`] : []),
  ];
  return {
    server_id: gateway ?? metadata ?? firstHost(subnet.cidr),
    server_mac: macFor(subnet.id),
    lease_time: leaseSeconds,
    mtu: String(network.mtu),
    ...(gateway ? { router: gateway } : {}),
    domain_name: quoted(network.domain),
    ...(dns.length > 0 ? { dns_server: braces(dns) } : {}),
    ...(routes.length > 0 ? { classless_static_route: braces(routes) } : {}),
  };
}

function v6(network: NetworkRow, subnet: SubnetRow): Record<string, string> {
  const own = subnet.dns_nameservers.filter((address) => versionOf(address) === 6);
  const dns = subnet.dns_nameservers.length > 0 ? own : [resolverAddress6];
  return {
    server_id: macFor(subnet.id),
    domain_search: quoted(network.domain),
    ...(dns.length > 0 ? { dns_server: braces(dns) } : {}),
    ...(subnet.ipv6_address_mode === 'dhcpv6-stateless' ? { dhcpv6_stateless: 'true' } : {}),
  };
}
