export type { FleetConfiguration } from './configuration.ts';
export { Fleet, type FleetOptions } from './fleet.ts';
export { FleetHost, type FleetHostOptions } from './fleet-host.ts';
export { SimulatedMachine, type SimulatedMachineOptions } from './fleet-machine.ts';
export { FakeKernel } from './kernel.ts';
export { MemoryNetwork } from './network.ts';
export { FakeSwitch } from './switch.ts';
