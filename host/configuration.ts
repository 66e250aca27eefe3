/** What a host process is told at its start. */
import type { HostBandwidth, ProtocolRange } from '../contract/host/index.ts';
import type { HostId } from '../contract/ids.ts';
import type { CredentialFiles } from '../protocols/tls/index.ts';
import type { GuestAccounts } from './guest/users.ts';
import type { ObjectsSetting } from './object/disks.ts';
import type { ServerLimits } from './server/context.ts';
import type { StorageSetting } from './volume/pool.ts';

export interface HostConfiguration {
  hostId: HostId;
  /** For people; the machine's name. */
  name: string;
  /** The cloud that this host belongs to; null: the first control that its CA signed says so, for good. */
  cloudId: string | null;
  bothyVersion: string;
  /** What must last. Guests' user must be able to traverse its parents. */
  dataDirectory: string;
  /** Sockets and pid files; short, and gone after a reboot. */
  runDirectory: string;
  /** WebSocket addresses of the controls, e.g. wss://127.0.0.1:8443/host/v1/stream. */
  controlUrls: string[];
  /** Subject CN of control's certificate; only it may write images. Unset: whoever the CA signed. */
  controlName?: string | undefined;
  /** Paths of PEM files; followed when they change, looked at this often. */
  tls: CredentialFiles;
  credentials?: { lookEveryMs: number };
  /** The HTTPS service for other machines; port 0: chosen by the system. */
  listen: { address: string; port: number };
  /** Where others reach it; `{port}` stands for the port that was chosen. */
  url: string;
  /** At which servers come from other hosts, at the address of `url`. Absent: 49152-49215. */
  migrationPorts?: { first: number; last: number };
  /** Unix socket of the same service, and who may use it. */
  socket: { path: string; owner?: { uid: number; gid: number } | undefined } | null;
  /** What QEMU runs as, without privileges; undefined: as this process (tests). */
  guests: GuestAccounts | undefined;
  accelerator: 'auto' | 'kvm' | 'tcg';
  /** What guests do that control does not account for; 'run' where absent. */
  quarantinedGuests?: 'run' | 'stop' | undefined;
  /** Absent: one pool and the backups in the data directory. */
  storage?: StorageSetting;
  /** Where objects' bytes lie, and how they are read again. Absent: one disk in the data directory. */
  objects?: ObjectsSetting;
  /** Physical networks that its bridges carry. */
  physicalNetworks?: readonly string[];
  /** What its cards give to be promised to guests' ports. */
  bandwidths?: readonly HostBandwidth[];
  /** Where the kernel shows energy counters. Absent: /sys/class/powercap. */
  powercapDirectory?: string;
  /** False: nothing is synced to the disk (simulated fleets). */
  durable?: boolean;
  maxVirtualBytes?: number;
  sweepIntervalMs?: number;
  /** How often control is told what has passed ports. */
  meterIntervalMs?: number;
  /** Pauses before control is dialled again, and the silence that ends a stream. */
  controlRetry?: { retryFirstMs: number; retryMaxMs: number; steadyMs?: number; silenceMs?: number };
  /** Versions of the stream's protocol. For tests of peers of other versions. */
  protocol?: ProtocolRange;
  limits?: Partial<ServerLimits>;
}
