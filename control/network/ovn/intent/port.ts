/** A port: its logical switch port, with anti-spoofing, DHCP and membership in port groups. */
import { localIpOwner } from '../../port/local-ip-port.ts';
import { eui64 } from '../address.ts';
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { IndexedModel, PortRow } from '../model.ts';
import { dropUnit, unit } from '../units.ts';
import { advertisementMark } from './advertisement.ts';
import { portDhcpRow, servesDhcp } from './dhcp.ts';
import { portQosRows } from './qos.ts';

export function portRows(model: IndexedModel, id: string): DesiredRow[] {
  const port = model.ports.get(id);
  // A floating IP is a rule of its router (nat.ts), a local IP one of its network (local-ip.ts): their ports only reserve the address.
  if (!port || port.device_owner === 'network:floatingip' || port.device_owner === localIpOwner) return [];
  const dhcp4 = dhcp(model, port, 4);
  const dhcp6 = dhcp(model, port, 6);
  const row: DesiredRow = {
    table: 'Logical_Switch_Port',
    key: 'port',
    columns: columns(model, port),
    labels: { 'bothy:name': port.name },
    parent: { table: 'Logical_Switch', owner: unit('network', port.network_id), key: 'switch', column: 'ports' },
    references: { dhcpv4_options: dhcp4.reference, dhcpv6_options: dhcp6.reference },
    groups: isFiltered(port) ? groups(port) : [],
  };
  const marks = isFiltered(port) ? [advertisementMark(port)] : [];
  return [...dhcp4.rows, ...dhcp6.rows, row, ...marks, ...portQosRows(port)];
}

const isRouterPort = (port: PortRow): boolean => port.device_owner.startsWith('network:router');
/** The cloud's own ports are trusted: no guest can send through them. */
const isGuestPort = (port: PortRow): boolean => !port.device_owner.startsWith('network:');
const isFiltered = (port: PortRow): boolean => isGuestPort(port) && port.port_security_enabled;

function columns(model: IndexedModel, port: PortRow): DesiredRow['columns'] {
  // A network that is down carries nothing: none of its ports does, its routers' included.
  const up = port.admin_state_up && model.networks.get(port.network_id)?.admin_state_up !== false;
  const common = { name: port.id, enabled: up };
  if (isRouterPort(port)) {
    const options: Record<string, string> = { 'router-port': names.routerPort(port.id) };
    // Announces the router's own address and those of its NAT rules and port forwardings when the gateway moves to another host.
    if (port.device_owner === 'network:router_gateway') options['nat-addresses'] = 'router';
    return { ...common, type: 'router', addresses: ['router'], port_security: [], options };
  }
  const own = addresses(model, port);
  if (!isGuestPort(port)) {
    const type = port.device_owner === 'network:distributed' ? 'localport' : '';
    return { ...common, type, addresses: [own], port_security: [], options: {} };
  }
  const options: Record<string, string> = {
    ...chassis(port),
    ...hostName(port.dns_name),
  };
  const security = port.port_security_enabled ? portSecurity(port, own) : [];
  const others = security.map((entry) => entry.split(' ')[0]!).filter((mac) => mac !== port.mac);
  // 'unknown' lets a port that is not secured receive frames for MACs that the cloud doesn't know. And OVN does not answer ARP for a port that
  // has it: for the address of a local IP the network's router does (local-ip.ts).
  const unknown = !port.port_security_enabled || port.has_local_ip;
  const known = [own, ...(port.port_security_enabled ? others : []), ...(unknown ? ['unknown'] : [])];
  const { parent, tag } = port.carried ?? { parent: null, tag: null };
  return { ...common, type: '', parent_name: parent, tag, addresses: known, port_security: security, options };
}

/**
 * With the chassis named, no other host can claim the port, by mistake or malice. While its guest goes live to another host both are: what is sent to it comes to
 * both, and what the second one sends counts from the first RARP on with which QEMU announces the guest there. Else nobody would hear it before the
 * hosts, control, ovn-northd and every ovn-controller have passed on where it is.
 */
function chassis({ host_id, migrating_to }: PortRow): Record<string, string> {
  if (!host_id) return {};
  if (!migrating_to || migrating_to === host_id) return { 'requested-chassis': host_id };
  return { 'requested-chassis': `${host_id},${migrating_to}`, 'activation-strategy': 'rarp' };
}

/**
 * What DHCPv4 tells a guest to call itself (option 12): the first label, for the domain is told beside it. In quotes: without them ovn-controller
 * 23.03 cannot read the flow, and the port gets no answer at all. Its DHCPv6 has no option for it.
 */
function hostName(name: string): { hostname?: string } {
  // It becomes part of a logical flow as it is: nothing that could end the string may be in it.
  const label = name.split('.', 1)[0]!;
  return /^[a-z0-9-]{1,63}$/i.test(label) ? { hostname: `"${label}"` } : {};
}

/** MAC, then addresses. A SLAAC address is what the guest makes of its MAC; left out, anti-spoofing would drop it. */
function addresses(model: IndexedModel, port: PortRow): string {
  const ips = new Set(port.ips.map(({ ip }) => ip));
  for (const { subnet_id } of port.ips) {
    const subnet = model.subnets.get(subnet_id);
    const mode = subnet?.ipv6_address_mode;
    if (subnet && (mode === 'slaac' || mode === 'dhcpv6-stateless')) ips.add(eui64(subnet.cidr, port.mac));
  }
  return [port.mac, ...ips].join(' ');
}

/** One entry for each MAC that the port may send from, with the addresses allowed for it. */
function portSecurity(port: PortRow, own: string): string[] {
  const entries = new Map([[port.mac, own]]);
  for (const { ip_address, mac_address } of port.allowed_address_pairs) {
    const mac = (mac_address || port.mac).toLowerCase();
    entries.set(mac, `${entries.get(mac) ?? mac} ${ip_address}`);
  }
  return [...entries.values()];
}

/** The row that its DHCP answers come from: its network's, or one of its own. */
function dhcp(model: IndexedModel, port: PortRow, version: 4 | 6): { reference: RowName | null; rows: DesiredRow[] } {
  if (!isGuestPort(port)) return { reference: null, rows: [] };
  const subnets = port.ips
    .map(({ subnet_id }) => model.subnets.get(subnet_id))
    .filter((subnet) => subnet !== undefined)
    .filter((subnet) => subnet.ip_version === version && servesDhcp(subnet));
  // OVN takes one row per version: a subnet that gives out addresses goes before one that only gives options.
  const subnet = subnets.find(({ ipv6_address_mode }) => ipv6_address_mode !== 'dhcpv6-stateless') ?? subnets[0];
  if (!subnet) return { reference: null, rows: [] };
  const own = portDhcpRow(model, port, subnet);
  const [owner, key] = own ? [unit('port', port.id), own.key] : [unit('network', port.network_id), subnet.id];
  return { reference: { table: 'DHCP_Options', owner, key }, rows: own ? [own] : [] };
}

function groups(port: PortRow): (RowName & { name: string })[] {
  return [
    { table: 'Port_Group', owner: dropUnit, key: 'group', name: names.dropGroup },
    ...port.security_group_ids.map((id) => ({
      table: 'Port_Group',
      owner: unit('security_group', id),
      key: 'group',
      name: names.portGroup(id),
    })),
  ];
}
