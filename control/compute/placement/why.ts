/**
 * Why no host takes a server, and what would help. Pure. The tenant reads the message and the fix: without names of hosts, and without
 * numbers of what they have; those are in the verdicts and the alternatives, which administrators read.
 */
import type { PlacementGroup } from './groups.ts';
import { meanings } from './refusals.ts';
import type { Alternative, Failed, Judged, Placement, PlacementRequest, Refusal } from './request.ts';

/** A decision row stays small. */
const alternativesKept = 5;

/** @param group as the verdicts saw it */
export function explain(
  request: PlacementRequest,
  judged: readonly Judged[],
  group?: PlacementGroup,
): Pick<Placement, 'message' | 'fix' | 'alternatives'> {
  if (judged.length === 0) {
    return { message: 'there is no host yet', fix: 'ask the administrators to add a host', alternatives: [] };
  }
  const alternatives = nearest(request, judged, group);
  return { message: inTheWay(request, judged), fix: alternatives[0]!.fix, alternatives };
}

/** Of each set of refusals the host that is the least away from a fit; of those the nearest few. */
function nearest(request: PlacementRequest, judged: readonly Judged[], group?: PlacementGroup): Alternative[] {
  const best = new Map<string, { one: Judged; cost: number }>();
  for (const one of judged) {
    const cost = costOf(request, one);
    const kind = one.verdict.refusals.join();
    const known = best.get(kind);
    if (!known || cost < known.cost) best.set(kind, { one, cost });
  }
  return [...best.values()]
    .sort((a, b) => a.cost - b.cost)
    .slice(0, alternativesKept)
    .map(({ one: { host, verdict } }) => {
      const failed = failedOf(request, { host, verdict }, group);
      const change = failed.map(({ check, ...told }) => meanings[check].change(told, host.name)).join(', and ');
      const fix = verdict.refusals.map((refusal) => meanings[refusal].fix).join(', and ');
      return { host_id: host.id, name: host.name, failed, change, fix };
    });
}

/** The checks that a host does not pass, with numbers. @param group as the verdict saw it */
export function failedOf(request: PlacementRequest, { host, verdict }: Judged, group?: PlacementGroup): Failed[] {
  const asked = { request, host, free: verdict.free, group };
  return verdict.refusals.map((check) => ({ check, ...meanings[check].tell(asked) }));
}

/** Of what is too large the part that is too much counts too: of two full hosts the less full one is nearer. */
function costOf(request: PlacementRequest, { host, verdict }: Judged): number {
  let cost = 0;
  for (const refusal of verdict.refusals) {
    cost += meanings[refusal].cost;
    if (refusal === 'too_few_vcpus') cost += 1 - verdict.free.vcpus / request.vcpus;
    else if (refusal === 'too_little_memory') cost += 1 - verdict.free.memory_mib / request.memory_mib;
    else if (refusal === 'too_little_disk') cost += 1 - verdict.free.disk_gib / request.disk_gib;
  }
  return cost + (host.seen_lately ? 0 : 1);
}

/** What the hosts said that were asked for; the others are in the way of nothing. */
function inTheWay(request: PlacementRequest, judged: readonly Judged[]): string {
  const asked = judged.filter(({ verdict }) => !verdict.refusals.includes('other_host_requested'));
  const zoned = asked.filter(({ verdict }) => !verdict.refusals.includes('other_zone'));
  if (request.availability_zone !== null && asked.length > 0 && zoned.length === 0)
    return `no host is in availability zone '${request.availability_zone}'`;
  const withVolumes = zoned.filter(({ verdict }) => !verdict.refusals.includes('volumes_elsewhere'));
  const relevant = [withVolumes, zoned, judged].find((some) => some.length > 0)!;
  const counts = new Map<Refusal, number>();
  for (const { verdict } of relevant) {
    for (const refusal of verdict.refusals) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([refusal, count]) => `${count === relevant.length ? 'every host' : 'a host'} ${meanings[refusal].says}`)
    .join('; ');
}

/** For administrators: what each host said, with numbers, and the ways out. */
export function inNumbers({ verdicts, alternatives }: Pick<Placement, 'verdicts' | 'alternatives'>): string {
  const number = ({ check, wanted, there, unit }: Failed) =>
    unit === undefined ? check : `${check} (wants ${wanted}, has ${there} ${unit})`;
  return [
    ...verdicts.map(({ name, failed = [] }) => `${name}: ${failed.map(number).join(', ')}`),
    ...alternatives.map(({ change }) => `would help: ${change}`),
  ].join('\n');
}
