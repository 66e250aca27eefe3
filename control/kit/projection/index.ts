export { bringPage, type Outcome, pageSize } from './page.ts';
export { type Leader, Projection, type ProjectionOptions } from './projection.ts';
export type { PassStatus, ProjectionStatus, UnitFailure } from './status.ts';
export { Refused, type Target, type TargetEvents, TargetLost, WaitsForUnit } from './target.ts';
export { Turn } from './turn.ts';
