/**
 * Counters of metering labels: policies of the router that let pass what passes anyway. OVN takes the one with the highest priority for a packet, by its addresses
 * inside (floating IPs are already turned into their ports', and SNAT comes later), and hosts read what its logical flow counted
 * (host/network/router-flows.ts, which reads the match as it is written here). What is counted is in the key: another match is another row, whose flow counts from zero.
 *
 * What comes in by a gateway goes before what leaves by one, so that a packet that does both is counted once.
 */
import { type Counter, countersOf } from '../../metering-label/prefixes.ts';
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { PortRow, RouterRow } from '../model.ts';

/** Of the longest prefixes: 256 more. */
const priorities = { egress: 1000, ingress: 2000 } as const;

export function meteringRows(parent: RowName, router: RouterRow, gateways: readonly PortRow[]): DesiredRow[] {
  const counters = countersOf(router.metered);
  return gateways.flatMap((gateway) =>
    counters.map((counter) => ({
      table: 'Logical_Router_Policy',
      key: ['metering', counter.direction, gateway.id, counter.source, counter.destination].join('/'),
      columns: {
        priority: priorities[counter.direction] + counter.rank,
        match: meteringMatch(gateway.id, counter),
        action: 'allow',
      },
      parent: { ...parent, column: 'policies' },
    })),
  );
}

function meteringMatch(gatewayId: string, { direction, version, source, destination }: Counter): string {
  const ip = `ip${version}`;
  const ends = [
    ...(isEvery(source) ? [] : [`${ip}.src == ${source}`]),
    ...(isEvery(destination) ? [] : [`${ip}.dst == ${destination}`]),
  ];
  const port = `${direction === 'ingress' ? 'inport' : 'outport'} == "${names.routerPort(gatewayId)}"`;
  return [port, ip, ...ends].join(' && ');
}

const isEvery = (prefix: string): boolean => prefix.endsWith('/0');
