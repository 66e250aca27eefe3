export { names } from './desired.ts';
export type { OvnFeatures } from './features.ts';
export { globalOptions } from './global-options.ts';
export { Projector } from './projector.ts';
export { type Unit, type UnitKind, unit } from './units.ts';
