export { SurvivalService, type SurvivalSummary } from './service.ts';
export type { Fate, Loss, StaysDown, Survival } from './survive.ts';
export { type SurvivalAlarm, SurvivalWatch } from './watch.ts';
