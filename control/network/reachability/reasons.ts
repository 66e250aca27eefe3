/** What a question about reachability is refused for (see contract/errors.ts). */
import type { NoFields } from '../../../contract/errors.ts';

export interface ReachabilityReasons {
  reachability_too_wide: { limit: number };
  reachability_too_many_ranges: { limit: number };
  /** As the caller gave it. */
  reachability_end_not_found: { side: 'from' | 'to'; given: string };
  reachability_end_ambiguous: { address: string; ports: readonly string[] };
  reachability_ends_foreign: NoFields;
  reachability_versions_differ: NoFields;
  reachability_protocol_unknown: { protocol: string };
  reachability_protocol_without_ports: { protocol: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ReachabilityReasons {}
}
