/** What reachability assertions refuse (see contract/errors.ts); that a change would break one is the network's, which refuses it. */
export interface ReachabilityAssertionReasons {
  reachability_assertion_not_found: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ReachabilityAssertionReasons {}
}
