export { FakeMachine } from './fake-machine.ts';
export type { QemuBehaviour } from './fake-qemu.ts';
