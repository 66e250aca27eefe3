/** QEMU would not start: what it says on stderr before it ends with status 1. */
export class QemuRefusal extends Error {
  override readonly name = 'QemuRefusal';
}

const program = 'qemu-system-x86_64';

/** About one option of the command line, in QEMU's own form. */
export const refused = (option: string, value: string, reason: string) =>
  new QemuRefusal(`${program}: ${option} ${value}: ${reason}`);

/** About the machine as a whole. */
export const unable = (reason: string) => new QemuRefusal(`${program}: ${reason}`);
