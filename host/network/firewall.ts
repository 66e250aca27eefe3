/**
 * The machine's own protection, as nft scripts. Pure. Each script is one transaction that leaves the table as described,
 * whatever was in it.
 *
 * Guests are separated from the machine twice. Where OVS forwards in userspace it reads devices through AF_PACKET and
 * the kernel's stack gets every frame as well, past all ACLs: a netdev-ingress drop per device keeps the stack out of it
 * (packet sockets come before the hook). And whatever does reach the stack, by the external bridge for one, may answer
 * what the machine began, and begin nothing.
 */
import { isIPv6 } from 'node:net';
import { forbiddenDscp } from '../../contract/host/index.ts';
import type { Names } from './names.ts';

export interface FirewallInput {
  names: Names;
  /** Present with uplink 'nat'. */
  nat?: {
    /** Interface of the machine's default route. */
    device: string;
    /** IPv4 range of the external network, e.g. 172.24.4.0/24. */
    source: string;
    protectedNetworks: string[];
    /** What ip_forward was before we turned it on; kept in the table, which lives exactly as long as our change does. */
    forwardingBefore: '0' | '1';
  };
}

export function machineFirewall({ names, nat }: FirewallInput): string {
  const table = `inet ${names.firewallTable}`;
  const lines = [`add table ${table}`, `delete table ${table}`, `table ${table} {`];
  if (nat) lines.push(`  comment "${forwardingStamp}${nat.forwardingBefore}";`);
  lines.push(
    '  chain input {',
    '    type filter hook input priority filter - 10; policy accept;',
    ...guestDevices(names).map((device) => `    iifname ${device} jump from_guest`),
    '  }',
    '  chain from_guest {',
    '    ct state established,related accept',
    '    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept',
    '    drop',
    '  }',
    '  chain forward {',
    // Forwarding that only we turned on serves only us.
    `    type filter hook forward priority filter - 10; policy ${nat?.forwardingBefore === '0' ? 'drop' : 'accept'};`,
    '    ct state established,related accept',
    ...guestDevices(names).map((device) => `    iifname ${device} jump guest_forward`),
    '  }',
    '  chain guest_forward {',
  );
  if (nat) {
    for (const network of nat.protectedNetworks) {
      lines.push(`    ${isIPv6(network.split('/')[0]!) ? 'ip6' : 'ip'} daddr ${network} drop`);
    }
    lines.push(`    iifname "${names.externalBridge}" oifname "${nat.device}" ip saddr ${nat.source} accept`);
  }
  lines.push('    drop', '  }');
  if (nat) {
    lines.push(
      '  chain postrouting {',
      '    type nat hook postrouting priority srcnat; policy accept;',
      `    oifname "${nat.device}" ip saddr ${nat.source} masquerade`,
      '  }',
    );
  }
  lines.push('}', '');
  return lines.join('\n');
}

const forwardingStamp = 'ip_forward was ';

/** Reads from `nft list table` what ip_forward was before us; undefined where we changed nothing. */
export function forwardingBefore(listing: string): '0' | '1' | undefined {
  const match = new RegExp(`comment "${forwardingStamp}([01])"`).exec(listing);
  return match?.[1] as '0' | '1' | undefined;
}

function guestDevices(names: Names): string[] {
  return [
    `"${names.externalBridge}"`,
    `"${names.integrationBridge}"`,
    `"${names.tag}t*"`,
    `"${names.tag}v*"`,
    `"${names.tag}w*"`,
  ];
}

/** Chains of the guard are called after their device. */
const guardChain = (device: string) => `g_${device}`;

/**
 * Keeps the kernel's stack from seeing what comes in by the devices. The chain is made anew: since Linux 6.16 one
 * survives its device, before that it goes with it.
 */
export function guard(names: Names, devices: string[]): string {
  const table = `netdev ${names.guardTable}`;
  const lines = [`add table ${table}`];
  for (const device of devices) {
    const chain = `${table} ${guardChain(device)}`;
    lines.push(
      `add chain ${chain}`,
      `delete chain ${chain}`,
      `add chain ${chain} { type filter hook ingress device "${device}" priority -500; policy drop; }`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Keeps from the devices what a guest may not say and no ACL can forbid. Caught on the way out, to a guest or a card: there the kernel sees
 * them with either datapath. Router advertisements that OVN has marked; and what no ACL knows for what it is, since Open vSwitch shows OpenFlow no
 * port and no type of a fragment: neighbour discovery in fragments, which nobody may believe (RFC 6980, 5), DHCP servers' answers in fragments (OVN's
 * own come whole), and a first fragment of IPv6 that hides what it is the first of (RFC 7112, 5). Without it the rest is nothing to anybody.
 */
export function refuseForbidden(names: Names, devices: string[]): string {
  const table = `netdev ${names.guardTable}`;
  const lines = [`add table ${table}`, ...forbiddenFragments(table)];
  for (const device of devices) {
    const chain = `${table} ${refusalChain(device)}`;
    lines.push(
      `add chain ${chain}`,
      `delete chain ${chain}`,
      `add chain ${chain} { type filter hook egress device "${device}" priority 0; policy accept; }`,
      `add rule ${chain} ip6 dscp ${forbiddenDscp} icmpv6 type nd-router-advert ip6 hoplimit set 0 ${spoil}`,
      `add rule ${chain} exthdr frag exists frag frag-off 0 jump ${fragmentChain}`,
      `add rule ${chain} ip frag-off & 0x3fff != 0 udp sport 67 udp dport 68 ${spoil}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Spoiled, not dropped: of a drop the kernel tells OVS (ENOBUFS), which then lets go of all that it was about to send with it. Nobody takes a frame
 * for no address, or believes an advertisement of another hop limit than 255 (RFC 4861, 6.1.2).
 */
const spoil = 'ether daddr set 00:00:00:00:00:00';
const fragmentChain = 'first_fragments';

/** Of IPv6. The last rule but one asks for a byte of the upper header: a header before it may be as long as the fragment. */
function forbiddenFragments(table: string): string[] {
  const chain = `${table} ${fragmentChain}`;
  return [
    `add chain ${chain}`,
    `flush chain ${chain}`,
    `add rule ${chain} icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } ${spoil} return`,
    `add rule ${chain} udp sport 547 udp dport 546 ${spoil} return`,
    `add rule ${chain} @th,0,8 0-255 return`,
    `add rule ${chain} ${spoil}`,
  ];
}
const refusalChain = (device: string) => `e_${device}`;

/** Succeeds whether or not there was such a guard. */
export function unguard(names: Names, device: string): string {
  const chains = [guardChain(device), refusalChain(device)].map((chain) => `netdev ${names.guardTable} ${chain}`);
  const lines = chains.flatMap((chain) => [`add chain ${chain}`, `delete chain ${chain}`]);
  return `add table netdev ${names.guardTable}\n${lines.join('\n')}\n`;
}

/** Devices that are guarded, out of `nft list table netdev …`. */
export function guardedDevices(listing: string): Set<string> {
  return new Set([...listing.matchAll(/hook ingress device "([^"]+)"/g)].map((match) => match[1]!));
}
