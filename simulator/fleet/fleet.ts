/**
 * Many real Hosts in one process, each on a simulated machine of its own. Owns the machines; control, and the fake
 * northbound database where there is one, are its caller's.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HostId } from '../../contract/ids.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import type { HostLogger } from '../../host/logger.ts';
import type { FakeNorthd } from '../ovsdb/index.ts';
import type { QemuBehaviour } from '../qemu/index.ts';
import { FleetHost, type FleetHostOptions } from './fleet-host.ts';

export interface FleetOptions {
  /** `socket`: the host's service also listens there, for control on the same machine. */
  hosts: { id: HostId; name: string; tls: HostConfiguration['tls']; socket?: string }[];
  cloudId: string | null;
  controlUrls: string[];
  /** Holds a directory for each machine; short, for sockets lie below it. */
  directory: string;
  /** Makes ports come up that a machine has plugged. */
  northd?: FakeNorthd | undefined;
  logOf?: (host: { id: HostId; name: string }) => HostLogger;
  capacity?: { cpus: number; memoryMiB: number; diskGiB: number } | undefined;
  behaviour?: Partial<QemuBehaviour> | undefined;
  configuration?: Partial<HostConfiguration>;
  /** Called after each step of any host. */
  step?: (host: FleetHost, name: string) => void | Promise<void>;
}

export class Fleet implements AsyncDisposable {
  readonly hosts: readonly FleetHost[];

  readonly #northd: FakeNorthd | undefined;

  private constructor(hosts: FleetHost[], northd: FakeNorthd | undefined) {
    this.hosts = hosts;
    this.#northd = northd;
  }

  /** Resolves when every host process has started. Control may be away. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const hosts: FleetHost[] = options.hosts.map(
      (host) => new FleetHost(hostOptions(options, host, (name) => step(name, host.id))),
    );
    const step = (name: string, id: HostId) => options.step?.(hosts.find((host) => host.id === id)!, name);
    const fleet = new Fleet(hosts, options.northd);
    // Before a host has plugged anything.
    for (const { machine } of hosts) options.northd?.follow(machine.switch.database);
    try {
      await Promise.all(hosts.map((host) => host.start()));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  /** By name or id. @throws where there is none */
  host(nameOrId: string): FleetHost {
    const host = this.hosts.find(({ id, name }) => id === nameOrId || name === nameOrId);
    if (!host) throw new Error(`the fleet has no host ${nameOrId}`);
    return host;
  }

  /** Guests that run, on all machines. */
  get guests(): number {
    return this.hosts.reduce((sum, { machine }) => sum + machine.qemus.guests.length, 0);
  }

  async close(): Promise<void> {
    for (const { machine } of this.hosts) this.#northd?.unfollow(machine.switch.database);
    await Promise.all(this.hosts.map((host) => host.remove()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function hostOptions(
  { cloudId, controlUrls, directory, capacity, behaviour, configuration, logOf }: FleetOptions,
  { id, name, tls, socket }: FleetOptions['hosts'][number],
  step: (name: string) => void | Promise<void>,
): FleetHostOptions {
  const own = join(directory, name);
  mkdirSync(own, { recursive: true });
  return {
    ...{ hostId: id, name, tls, cloudId, controlUrls, directory: own, step },
    ...(capacity && { capacity }),
    ...(behaviour && { behaviour }),
    configuration: { ...(socket !== undefined && { socket: { path: socket } }), ...configuration },
    ...(logOf && { log: logOf({ id, name }) }),
  };
}
