/** Which addresses a tenant may make the cloud speak to: the public ones. Pure. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** @see IANA's special-purpose address registries; a NAT64 or 6to4 address carries an IPv4 address that may be any of them. */
const private4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;
const private6 = [
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const;

const closed = new BlockList();
for (const [base, length] of private4) closed.addSubnet(base, length, 'ipv4');
for (const [base, length] of private6) closed.addSubnet(base, length, 'ipv6');

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined);

/** Ranges and single addresses. @throws where one is neither */
export function addressList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [base = '', length] = range.split('/');
    const family = familyOf(base);
    if (!family) throw new Error(`${range} is no address and no range`);
    if (length === undefined) list.addAddress(base, family);
    else list.addSubnet(base, Number(length), family);
  }
  return list;
}

export interface AddressRules {
  /** May be spoken to although they are private. */
  allowed: BlockList;
  /** The cloud's own, public ones among them. */
  own: BlockList;
}

/** An IPv4 address in IPv6's form is the IPv4 address, to these lists too. */
export function mayReach(address: string, { allowed, own }: AddressRules): boolean {
  const bare = address.split('%', 1)[0]!;
  const family = familyOf(bare);
  if (!family) return false;
  if (allowed.check(bare, family)) return true;
  return !closed.check(bare, family) && !own.check(bare, family);
}
