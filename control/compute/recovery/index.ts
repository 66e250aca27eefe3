export type { Outcome } from './outcome.ts';
export { discard, isQuarantined, listQuarantine, type Quarantine, recover } from './recovery.ts';
