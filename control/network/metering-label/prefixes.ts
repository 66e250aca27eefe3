/**
 * What rules name, and how it is taken apart so that each packet is counted by one counter alone: what OVN can do. Pure.
 *
 * What two rules name is of two prefixes each, and prefixes are within each other or have nothing in common. So what two of them share is
 * again of two prefixes; with that added, of all that name a packet one is within all others: the one with the longest prefixes. It counts the packet,
 * and what it has counted belongs to each rule that it is within.
 */
import { type Cidr, formatCidr, type IpVersion, inCidr, parseCidr } from '../../kit/address.ts';

/** As the network behind the router sees it: ingress is what comes in by a gateway. */
export type MeteringDirection = 'ingress' | 'egress';

/** What a rule names of one direction, in canonical texts; an end that it does not name is every address of the version. */
export interface MeteredPrefixes {
  direction: MeteringDirection;
  source: string;
  destination: string;
}

/** What of a rule is about packets. */
export interface MeteringMatch {
  direction: MeteringDirection;
  remote_ip_prefix: string | null;
  source_ip_prefix: string | null;
  destination_ip_prefix: string | null;
}

/** The remote prefix is, for all its name, of the side behind the router: so Neutron's own counting has it. */
export function prefixesOf(rule: MeteringMatch): MeteredPrefixes {
  const { direction, remote_ip_prefix: remote } = rule;
  const source = direction === 'egress' ? (remote ?? rule.source_ip_prefix) : rule.source_ip_prefix;
  const destination = direction === 'ingress' ? (remote ?? rule.destination_ip_prefix) : rule.destination_ip_prefix;
  const every = (source ?? destination)!.includes(':') ? '::/0' : '0.0.0.0/0';
  return { direction, source: canonical(source ?? every), destination: canonical(destination ?? every) };
}

const canonical = (prefix: string): string => formatCidr(parseCidr(prefix)!);

/** The same, read: for who compares many. */
export interface Box {
  direction: MeteringDirection;
  source: Cidr;
  destination: Cidr;
}

export const boxOf = ({ direction, source, destination }: MeteredPrefixes): Box => ({
  direction,
  source: parseCidr(source)!,
  destination: parseCidr(destination)!,
});

const isCidrWithin = (inner: Cidr, outer: Cidr): boolean =>
  inner.prefixLength >= outer.prefixLength && inCidr(outer, { version: inner.version, value: inner.base });

/** All packets of the first are the second's too. */
export const isWithin = (a: Box, b: Box): boolean =>
  a.direction === b.direction && isCidrWithin(a.source, b.source) && isCidrWithin(a.destination, b.destination);

/** One that counts. Of those that name a packet, the one with the highest rank does. */
export interface Counter extends MeteredPrefixes {
  version: IpVersion;
  /** 0 to 256. */
  rank: number;
}

/** Each once, and what any of them share; in an order that the same ones always have. */
export function countersOf(metered: readonly MeteredPrefixes[]): Counter[] {
  const groups = Map.groupBy(metered, (one) => `${one.direction} ${one.source.includes(':')}`);
  return [...groups.values()].flatMap(closed).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Of one direction and version. */
function closed(metered: readonly MeteredPrefixes[]): Counter[] {
  const found = new Map<string, Box>();
  for (const box of metered.map(boxOf)) {
    const shared = [...found.values()].flatMap((other) => common(box, other) ?? []);
    for (const one of [box, ...shared]) found.set(boxKey(one), one);
  }
  return [...found.values()].map(({ direction, source, destination }) => ({
    ...{ direction, source: formatCidr(source), destination: formatCidr(destination), version: source.version },
    rank: source.prefixLength + destination.prefixLength,
  }));
}

const keyOf = ({ direction, source, destination }: MeteredPrefixes): string =>
  [direction, source, destination].join(' ');
const boxKey = ({ source, destination }: Box): string => `${formatCidr(source)} ${formatCidr(destination)}`;

function common(a: Box, b: Box): Box | undefined {
  const source = narrower(a.source, b.source);
  const destination = narrower(a.destination, b.destination);
  return source && destination && { direction: a.direction, source, destination };
}

function narrower(a: Cidr, b: Cidr): Cidr | undefined {
  if (isCidrWithin(a, b)) return a;
  return isCidrWithin(b, a) ? b : undefined;
}

/** Of a label: does it count what this counter counts? What no rule names it does not, nor what a rule excludes. */
export function counts(rules: readonly (Box & { excluded: boolean })[], counter: Box): boolean {
  const naming = rules.filter((rule) => isWithin(counter, rule));
  return naming.length > 0 && naming.every(({ excluded }) => !excluded);
}
