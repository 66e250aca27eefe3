export { bringPage, pageSize } from './page.ts';
export { Projection } from './projection.ts';
export type { ProjectionStatus } from './status.ts';
export { Refused, type Target, type TargetEvents, TargetLost, WaitsForUnit } from './target.ts';
export { Turn } from './turn.ts';
