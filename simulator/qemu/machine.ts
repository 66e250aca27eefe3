/**
 * A machine's process table, with fake QEMUs in it: the launcher that a Host gets in the simulator. It stays when a Host
 * object goes, so a new one finds its guests as it would on a real machine.
 */
import { appendFileSync } from 'node:fs';
import { parseId, type ServerId } from '../../contract/ids.ts';
import type { QemuLaunch, QemuLauncher, QemuProcess } from '../../host/guest/launcher.ts';
import { BadArguments, parseArguments } from './arguments.ts';
import { FakeQemu, type GuestBehaviour, politeGuest } from './fake-qemu.ts';

let lastPid = 100_000;

export class FakeMachine implements QemuLauncher {
  /** Changes of it count for guests that start from now on. */
  behaviour: GuestBehaviour;
  readonly #qemus: FakeQemu[] = [];
  /** Every start that was tried. */
  launches = 0;

  constructor(behaviour: Partial<GuestBehaviour> = {}) {
    this.behaviour = { ...politeGuest, ...behaviour };
  }

  /** Guests that run. */
  get guests(): FakeQemu[] {
    return this.#qemus.filter((qemu) => qemu.alive);
  }

  guest(serverId: ServerId): FakeQemu | undefined {
    return this.guests.find((qemu) => qemu.machine.uuid === serverId);
  }

  async launch({ args, logFile }: QemuLaunch): Promise<QemuProcess> {
    this.launches++;
    const pid = ++lastPid;
    try {
      const qemu = new FakeQemu(parseArguments(args), pid, { ...this.behaviour });
      const twice = this.guests.find((other) => other.machine.uuid === qemu.machine.uuid);
      if (twice)
        throw new BadArguments('qemu-system-x86_64: Failed to get "write" lock: is another process using the image?');
      this.#qemus.push(qemu);
      void qemu.exited.then(() => this.#qemus.splice(this.#qemus.indexOf(qemu), 1));
      return qemu;
    } catch (error) {
      if (!(error instanceof BadArguments)) throw error;
      // As the real one: its word on stderr, and its end.
      appendFileSync(logFile, `${error.message}\n`);
      return { pid, alive: false, exited: Promise.resolve(), kill() {} };
    }
  }

  async list(): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
    return this.guests.map((qemu) => ({ serverId: parseId<ServerId>(qemu.machine.uuid)!, process: qemu }));
  }

  /** The machine loses power. */
  powerCut(): void {
    for (const qemu of this.guests) qemu.kill();
  }
}
