export {
  discard,
  isQuarantined,
  listQuarantine,
  type Outcome,
  type Quarantine,
  type RecoveryOptions,
  recover,
} from './recovery.ts';
