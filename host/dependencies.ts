/** What a host process is given at its start beside its configuration: what it drives, and how. */
import type { DesiredServer } from '../contract/host/index.ts';
import type { DiskKeeper } from './disk/disk-keeper.ts';
import type { DiskSaver } from './disk/save-disk.ts';
import type { CpuGroups } from './guest/cpu-groups.ts';
import type { AcceleratorVerdict } from './guest/kvm-probe.ts';
import type { QemuLauncher } from './guest/launcher.ts';
import type { TpmKeeper } from './guest/tpm.ts';
import type { GuestUsers } from './guest/users.ts';
import type { HostNetworkPort } from './host-network.ts';
import type { ImageConverter, ImageInspector } from './image/inspect.ts';
import type { GuestGuard } from './lease/guard.ts';
import type { HostLogger } from './logger.ts';
import type { capacity } from './machine-facts.ts';
import type { VendorData } from './metadata/document.ts';
import type { VendorServices } from './metadata/vendor-services.ts';
import type { ServerContext } from './server/context.ts';
import type { Certify } from './service/routes.ts';
import type { StorageOptions } from './volume/storage.ts';

export interface HostDependencies extends Pick<ServerContext, 'tryWay' | 'resetConnections'> {
  network: HostNetworkPort;
  launcher: QemuLauncher;
  guard: GuestGuard;
  /** Absent: guests run as this process (tests). */
  guestUsers?: GuestUsers | undefined;
  inspect: ImageInspector;
  convert: ImageConverter;
  saveDisk: DiskSaver;
  keeper: DiskKeeper;
  layerTools: StorageOptions['tools'];
  receiverEngine?: StorageOptions['receiverEngine'];
  tpm: TpmKeeper;
  cpuGroups?: CpuGroups | undefined;
  /** QEMU can use io_uring here. Absent: it can't. */
  ioUring?: boolean;
  log: HostLogger;
  bootId: string;
  qemuVersion: string;
  /** The newest first. */
  machineTypes: readonly string[];
  /** Asked once at the start; may take seconds at a machine's first. */
  accelerator(): Promise<AcceleratorVerdict>;
  /** Told of every new desired state before it is acted on: the metadata service answers from it. */
  desired?: (servers: readonly DesiredServer[]) => void;
  /** What every guest is told beside what is its own; absent: nothing. */
  vendorData?: VendorData;
  /** And what services say of each. */
  vendorServices?: Pick<VendorServices, 'of'>;
  /** What the machine has; asked once. Absent: this machine's. */
  capacity?: typeof capacity;
  /** Of the cloud's authority; absent: it is not beside this host. */
  certify?: Certify | undefined;
  /** Called after each step with its name; a test throws ProcessDied here. */
  step?: (name: string) => void | Promise<void>;
}
