/** One of two hosts between which a server goes under real QEMU, for live tests. */
import { join } from 'node:path';
import { type Host, qemuMachine } from '../../host/index.ts';
import { silent } from '../../host/logger.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import type { HostWorld } from './host-world.ts';

export class MovingSide {
  readonly world: HostWorld;
  readonly #firstUid: number;
  readonly #ports: { first: number; last: number };
  #real: Awaited<ReturnType<typeof qemuMachine>> | undefined;
  host: Host | undefined;
  deaths = 0;
  /** Told of each step that its process has taken, which waits for it. */
  after: (step: string) => Promise<void> = async () => {};
  reviving: Promise<void> | undefined;
  /** When it said what, by performance.now(). */
  readonly said: { at: number; message: string; fields: Record<string, unknown> }[] = [];

  constructor(world: HostWorld, index: number) {
    this.world = world;
    this.#firstUid = 0x6fff_c000 + 256 * index;
    this.#ports = { first: 49_152 + 16 * index, last: 49_167 + 16 * index };
  }

  /** A new life of the host process. @param diesAfter the step after which it dies, once: the next life begins by itself */
  async begin(diesAfter?: string): Promise<void> {
    let dies = diesAfter !== undefined;
    const step = async (name: string): Promise<void> => {
      await this.after(name);
      if (!dies || name !== diesAfter) return;
      dies = false;
      throw new ProcessDied(name);
    };
    if (this.host) await this.host.stop();
    const { directory } = this.world;
    const guests = { uid: 64055, gid: 64055, uids: { first: this.#firstUid, count: 256 } };
    const paths = { dataDirectory: join(directory, 'data'), runDirectory: join(directory, 'run') };
    const configuration = { guests, accelerator: 'tcg', durable: true, migrationPorts: this.#ports } as const;
    this.#real ??= await qemuMachine({ ...paths, ...configuration });
    const note = (fields: object, message: string) =>
      void this.said.push({ at: performance.now(), message, fields: fields as Record<string, unknown> });
    const log = { ...silent, info: note, warn: note, error: note };
    this.host = this.world.host({ configuration, dependencies: { ...this.#real, log, step } });
    const { host } = this;
    if (dies) void host.died.then(() => this.#revive(host));
    await host.start();
  }

  #revive(dead: Host): void {
    this.deaths++;
    if (this.host !== dead) return;
    this.host = undefined;
    this.reviving = this.begin();
  }

  async kill(): Promise<void> {
    for (const { process } of (await this.#real?.launcher.list()) ?? []) {
      process.kill();
      await process.exited;
    }
  }

  /** Its QEMU takes in nothing more and says nothing, as one does to which the way is cut. */
  async freeze(): Promise<void> {
    (await this.freezer())();
  }

  /** Does so at once. */
  async freezer(): Promise<() => void> {
    const found = (await this.#real?.launcher.list()) ?? [];
    return () => {
      for (const { process: qemu } of found) process.kill(qemu.pid, 'SIGSTOP');
    };
  }

  async guests(): Promise<number> {
    return ((await this.#real?.launcher.list()) ?? []).length;
  }

  at(message: string): number | undefined {
    return this.said.findLast((each) => each.message === message)?.at;
  }
}
