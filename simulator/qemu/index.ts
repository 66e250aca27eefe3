export { BadArguments, type FakeMachineDescription, parseArguments } from './arguments.ts';
export { FakeQemu, type GuestBehaviour, politeGuest } from './fake-qemu.ts';
export { FakeMachine } from './machine.ts';
