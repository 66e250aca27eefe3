/**
 * A guest's memory on its way out of one QEMU and into another. What is sent is enough to know the guest again and to tell that a
 * machine is another one; a real memory is larger.
 */
import { connect, type Socket } from 'node:net';
import type { MachineDescription } from './command-line.ts';
import type { SimulatedGuest } from './guest.ts';
import { unable } from './refusal.ts';

export type MigrationStatus = 'active' | 'completed' | 'failed' | 'cancelled';

/** One outgoing migration of a QEMU. */
export class Outgoing {
  status: MigrationStatus = 'active';
  error: string | undefined;
  readonly bytes: number;
  readonly #socket: Socket;

  constructor(path: string, guest: SimulatedGuest, description: MachineDescription) {
    const text = memoryText(guest, description);
    this.bytes = Buffer.byteLength(text);
    this.#socket = connect(path);
    this.#socket.on('error', (error) => this.#end('failed', `Failed to connect to '${path}': ${error.message}`));
    this.#socket.on('close', () => this.#end('failed', 'Unable to write to socket: Broken pipe'));
    this.#socket.end(text, () => {
      if (this.status !== 'active') return;
      guest.saved();
      this.#end('completed');
    });
  }

  cancel(): void {
    this.#end('cancelled');
    this.#socket.destroy();
  }

  #end(status: MigrationStatus, error?: string): void {
    if (this.status !== 'active') return;
    this.status = status;
    this.error = error;
  }
}

const magic = 'QEVM of the simulator';

/** All by which one machine's memory fits into no other. */
const shapeOf = ({ vcpus, memoryMiB, disks, cards }: MachineDescription) => ({
  ...{ vcpus, memoryMiB },
  disks: disks.map(({ id }) => id),
  cards: cards.map(({ mac, mtu }) => [mac, mtu]),
});

/** What is sent of a guest. */
export const memoryText = (guest: SimulatedGuest, description: MachineDescription): string =>
  `${JSON.stringify({ magic, memory: guest.memory, shape: shapeOf(description) })}\n`;

/** @throws QemuRefusal in the words of a QEMU that ends for it */
export function readMemory(text: string, description: MachineDescription): string {
  const failed = (reason: string) => unable(`load of migration failed: ${reason}`);
  if (!text.endsWith('\n')) throw failed('Input/output error');
  const { memory, shape, ...rest } = JSON.parse(text) as { magic: string; memory: string; shape: unknown };
  if (rest.magic !== magic) throw failed('Invalid argument');
  if (JSON.stringify(shape) !== JSON.stringify(shapeOf(description))) throw failed('Invalid argument');
  return memory;
}
