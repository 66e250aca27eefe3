/**
 * Where a router's gateway runs. Candidates are the hosts that are alive and have the physical network; each router has
 * its own order of them (rendezvous hashing), so gateways spread out and a host that comes or goes moves only its own.
 *
 * A dead host is taken out: of two chassis the survivor never claims the port by BFD alone (OVN 23.03). While no
 * candidate is alive (all of control has just restarted) all of them count, so that a restart moves nothing.
 */
import { createHash } from 'node:crypto';
import type { HostRow } from '../model.ts';

const maxChassis = 3;
/** How long a host may be silent before its gateways move. */
export const hostGraceMs = 20_000;

export function isAlive(host: HostRow, now: Date): boolean {
  return host.connected || (host.last_seen_at !== null && now.getTime() - host.last_seen_at.getTime() < hostGraceMs);
}

/** Host ids, best first. */
export function gatewayHosts(
  routerId: string,
  physicalNetwork: string | null,
  hosts: readonly HostRow[],
  now: Date,
): string[] {
  if (!physicalNetwork) return [];
  const candidates = hosts.filter((host) => host.physical_networks.includes(physicalNetwork));
  const alive = candidates.filter((host) => isAlive(host, now));
  const weight = (host: HostRow) => createHash('sha256').update(`${routerId} ${host.id}`).digest('hex');
  return (alive.length > 0 ? alive : candidates)
    .map((host) => ({ id: host.id, weight: weight(host) }))
    .sort((a, b) => (a.weight < b.weight ? -1 : 1))
    .slice(0, maxChassis)
    .map(({ id }) => id);
}
