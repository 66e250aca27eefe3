export { type MachineDescription, parseCommandLine } from './command-line.ts';
export { FakeMachine, type FakeMachineOptions, SimulatedLauncher } from './fake-machine.ts';
export { defaultBehaviour, FakeQemu, type QemuBehaviour } from './fake-qemu.ts';
export { type RunState, SimulatedGuest } from './guest.ts';
export { QemuRefusal } from './refusal.ts';
