/** What must or must never be reached: what the rest of the cloud asks of it. */
export { decideUndecided } from './decide.ts';
export { type AssertionsElsewhere, assertionsElsewhere } from './elsewhere.ts';
export type { ReachabilityAssertionRow } from './reachability-assertion.ts';
export { type AssertionWish, ReachabilityAssertionService } from './service.ts';
export type { Finding } from './tables.ts';
export { AssertionWatch } from './watch.ts';
