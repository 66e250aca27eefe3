/** What the work on servers needs from around it; made once by Host, handed down. */
import type { DesiredServer } from '../../contract/host/index.ts';
import type { DiskKeeper } from '../disk/disk-keeper.ts';
import type { DiskSaver } from '../disk/save-disk.ts';
import type { CpuGroups } from '../guest/cpu-groups.ts';
import type { QemuLauncher } from '../guest/launcher.ts';
import type { TpmKeeper } from '../guest/tpm.ts';
import type { GuestUsers } from '../guest/users.ts';
import type { HostNetworkPort } from '../host-network.ts';
import type { ImageFetcher } from '../image/fetch.ts';
import type { LaterDigests } from '../image/later-digests.ts';
import type { ImageStore } from '../image/store.ts';
import type { UploadContext } from '../image/upload.ts';
import type { GuestGuard } from '../lease/guard.ts';
import type { Lease } from '../lease/lease.ts';
import type { HostLogger } from '../logger.ts';
import type { Way } from '../migration/break.ts';
import type { MigrationPlace } from '../ports-for-hosts.ts';
import type { LayerFiles } from '../volume/index.ts';
import type { ErasedServers } from './erased.ts';

export interface ServerLimits {
  /** How long a guest may take to obey the power button. */
  stopTimeoutMs: number;
  /** The same for a soft reboot, before it becomes a hard one. Nova waits 120 s. */
  softRebootTimeoutMs: number;
  /** The power button is pressed again this often: a guest that is still booting does not hear it. */
  powerdownRepeatMs: number;
  /** How long a guest may take to let go of a card, until it is left to its next start. */
  unplugTimeoutMs: number;
  /** How often it is asked for a volume again. */
  unplugRepeatMs: number;
  launchTimeoutMs: number;
  retryFirstMs: number;
  retryMaxMs: number;
  /** Failures in a row after which a server that never ran is given up. */
  buildAttempts: number;
  consoleLogBytes: number;
  /** How long the agent in a guest may take to answer. */
  agentTimeoutMs: number;
  /** How long its QEMU may. */
  qemuTimeoutMs: number;
}

export const defaultLimits: ServerLimits = {
  stopTimeoutMs: 60_000,
  softRebootTimeoutMs: 120_000,
  powerdownRepeatMs: 10_000,
  unplugTimeoutMs: 30_000,
  unplugRepeatMs: 5000,
  launchTimeoutMs: 30_000,
  retryFirstMs: 500,
  retryMaxMs: 60_000,
  buildAttempts: 5,
  consoleLogBytes: 1024 * 1024,
  agentTimeoutMs: 10_000,
  qemuTimeoutMs: 10_000,
};

export interface ServerContext {
  dataDirectory: string;
  runDirectory: string;
  bootId: string;
  accelerator(): 'kvm' | 'tcg';
  launcher: QemuLauncher;
  network: HostNetworkPort;
  images: ImageStore;
  fetcher: ImageFetcher;
  /** How the image of a disk is taken in. */
  upload: UploadContext;
  /** And how its digests are found. */
  laterDigests: Pick<LaterDigests, 'find'>;
  saveDisk: DiskSaver;
  keeper: DiskKeeper;
  /** The files of volumes, and who has which open. */
  layers: LayerFiles;
  tpm: TpmKeeper;
  /** QEMU can use io_uring on this machine. */
  ioUring: boolean;
  /** Undefined: this machine gives no say over its processors. */
  cpuGroups: Pick<CpuGroups, 'enter' | 'leave'> | undefined;
  /** Undefined: guests run as this process (tests). */
  guestUsers: GuestUsers | undefined;
  /** Where other hosts send servers to. */
  migrationPlace(): MigrationPlace;
  /** Another host is reached at this port of it. @throws HostFault `way_cut` */
  tryWay(to: { address: string; port: number }): Promise<void>;
  /** No connection of this process to there is left. */
  resetConnections(to: Way, pid: number): Promise<void>;
  lease: Pick<Lease, 'state'>;
  guard: GuestGuard;
  erased: Pick<ErasedServers, 'epochOf' | 'add'>;
  durable: boolean;
  limits: ServerLimits;
  log: HostLogger;
  /** The files of a config drive. */
  metadataFiles(server: DesiredServer): Promise<ReadonlyMap<string, string | Buffer>>;
  /** Called after each step with its name; tests throw here to die. */
  step(name: string): void | Promise<void>;
}
