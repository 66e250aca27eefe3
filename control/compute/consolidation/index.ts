export { type ConsolidationPolicy, Consolidator, type ConsolidatorOptions } from './consolidator.ts';
export type { SleepProposal } from './plan.ts';
export {
  ConsolidationService,
  type ConsolidationShown,
  overdueHosts,
  type StandbyState,
  standbyState,
} from './service.ts';
export { Standby, type StandbyTiming } from './standby.ts';
