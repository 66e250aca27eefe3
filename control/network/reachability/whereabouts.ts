/**
 * Where on its network a packet is. A network of tunnels is the same on all hosts. One of physical networks has a segment on each, which its
 * hosts are on by what their external bridges carry; OVN takes a frame from host to host by such a segment alone, never by a tunnel. Pure.
 */
import type { NetworkRow } from '../ovn/model.ts';

/** Of a host: what its external bridges carry. */
export interface HostGround {
  id: string;
  physical_networks: readonly string[];
}

/** A host by its id; the fabric, that each physical network is part of; undefined: nobody knows, as of a port that no host has yet. */
export type Whereabouts = string | 'fabric' | undefined;

export type Between = 'segments_apart' | 'host_without_segment' | 'on_one_segment';

/** @returns undefined where one segment has both */
export function between(
  network: NetworkRow,
  hosts: ReadonlyMap<string, HostGround>,
  one: Whereabouts,
  other: Whereabouts,
): Between | undefined {
  const segments = [
    network.provider_physical_network,
    ...(network.further_segments ?? []).map((s) => s.physical_network),
  ];
  const physical = segments.filter((name) => name !== null);
  if (physical.length === 0 || (one !== undefined && one === other)) return undefined;
  const [from, to] = [one, other].map((place) => {
    if (place === 'fabric') return physical;
    const host = hosts.get(place ?? '');
    return host && physical.filter((name) => host.physical_networks.includes(name));
  });
  if (from?.length === 0 || to?.length === 0) return 'host_without_segment';
  // Which of several a host's guests are on nobody could tell either.
  const known = from?.length === 1 && to?.length === 1;
  if (known) return from[0] === to[0] ? undefined : 'segments_apart';
  return physical.length === 1 || one === 'fabric' || other === 'fabric' ? undefined : 'on_one_segment';
}
