/** What a fleet process is told: one JSON file. */
import type { HostId } from '../../contract/ids.ts';

export interface FleetConfiguration {
  cloudId: string;
  /** WebSocket address of control. */
  controlUrl: string;
  /** Holds a directory for each machine. */
  directory: string;
  /** Where the fake northbound database listens. */
  northbound: string;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  hosts: { id: HostId; name: string; tls: { certificate: string; key: string; ca: string } }[];
}
