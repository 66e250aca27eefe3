/** Rules for the ports of port forwardings, as Neutron has them. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import type { PortForwardingRow } from './port-forwarding.ts';

/** Both ends belong to it. */
export interface PortRange {
  first: number;
  last: number;
}

/**
 * External ports of one floating IP, all of its forwardings together. OVN has no ranges: each port is an entry of its own in a load
 * balancer, on the router and on every network inside.
 */
const mostPorts = 4096;

const width = ({ first, last }: PortRange): number => last - first + 1;
const overlap = (a: PortRange, b: PortRange): boolean => a.first <= b.last && b.first <= a.last;
const shown = ({ first, last }: PortRange): string => `${first}:${last}`;

export const externalOf = (row: PortForwardingRow): PortRange => ({
  first: row.external_first,
  last: row.external_last,
});
export const internalOf = (row: PortForwardingRow): PortRange => ({
  first: row.internal_first,
  last: row.internal_last,
});

/**
 * May it stand beside the others? Of one floating IP no two have an external port in common, of one address inside no two an internal one.
 * @param others all of its floating IP and all of its port, itself left out
 * @throws CloudError `invalid`
 */
export function checkPorts(one: PortForwardingRow, others: readonly PortForwardingRow[]): void {
  const [external, internal] = [externalOf(one), internalOf(one)];
  if (width(internal) > 1 && width(internal) !== width(external)) {
    throw new CloudError('invalid', 'port_forwarding_ranges_differ', {});
  }
  const collision = (side: 'internal' | 'external', existing: PortRange, given: PortRange) =>
    new CloudError('invalid', 'port_forwarding_collision', { side, existing: shown(existing), given: shown(given) });
  for (const other of others) {
    if (other.protocol !== one.protocol) continue;
    const inside = other.port_id === one.port_id && other.fixed_ip === one.fixed_ip;
    if (inside && overlap(internalOf(other), internal)) throw collision('internal', internalOf(other), internal);
    const outside = other.floating_ip_id === one.floating_ip_id;
    if (outside && overlap(externalOf(other), external)) throw collision('external', externalOf(other), external);
  }
  const same = others.filter(({ floating_ip_id }) => floating_ip_id === one.floating_ip_id);
  const ports = [one, ...same].reduce((sum, each) => sum + width(externalOf(each)), 0);
  if (ports > mostPorts) throw new CloudError('invalid', 'port_forwarding_too_wide', { maximum: mostPorts });
}
