/**
 * A simulated machine with its host process, in this process. The host dials control over a wire of its own, so that it
 * can be slow, cut off, or dead.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { TlsFiles } from '../../cli/process/configuration.ts';
import type { HostFacts } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Host } from '../../host/host.ts';
import type { PoolSetting } from '../../host/index.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { SimulatedMachine } from '../../simulator/fleet/fleet-machine.ts';
import type { FakeNorthd } from '../../simulator/ovsdb/index.ts';
import { Wire } from './wire.ts';

export interface SimulatedHostOptions {
  id: HostId;
  name: string;
  tls: TlsFiles;
  cloudId: string;
  directory: string;
  controlPort: number;
  streamPath: string;
  northd: FakeNorthd;
  log: Logger;
  /** Beside the one named local. */
  pools?: readonly Pick<PoolSetting, 'name' | 'tier'>[];
}

export class SimulatedHost {
  readonly id: HostId;
  readonly name: string;
  readonly #options: SimulatedHostOptions;
  #machine: SimulatedMachine | undefined;
  #wire: Wire | undefined;
  #host: Host | undefined;
  /** Steps that were taken since `steps` was last emptied. */
  readonly steps: string[] = [];
  /** The host dies after this step, once. */
  dieAfter: string | undefined;
  /** Or after so many steps since `steps` was last emptied, once. */
  dieAfterSteps: number | undefined;

  constructor(options: SimulatedHostOptions) {
    this.#options = options;
    this.id = options.id;
    this.name = options.name;
  }

  get machine(): SimulatedMachine {
    return this.#machine!;
  }

  get running(): boolean {
    return this.#host !== undefined;
  }

  get connected(): boolean {
    return this.#host?.status().control.state === 'open';
  }

  facts(): HostFacts {
    return this.#host!.facts();
  }

  /** Of the connection to control: held back before each piece. */
  set delayMs(ms: number) {
    this.#wire!.delayMs = ms;
  }

  /** Nothing passes to or from control, and nobody is told. */
  set unheard(unheard: boolean) {
    this.#wire!.silent = unheard;
  }

  /** Starts the host process (and the machine, at the first time). */
  async start(): Promise<void> {
    if (this.#host) return;
    const { id, name, cloudId, directory, tls, controlPort, streamPath, northd, log } = this.#options;
    if (!this.#wire || !this.#machine) {
      const opened = await Wire.openPort({ host: '127.0.0.1', port: controlPort });
      this.#wire = opened.wire;
      mkdirSync(directory, { recursive: true });
      const own = log.child({ host: name });
      const controlUrls = [`wss://127.0.0.1:${opened.port}${streamPath}`];
      this.#machine = new SimulatedMachine({
        ...{ hostId: id, name, cloudId, directory, tls, controlUrls, log: own },
        capacity: { cpus: 4, memoryMiB: 16 * 1024, diskGiB: 1000 },
      });
      await this.#machine.start();
      northd.follow(this.#machine.switch.database);
    }
    const host = this.#machine.host({
      configuration: {
        ...this.#storage(),
        credentials: { lookEveryMs: 50 },
        controlRetry: { retryFirstMs: 20, retryMaxMs: 100 },
        // As long as on real machines, in more attempts: a host that has the image may be starting again.
        limits: { retryFirstMs: 20, retryMaxMs: 200, stopTimeoutMs: 2000, buildAttempts: 100 },
      },
      dependencies: { step: (step) => this.#step(step) },
    });
    this.#host = host;
    await host.start();
  }

  #storage() {
    const { directory, pools } = this.#options;
    if (!pools) return {};
    const local = { name: 'local', tier: 'disk', path: join(directory, 'pools', 'local'), own: true } as const;
    const others = pools.map((pool) => ({ ...pool, path: join(directory, 'pools', pool.name), own: true as const }));
    return { storage: { pools: [local, ...others] } };
  }

  #step(step: string): void {
    this.steps.push(step);
    if (this.dieAfter !== step && this.dieAfterSteps !== this.steps.length) return;
    this.dieAfter = undefined;
    this.dieAfterSteps = undefined;
    this.kill();
    throw new ProcessDied(step);
  }

  /** As kill -9: guests, taps and files stay as they are. */
  kill(): void {
    const host = this.#host;
    this.#host = undefined;
    host?.abandon();
    this.#wire?.drop();
  }

  /** The stream to control breaks; the host will dial again. */
  dropConnection(): void {
    this.#wire!.drop();
  }

  async stop(): Promise<void> {
    const host = this.#host;
    this.#host = undefined;
    await host?.stop();
  }

  /** What servers have left on the machine: files, sockets, taps, switch ports, QEMUs. Images stay. */
  leftovers(): string[] {
    const { dataDirectory, runDirectory, qemus, switch: fakeSwitch } = this.machine;
    const list = (path: string) => {
      try {
        return readdirSync(path).map((entry) => `${path.slice(this.#options.directory.length + 1)}/${entry}`);
      } catch {
        return [];
      }
    };
    return [
      ...list(join(dataDirectory, 'servers')),
      ...list(join(runDirectory, 'guests')),
      ...[...fakeSwitch.taps].map((tap) => `tap ${tap}`),
      ...fakeSwitch.pluggedPorts.map((id) => `switch port ${id}`),
      ...qemus.guests.map((guest) => `QEMU ${guest.machine.uuid}`),
    ];
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#wire?.cut();
    await this.#machine?.remove();
  }
}
