/** What a question about reachability is refused for (see contract/errors.ts). */
export interface ReachabilityReasons {
  reachability_too_wide: { limit: number };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ReachabilityReasons {}
}
