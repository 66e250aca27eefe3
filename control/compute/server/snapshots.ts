/** What a server's row keeps of others as they were, and why its last operation failed: JSON columns. Pure. */
import type { ImageFormat } from '../../../contract/host/index.ts';
import type { ServerHardware } from '../hardware/index.ts';

export interface FlavorSnapshot {
  id: string;
  name: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  ephemeral_gib: number;
  swap_mib: number;
  extra_specs: Record<string, string>;
}

export interface KeySnapshot {
  name: string;
  public_key: string;
  type: 'ssh' | 'x509';
}

/** What it has seen at its first start (contract/host/machine.ts). */
export interface ServerMachine {
  type: string;
  cpu_model: string;
  layout: number;
}

export interface ServerImage {
  format: ImageFormat;
  size_bytes: number;
  /** Null where it was not known yet: then the image's own row has it, later. */
  sha256: string | null;
}

/** An image that a disk is made of. */
export interface ServerRoot {
  image_id: string;
  image: ServerImage;
}

/**
 * Why the last operation failed. `no_capacity`: no host could take it; `host`: the host gave up; `deadline`: nobody
 * finished in time; `reset`: an administrator said so (os-resetState).
 */
export interface ServerFault {
  reason: 'no_capacity' | 'host' | 'deadline' | 'reset' | 'internal';
  /** What the tenant may read. */
  message: string;
  at: string;
  generation: number;
  /** For administrators. */
  details?: string;
}

/** A disk beside the one with its system. */
export interface LocalDisk {
  /** `ephemeral0` and so on, or `swap`. */
  name: string;
  size_mib: number;
  format: 'ext2' | 'ext3' | 'ext4' | 'swap';
  /** By the request: it does not follow the flavor. */
  given: boolean;
  /** What the guest is told beside it; absent: nothing. */
  tag?: string;
}

/** What a resize changes. */
export interface ServerSize {
  /** The flavor's row. */
  flavor_id: string;
  flavor: FlavorSnapshot;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  /** Absent in a resize of before there were such. */
  local_disks?: LocalDisk[];
  local_gib?: number;
  /** Absent in a resize of before flavors changed it. */
  hardware?: ServerHardware;
}

/** What becomes of a server when its host is lost. */
export interface EvacuationPolicy {
  /** elsewhere: on another host, as soon as it is certain that its guest does not run where it was. */
  restart: 'never' | 'elsewhere';
  /** The higher is restarted sooner. */
  priority: number;
  /** What its host does with its guest when the lease ends: it runs on, stands still until control lends again, or ends. */
  on_lease_end: 'keep' | 'pause' | 'stop';
  /**
   * keep: it is restarted only where all of its disks can be had elsewhere; from_image: its own disk is made anew of its image, and what was written to it
   * is lost.
   */
  disk: 'keep' | 'from_image';
}
