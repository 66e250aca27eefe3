/** Why no host takes a server, in words, and what would help. Pure. */
import type { HostVerdict, Judged, PlacementRequest, Refusal } from './request.ts';

const size: ReadonlySet<Refusal> = new Set([
  'too_few_vcpus',
  'too_little_memory',
  'too_little_disk',
  'too_little_bandwidth',
]);

const words: Readonly<Record<Refusal, string>> = {
  other_host_requested: 'is not the requested host',
  excluded: 'is left out by who asks',
  volumes_elsewhere: 'does not have the volumes of the server',
  volumes_refused: 'has no pool that takes the volumes of the server',
  other_zone: 'is in another availability zone',
  disabled: 'is closed for new servers',
  forced_down: 'is down by an administrator’s word',
  disconnected: 'is not connected',
  too_few_vcpus: 'has too few vCPUs free',
  too_little_memory: 'has too little memory free',
  too_little_disk: 'has too little disk free',
  too_little_bandwidth: 'has too little bandwidth left to promise',
  network_not_reached: 'does not reach one segment of each of the ports’ networks, with addresses left',
  machine_type_unserved: 'does not have the machine type',
  cpu_model_differs: 'has another model of processor for guests',
  no_cpu_limits: 'can not limit processor time',
  apart_from_group: 'has none of the server group’s servers',
  too_many_of_group: 'has as many of the server group’s servers as may be on one',
};

/** What each refusal's end would look like, from the tenant's side. */
const cures: Readonly<Record<Refusal, string>> = {
  other_host_requested: 'do not ask for a certain host',
  excluded: 'let the host that was left out be used',
  volumes_elsewhere: 'use volumes that are where there is room for the server',
  volumes_refused: 'use smaller volumes or another volume type',
  other_zone: 'do not ask for a certain availability zone, or ask for another',
  disabled: 'ask the administrators to open a host',
  forced_down: 'ask the administrators to take back that a host is down',
  disconnected: 'try again when the hosts are back',
  too_few_vcpus: 'use a flavor with fewer vCPUs or delete a server',
  too_little_memory: 'use a flavor with less memory or delete a server',
  too_little_disk: 'use a flavor with a smaller disk or delete a server',
  too_little_bandwidth: 'use ports with a lower minimum bandwidth or delete a server that has one',
  network_not_reached: 'use networks that more hosts reach',
  machine_type_unserved: 'use an image that asks for a machine type that more hosts have',
  cpu_model_differs: 'ask the administrators for a host whose guests have the same model of processor',
  no_cpu_limits: 'use a flavor without limits of processor time',
  apart_from_group: 'use a server group with the policy soft-affinity',
  too_many_of_group: 'use a server group with the policy soft-anti-affinity or delete one of its servers',
};

/**
 * For the tenant, so without names and numbers of hosts: those are in the verdicts, which administrators read.
 * The nearest fix: the set of refusals that the fewest conditions away from a fit; that host counts for all.
 */
export function explain(request: PlacementRequest, judged: readonly Judged[]): { message: string; fix: string } {
  if (judged.length === 0) return { message: 'there is no host yet', fix: 'ask the administrators to add a host' };
  const asked = judged.filter(({ verdict }) => !verdict.refusals.includes('other_host_requested'));
  const zoned = asked.filter(({ verdict }) => !verdict.refusals.includes('other_zone'));
  if (request.availability_zone !== null && asked.length > 0 && zoned.length === 0) {
    return { message: `no host is in availability zone '${request.availability_zone}'`, fix: cures.other_zone };
  }
  const withVolumes = zoned.filter(({ verdict }) => !verdict.refusals.includes('volumes_elsewhere'));
  const relevant = [withVolumes, zoned, judged].find((some) => some.length > 0)!;
  const counts = new Map<Refusal, number>();
  for (const { verdict } of relevant) {
    for (const refusal of verdict.refusals) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  const total = relevant.length;
  const parts = [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([refusal, count]) => `${count === total ? 'every host' : 'a host'} ${words[refusal]}`);
  const nearest = relevant.toSorted((a, b) => distance(a.verdict) - distance(b.verdict))[0]!.verdict.refusals;
  return { message: parts.join('; '), fix: nearest.map((refusal) => cures[refusal]).join(', and ') };
}

/** What the caller can change alone (a smaller flavor) is nearer than what others must do. */
const distance = (verdict: HostVerdict): number =>
  verdict.refusals.reduce((sum, refusal) => sum + (size.has(refusal) ? 1 : 10), 0);
