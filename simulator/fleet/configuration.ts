/** What a fleet process is told: one JSON file. */
import type { HostId } from '../../contract/ids.ts';
import type { QemuBehaviour } from '../qemu/index.ts';

export interface FleetConfiguration {
  cloudId: string;
  /** WebSocket address of control. */
  controlUrl: string;
  /** Holds a directory for each machine; short, for sockets lie below it. */
  directory: string;
  /** Where the fake northbound database listens. */
  northbound: string;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  hosts: {
    id: HostId;
    name: string;
    tls: { certificate: string; key: string; ca: string };
    /** Unix socket of the host's service, for control on the same machine. */
    socket?: string;
  }[];
  /** What each machine says that it has. */
  capacity?: { cpus: number; memoryMiB: number; diskGiB: number };
  /** How guests behave. */
  behaviour?: Partial<QemuBehaviour>;
}
