export {
  hardwareDocument,
  hardwareOf,
  recoveredHardware,
  resizedHardware,
} from './hardware.ts';
export { requireMachineType } from './machine-type.ts';
export type { ServerHardware } from './server-hardware.ts';
