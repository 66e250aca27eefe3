/** What a question about reachability is refused for (see contract/errors.ts). */
export interface ReachabilityReasons {
  reachability_too_wide: { limit: number };
  reachability_end_not_found: { end: string };
  reachability_end_ambiguous: { address: string; ports: readonly string[] };
  reachability_end_without_port: { server: string };
  reachability_versions_differ: { from: string; to: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ReachabilityReasons {}
}
