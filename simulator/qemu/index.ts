export { type MachineDescription, parseCommandLine } from './command-line.ts';
export { defaultBehaviour, FakeQemu, type QemuBehaviour } from './fake-qemu.ts';
export { type RunState, SimulatedGuest } from './guest.ts';
export { FakeMachine, type FakeMachineOptions, SimulatedLauncher } from './machine.ts';
export { QemuRefusal } from './refusal.ts';
