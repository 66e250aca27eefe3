export { type ConsolidationPolicy, Consolidator, type ConsolidatorOptions } from './consolidator.ts';
export { ConsolidationService, type ConsolidationShown, overdueHosts, standbyState } from './service.ts';
export { Standby, type StandbyTiming } from './standby.ts';
