export { SurvivalService } from './service.ts';
export type { Loss } from './survive.ts';
export { type SurvivalAlarm, SurvivalWatch } from './watch.ts';
