/** Server groups as placement sees them: where their servers are. Pure. */
import type { ServerGroupPolicy } from '../server-group/index.ts';

export interface PlacementGroup {
  policy: ServerGroupPolicy;
  /** Of `anti-affinity`. */
  max_servers_per_host: number;
  /** How many of its servers each host has; those without any are not in it. */
  hosts: ReadonlyMap<string, number>;
}

/** The same group after one of its servers went from one host (null: none) to another. */
export function moved(group: PlacementGroup, from: string | null, to: string | null): PlacementGroup {
  const hosts = new Map(group.hosts);
  const left = from === null ? 0 : (hosts.get(from) ?? 0) - 1;
  if (from !== null && left > 0) hosts.set(from, left);
  else if (from !== null) hosts.delete(from);
  if (to !== null) hosts.set(to, (hosts.get(to) ?? 0) + 1);
  return { ...group, hosts };
}
