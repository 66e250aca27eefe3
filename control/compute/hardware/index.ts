export { requireAbleHost } from './able-host.ts';
export {
  hardwareDocument,
  hardwareOf,
  recoveredHardware,
  resizedHardware,
} from './hardware.ts';
export type { ServerHardware } from './server-hardware.ts';
