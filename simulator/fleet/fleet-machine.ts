/**
 * A simulated machine: QEMUs, a kernel, a switch and a data directory. Host objects run on it one after the other, as the
 * host process of a real machine is restarted: what is on the machine stays. Each Host reaches the machine by handles of
 * its own, which are severed when it dies: what its code still does then changes nothing.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { HostId } from '../../contract/ids.ts';
import { hostSockets } from '../../engine/open-vswitch.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import type { HostDependencies } from '../../host/dependencies.ts';
import { Host } from '../../host/host.ts';
import { type HostLogger, silent } from '../../host/logger.ts';
import { HostNetwork } from '../../host/network/index.ts';
import { FakeMachine, type QemuBehaviour } from '../qemu/index.ts';
import { FakeReceivers } from '../qemu/receivers.ts';
import { keepNothing, saveEmptyDisk } from '../qemu/save-disk.ts';
import { headersOnly } from './layer-tools.ts';
import { FakeSwitch } from './switch.ts';

export interface SimulatedMachineOptions {
  hostId: HostId;
  name: string;
  /** Null: the first control that its CA signed says which. */
  cloudId: string | null;
  /** Short: sockets lie below it. */
  directory: string;
  controlUrls: string[];
  tls: HostConfiguration['tls'];
  log?: HostLogger;
  /** What the machine says that it has. */
  capacity?: { cpus: number; memoryMiB: number; diskGiB: number };
  /** How its guests behave. */
  behaviour?: Partial<QemuBehaviour>;
}

const generous = { cpus: 64, memoryMiB: 512 * 1024, diskGiB: 20_000 };

export class SimulatedMachine {
  readonly qemus: FakeMachine;
  readonly switch = new FakeSwitch();
  readonly receivers = new FakeReceivers();
  readonly options: SimulatedMachineOptions;
  #boots = 1;
  #bootedAt = '2026-01-01T00:00:00.000Z';

  constructor(options: SimulatedMachineOptions) {
    this.options = options;
    const tapExists = (name: string) => this.switch.kernel.has(name);
    this.qemus = new FakeMachine({ tapExists, ...(options.behaviour && { behaviour: options.behaviour }) });
  }

  get dataDirectory(): string {
    return join(this.options.directory, 'data');
  }

  get runDirectory(): string {
    return join(this.options.directory, 'run');
  }

  /** Switches the machine on; a Host may then run on it. */
  async start(): Promise<void> {
    const { ovsdb } = hostSockets(this.runDirectory);
    mkdirSync(dirname(ovsdb), { recursive: true });
    await this.switch.listen(ovsdb);
  }

  /** The machine loses power and comes back: no guest runs, no tap is there; disk and switch database are as they were. */
  powerCut(): void {
    this.#boots++;
    this.#bootedAt = new Date().toISOString();
    this.qemus.powerCut();
    this.receivers.powerCut();
    this.switch.powerCut();
  }

  /** A new host process on this machine. */
  host(changes: { configuration?: Partial<HostConfiguration>; dependencies?: Partial<HostDependencies> } = {}): Host {
    const { hostId, name, log = silent, capacity = generous } = this.options;
    const launcher = this.qemus.launcher();
    const { network, sever } = this.#network();
    const host = new Host(
      { ...this.#configuration(), ...changes.configuration },
      {
        ...{ network, launcher, log, guard: this.qemus.guard },
        inspect: async () => {},
        convert: async () => {},
        saveDisk: saveEmptyDisk,
        keeper: keepNothing,
        layerTools: headersOnly,
        receiverEngine: this.receivers.engine,
        tpm: { start: async () => {}, end: async () => {} },
        tryWay: async () => {},
        resetConnections: async (way) => this.qemus.resetConnections(way),
        bootId: `boot ${this.#boots} of ${name}`,
        qemuVersion: '7.2.22',
        machineTypes: ['pc-q35-7.2', 'pc-q35-7.1'],
        accelerator: async () => ({ accelerator: 'tcg', reason: 'simulated' }),
        capacity: async () => ({ architecture: 'x86_64', bootedAt: this.#bootedAt, machineUuid: hostId, ...capacity }),
        ...changes.dependencies,
      },
    );
    void host.died.then(() => {
      launcher.sever();
      sever();
    });
    return host;
  }

  /** For good. */
  async remove(): Promise<void> {
    this.qemus.powerCut();
    this.receivers.powerCut();
    await this.switch.close();
  }

  #configuration(): HostConfiguration {
    const { hostId, name, cloudId, controlUrls, tls } = this.options;
    return {
      ...{ hostId, name, cloudId, controlUrls, tls },
      bothyVersion: 'simulated',
      dataDirectory: this.dataDirectory,
      runDirectory: this.runDirectory,
      powercapDirectory: join(this.dataDirectory, 'powercap'),
      controlName: 'bothy-control',
      listen: { address: '127.0.0.1', port: 0 },
      url: 'https://127.0.0.1:{port}',
      socket: null,
      guests: undefined,
      accelerator: 'tcg',
      durable: false,
    };
  }

  /** The real driver over this machine's kernel and switch. */
  #network(): { network: HostNetwork; sever(): void } {
    const { hostId, name, directory } = this.options;
    const kernel = this.switch.kernel.commands();
    let severed = false;
    const network = new HostNetwork({
      ...{ tag: this.switch.names.tag, hostId, hostname: name },
      runDirectory: this.runDirectory,
      logDirectory: directory,
      southbound: 'unix:/nowhere',
      guestUser: 'guest',
      proxyUser: 'proxy',
      encapsulation: { ip: '127.0.0.1', type: 'geneve' },
      datapath: 'netdev',
      uplink: 'none',
      machine: kernel,
      serveMetadata: async (networks) => {
        if (!severed) this.switch.served = networks;
      },
    });
    const sever = () => {
      severed = true;
      kernel.sever();
      void network.stop();
    };
    return { network, sever };
  }
}
