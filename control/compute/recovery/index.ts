export type { Outcome } from './outcome.ts';
export { discard, hostsAway, isQuarantined, listQuarantine, type Quarantine, recover } from './recovery.ts';
