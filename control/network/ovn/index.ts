export { eui64 } from './address.ts';
export { names, stamps } from './desired.ts';
export type { OvnFeatures } from './features.ts';
export { globalOptions } from './global-options.ts';
export { recordPortsUp } from './port-status.ts';
export { Projector, type ProjectorOptions } from './projector.ts';
export { type Unit, type UnitKind, unit } from './units.ts';
