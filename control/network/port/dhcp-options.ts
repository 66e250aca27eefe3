/**
 * Extra DHCP options of a port (Networking API v2, extension extra_dhcp_opt): which there are, what they may say, and how OVN
 * calls them. Pure.
 *
 * ovn-northd writes a value as it is into the actions of a logical flow (ovn-nb(5), DHCP_Options). So a value is read by its type and
 * written anew, and text that could end OVN's string is refused; what OVN cannot send is refused by name, never kept in silence.
 */
import { CloudError } from '../../../contract/errors.ts';
import { formatCidr, formatIp, type IpVersion, parseCidr, parseIp } from '../../kit/address.ts';
import type { DhcpOption } from './tables.ts';

/** A value as OVN reads it; undefined where it is none of that type. */
type Read = (value: string) => string | undefined;

const address =
  (version: IpVersion): Read =>
  (value) => {
    const ip = parseIp(value.trim());
    return ip?.version === version ? formatIp(version, ip.value) : undefined;
  };

/** Comma-separated, with or without braces around. */
const items = (value: string): string[] =>
  value
    .trim()
    .replace(/^\{([^{}]*)\}$/, '$1')
    .split(',')
    .map((item) => item.trim());

const listOf =
  (read: Read): Read =>
  (value) => {
    const all = items(value).map(read);
    return all.includes(undefined) ? undefined : `{${all.join(', ')}}`;
  };

/** Destination and next hop, in turn (RFC 3442). */
const routes: Read = (value) => {
  const all = items(value);
  if (all.length % 2 !== 0) return undefined;
  const read = all.map((item, index) => (index % 2 === 1 ? address(4)(item) : destination(item)));
  return read.includes(undefined) ? undefined : `{${read.join(', ')}}`;
};

function destination(text: string): string | undefined {
  const cidr = parseCidr(text);
  return cidr?.version === 4 ? formatCidr(cidr) : undefined;
}

const number =
  (bits: 8 | 16 | 32): Read =>
  (value) =>
    /^\d{1,10}$/.test(value) && Number(value) < 2 ** bits ? String(Number(value)) : undefined;

const flags: ReadonlyMap<string, string> = new Map(Object.entries({ '0': '0', false: '0', '1': '1', true: '1' }));
const flag: Read = (value) => flags.get(value.toLowerCase());

/** Printable ASCII without what ends or escapes a string there. */
const text: Read = (value) => (/^[ !#-[\]-~]{1,255}$/.test(value) ? `"${value}"` : undefined);

interface Known {
  ovn: string;
  read: Read;
}
type KnownOptions = ReadonlyMap<string, Known>;

/** By name and by number (RFC 2132, 3442, 5859 and the vendors' 249, 252; 255 stands for the packet's own field, as in Neutron). */
const known4 = options([
  ['netmask', 1, 'netmask', address(4)],
  ['router', 3, 'router', address(4)],
  ['dns-server', 6, 'dns_server', listOf(address(4))],
  ['log-server', 7, 'log_server', listOf(address(4))],
  ['lpr-server', 9, 'lpr_server', listOf(address(4))],
  ['domain-name', 15, 'domain_name', text],
  ['swap-server', 16, 'swap_server', address(4)],
  ['ip-forward-enable', 19, 'ip_forward_enable', flag],
  ['policy-filter', 21, 'policy_filter', listOf(address(4))],
  ['default-ttl', 23, 'default_ttl', number(8)],
  ['mtu', 26, 'mtu', number(16)],
  ['router-discovery', 31, 'router_discovery', flag],
  ['router-solicitation', 32, 'router_solicitation', address(4)],
  ['arp-timeout', 35, 'arp_cache_timeout', number(32)],
  ['ethernet-encap', 36, 'ethernet_encap', flag],
  ['tcp-ttl', 37, 'tcp_ttl', number(8)],
  ['tcp-keepalive', 38, 'tcp_keepalive_interval', number(32)],
  ['nis-server', 41, 'nis_server', listOf(address(4))],
  ['ntp-server', 42, 'ntp_server', listOf(address(4))],
  ['lease-time', 51, 'lease_time', number(32)],
  ['server-id', 54, 'server_id', address(4)],
  ['T1', 58, 'T1', number(32)],
  ['T2', 59, 'T2', number(32)],
  ['tftp-server', 66, 'tftp_server', text],
  ['bootfile-name', 67, 'bootfile_name', text],
  ['domain-search', 119, 'domain_search_list', text],
  ['classless-static-route', 121, 'classless_static_route', routes],
  ['tftp-server-address', 150, 'tftp_server_address', listOf(address(4))],
  ['path-prefix', 210, 'path_prefix', text],
  ['ms-classless-static-route', 249, 'ms_classless_static_route', routes],
  ['wpad', 252, 'wpad', text],
  ['server-ip-address', 255, 'next_server', address(4)],
]);
const known6 = options([
  ['dns-server', 23, 'dns_server', listOf(address(6))],
  ['domain-search', 24, 'domain_search', text],
]);

function options(all: readonly [name: string, code: number, ovn: string, read: Read][]): KnownOptions {
  return new Map(
    all.flatMap(([name, code, ovn, read]) => [
      [name, { ovn, read }],
      [String(code), { ovn, read }],
    ]),
  );
}

/** Neutron takes them, though a lease of DHCPv4 has no place for an address of IPv6: kept and shown, and not sent. */
const isKeptOnly = ({ opt_name: name, opt_value: value, ip_version: version }: DhcpOption): boolean =>
  version === 4 && (name === 'server-ip-address' || name === '255') && address(6)(value) !== undefined;

/** What OVN must know for all of this to be sent. */
export const ovnNames = (version: 4 | 6): string[] => [
  ...new Set((version === 4 ? known4 : known6).values().map(({ ovn }) => ovn)),
];

const find = ({ opt_name: name, ip_version: version }: Pick<DhcpOption, 'opt_name' | 'ip_version'>) =>
  (version === 4 ? known4 : known6).get(name);

/** Of a wish: a value of null takes the option away. */
export type DhcpOptionWish = Omit<DhcpOption, 'opt_value'> & { opt_value: string | null };

/**
 * A port's options after a wish: what it does not name stays (as in Neutron).
 * @throws CloudError `invalid`: dhcp_option_unknown, dhcp_option_malformed, dhcp_option_twice
 */
export function changedOptions(present: readonly DhcpOption[], wish: readonly DhcpOptionWish[]): DhcpOption[] {
  const key = ({ opt_name, ip_version }: DhcpOptionWish) => `${ip_version} ${opt_name}`;
  const wished = new Map<string, DhcpOptionWish>();
  for (const option of wish) {
    if (wished.has(key(option))) throw new CloudError('invalid', 'dhcp_option_twice', { name: option.opt_name });
    if (option.opt_value !== null) check(option as DhcpOption);
    wished.set(key(option), option);
  }
  const kept = present.filter((option) => !wished.has(key(option)));
  return [...kept, ...[...wished.values()].filter((option): option is DhcpOption => option.opt_value !== null)];
}

function check(option: DhcpOption): void {
  const { opt_name: name, opt_value: value, ip_version: version } = option;
  const known = find(option);
  if (isKeptOnly(option)) return;
  if (!known) throw new CloudError('invalid', 'dhcp_option_unknown', { name, version });
  if (value !== '' && known.read(value) === undefined) {
    throw new CloudError('invalid', 'dhcp_option_malformed', { name, value });
  }
}

/** What OVN shall send beside, or instead of, what the subnet says; null: not to be sent. */
export function ovnOptions(options: readonly DhcpOption[], version: 4 | 6): Record<string, string | null> {
  const chosen: Record<string, string | null> = {};
  for (const option of options) {
    const known = option.ip_version === version ? find(option) : undefined;
    // Rows of before there were types may have what is not sent.
    const value = known?.read(option.opt_value);
    if (known && (value !== undefined || option.opt_value === '')) chosen[known.ovn] = value ?? null;
  }
  return chosen;
}
