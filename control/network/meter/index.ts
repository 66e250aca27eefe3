/** Meters of the network: what the rest of the cloud asks of them. */
export type { MeterRow } from './meter.ts';
export { MeterService } from './service.ts';
export { meteredTypes } from './tables.ts';
