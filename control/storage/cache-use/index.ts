export { readUse, recordSunk, recordUse } from './store.ts';
export { type CacheTotals, type CurvePoint, missCurve, missRatioAt } from './use.ts';
