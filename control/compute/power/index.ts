export { isHeld } from './at-once.ts';
export { accessColumns, type BmcAccess, isTheHost, openBmc } from './opening.ts';
export { PowerOffs, type PowerOffsOptions, type PowerOffTiming } from './power-offs.ts';
export { type PowerOffSeen, poweredOff } from './seen-off.ts';
export { type Bmc, BmcService, type BmcTest, type BmcWish } from './service.ts';
export { type HostWatts, type WattsModel, WattsService, type WattsSource } from './shown-watts.ts';
export { Watts, type WattsOptions } from './watts.ts';
