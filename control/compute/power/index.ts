export { isHeld } from './at-once.ts';
export { accessColumns, type BmcAccess, isTheHost, openBmc } from './opening.ts';
export { PowerOffs, type PowerOffTiming } from './power-offs.ts';
export { type PowerOffSeen, poweredOff } from './seen-off.ts';
export { type Bmc, BmcService, type BmcWish } from './service.ts';
export { type WattsModel, WattsService } from './shown-watts.ts';
export { Watts, type WattsOptions } from './watts.ts';
