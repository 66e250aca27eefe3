/**
 * A simulated machine: QEMUs, a switch and a data directory. Host objects run on it one after the other, as the host
 * process of a real machine is restarted: what is on the machine stays.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HostId } from '../../contract/ids.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import { Host, type HostDependencies } from '../../host/host.ts';
import { type HostLogger, silent } from '../../host/logger.ts';
import { FakeMachine } from '../qemu/index.ts';
import { FakeSwitch } from './switch.ts';
import { SwitchNetwork } from './switch-network.ts';

export interface SimulatedMachineOptions {
  hostId: HostId;
  name: string;
  cloudId: string;
  /** Short: sockets lie below it. */
  directory: string;
  controlUrls: string[];
  tls: HostConfiguration['tls'];
  log?: HostLogger;
  /** What the machine says that it has. */
  capacity?: { cpus: number; memoryMiB: number; diskGiB: number };
}

const generous = { cpus: 64, memoryMiB: 512 * 1024, diskGiB: 20_000 };

export class SimulatedMachine {
  readonly qemus = new FakeMachine();
  readonly switch = new FakeSwitch();
  readonly options: SimulatedMachineOptions;
  #boots = 1;

  constructor(options: SimulatedMachineOptions) {
    this.options = options;
  }

  get dataDirectory(): string {
    return join(this.options.directory, 'data');
  }

  get runDirectory(): string {
    return join(this.options.directory, 'run');
  }

  /** Switches the machine on; a Host may then run on it. */
  async start(): Promise<void> {
    mkdirSync(this.runDirectory, { recursive: true });
    await this.switch.listen(join(this.options.directory, 'ovs.sock'));
  }

  /** The machine loses power and comes back: no guest runs, the disk is as it was. */
  powerCut(): void {
    this.#boots++;
    this.qemus.powerCut();
  }

  /** A new host process on this machine. */
  host(changes: { configuration?: Partial<HostConfiguration>; dependencies?: Partial<HostDependencies> } = {}): Host {
    const { hostId, name, cloudId, controlUrls, tls, capacity = generous } = this.options;
    return new Host(
      {
        ...{ hostId, name, cloudId, controlUrls, tls },
        bothyVersion: 'simulated',
        dataDirectory: this.dataDirectory,
        runDirectory: this.runDirectory,
        controlName: 'bothy-control',
        listen: { address: '127.0.0.1', port: 0 },
        url: 'https://127.0.0.1:{port}',
        socket: null,
        guestUser: undefined,
        accelerator: 'tcg',
        durable: false,
        ...changes.configuration,
      },
      {
        network: new SwitchNetwork(this.switch),
        launcher: this.qemus,
        inspect: async () => {},
        log: this.options.log ?? silent,
        bootId: `boot ${this.#boots} of ${name}`,
        qemuVersion: '7.2.22',
        accelerator: async () => ({ accelerator: 'tcg', reason: 'simulated' }),
        capacity: async () => ({ architecture: 'x86_64', ...capacity }),
        ...changes.dependencies,
      },
    );
  }

  /** For good. */
  async remove(): Promise<void> {
    this.qemus.powerCut();
    await this.switch.close();
  }
}
