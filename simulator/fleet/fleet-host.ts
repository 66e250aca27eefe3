/**
 * One machine of a fleet with the host process on it, which starts, stops, is killed and comes back. Crash tests name the
 * step after which it dies; the steps are those of host/server/steps/.
 */
import type { HostId } from '../../contract/ids.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import type { HostDependencies } from '../../host/dependencies.ts';
import type { Host } from '../../host/host.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { SimulatedMachine, type SimulatedMachineOptions } from './fleet-machine.ts';

export interface FleetHostOptions extends SimulatedMachineOptions {
  configuration?: Partial<HostConfiguration>;
  dependencies?: Partial<HostDependencies>;
  /** Called after each step, before a death that was asked for. May throw ProcessDied. */
  step?: (name: string) => void | Promise<void>;
}

export class FleetHost {
  readonly id: HostId;
  readonly name: string;
  readonly machine: SimulatedMachine;
  readonly #options: FleetHostOptions;
  #host: Host | undefined;
  #switchedOn = false;
  #deadly: { step: string; left: number } | undefined;
  #died: { promise: Promise<string>; resolve: (step: string) => void } | undefined;
  /** Steps taken so far, in order. */
  readonly steps: string[] = [];

  constructor(options: FleetHostOptions) {
    this.#options = options;
    this.id = options.hostId;
    this.name = options.name;
    this.machine = new SimulatedMachine(options);
  }

  /** The host process that runs; undefined where none does. */
  get host(): Host | undefined {
    return this.#host;
  }

  get running(): boolean {
    return this.#host !== undefined;
  }

  /** Starts the machine, at the first time, and a host process. Control may be away. */
  async start(): Promise<void> {
    if (this.#host) return;
    if (!this.#switchedOn) {
      this.#switchedOn = true;
      await this.machine.start();
    }
    const { configuration = {}, dependencies = {} } = this.#options;
    const host = this.machine.host({
      configuration,
      dependencies: { ...dependencies, step: (name) => this.#step(name) },
    });
    this.#host = host;
    void host.died.then(() => {
      if (this.#host === host) this.#host = undefined;
    });
    await host.start();
  }

  /** In order: guests go on. */
  async stop(): Promise<void> {
    const host = this.#host;
    this.#host = undefined;
    await host?.stop();
  }

  /** As kill -9: no goodbye; guests, taps and files stay as they are at this moment. */
  kill(): void {
    const host = this.#host;
    this.#host = undefined;
    host?.abandon();
  }

  /** Kills the host process and starts another. */
  async restart(): Promise<void> {
    this.kill();
    await this.start();
  }

  /** The machine loses its power, guests included, and comes back with a host process. */
  async powerCut(): Promise<void> {
    this.kill();
    this.machine.powerCut();
    await this.start();
  }

  /** The host process dies after this step, at its n-th occurrence from now. Resolves when it has. */
  dieAfter(step: string, options: { occurrence?: number } = {}): Promise<string> {
    this.#deadly = { step, left: options.occurrence ?? 1 };
    let resolve: (step: string) => void = () => {};
    const promise = new Promise<string>((done) => {
      resolve = done;
    });
    this.#died = { promise, resolve };
    return promise;
  }

  /** For good: the host process stops, the guests end. */
  async remove(): Promise<void> {
    await this.stop();
    await this.machine.remove();
  }

  async #step(name: string): Promise<void> {
    this.steps.push(name);
    await this.#options.step?.(name);
    if (this.#deadly?.step !== name || --this.#deadly.left > 0) return;
    this.#deadly = undefined;
    this.kill();
    this.#died?.resolve(name);
    throw new ProcessDied(name);
  }
}
