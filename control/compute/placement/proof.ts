/**
 * The placement proof: everything that a host must be for a server to be there, each with whether it holds, and where it does not why and what would mend it. Placement
 * decides by the same checks, so what is placed is proven; the proof says so for one host, each by name. A pure function over a snapshot.
 */
import { moved, type PlacementGroup } from './groups.ts';
import { judge } from './place.ts';
import { meanings } from './refusals.ts';
import type { Failed, HostCapacity, PlacementRequest, Refusal } from './request.ts';
import { failedOf } from './why.ts';

export interface ProofCheck extends Partial<Omit<Failed, 'check'>> {
  check: Refusal;
  ok: boolean;
  /** For the tenant, of one that does not hold: what is the matter, without names and numbers. */
  why?: string;
  fix?: string;
  /** For administrators: what would mend it. */
  cure?: string;
}

/** @param group of the request, as it is now, with the server itself where that moves */
export function prove(request: PlacementRequest, host: HostCapacity, group?: PlacementGroup): ProofCheck[] {
  const others = group && request.moving ? moved(group, request.moving.host_id, null) : group;
  const verdict = judge(request, host, others);
  const failed = new Map(failedOf(request, { host, verdict }, others).map((one) => [one.check, one]));
  return (Object.keys(meanings) as Refusal[]).map((check) => {
    const found = failed.get(check);
    if (!found) return { check, ok: true };
    const { says, fix, change } = meanings[check];
    return { ...found, ok: false, why: `the host ${says}`, fix, cure: change(found, host.name) };
  });
}

/**
 * What must hold still when the server is handed over. Room is claimed by then; who may be where, and which host is open, was decided before; and a host that is away for
 * a moment comes back.
 */
const ofTheWay: ReadonlySet<Refusal> = new Set([
  'network_not_reached',
  'tunnel_broken',
  'volume_unopenable',
  'machine_type_unserved',
  'cpu_model_differs',
  'no_cpu_limits',
  'unable_to_migrate',
]);

/** The first that does not hold any more; undefined: all do. */
export const brokenOnTheWay = (checks: readonly ProofCheck[]): ProofCheck | undefined =>
  checks.find(({ check, ok }) => !ok && ofTheWay.has(check));
