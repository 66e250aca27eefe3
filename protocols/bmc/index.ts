export { BmcError, type BmcErrorKind } from './errors.ts';
export type { BmcSystem, PowerState, ResetOptions, ResetType, ServiceProcessor } from './processor.ts';
export { labelOf, plain, wattsIn } from './reading.ts';
export { isMachines, swapped, uuidsOf } from './uuid.ts';
