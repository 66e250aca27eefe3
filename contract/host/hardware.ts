/** What a server's machine has beyond processors, memory and disks. What is absent is as every server has it. */
import type { Static } from 'typebox';
import { boolean, count, integer, object, oneOf, optional } from '../schema/type.ts';
import { serverLimits as limits } from './limits.ts';

export const diskBuses = ['virtio', 'scsi', 'sata'] as const;
export const networkModels = ['virtio', 'e1000', 'e1000e', 'rtl8139', 'ne2k_pci', 'pcnet', 'vmxnet3'] as const;
export const videoModels = ['none', 'vga', 'cirrus', 'bochs', 'virtio', 'vmvga'] as const;
export const watchdogActions = ['none', 'pause', 'poweroff', 'reset'] as const;

/**
 * A second, for each disk; 0: no limit. By the names of QEMU's `block_set_io_throttle`, and by its rules: of total and directions one kind
 * alone, a burst never without its rate nor below it, a size never without a rate of operations.
 */
export const diskLimits = object({
  bps: count,
  bps_rd: count,
  bps_wr: count,
  iops: count,
  iops_rd: count,
  iops_wr: count,
  /** What may pass in one second after a quiet time. Absent: no more than in any other. */
  bps_max: optional(count),
  bps_rd_max: optional(count),
  bps_wr_max: optional(count),
  iops_max: optional(count),
  iops_rd_max: optional(count),
  iops_wr_max: optional(count),
  /** In bytes: a larger operation counts as several. Absent: as one. */
  iops_size: optional(count),
});

export const guestHardware = object({
  /** A channel to the QEMU guest agent. */
  guestAgent: optional(boolean),
  diskBus: optional(oneOf(...diskBuses)),
  /** The config drive is a CD there. */
  cdromBus: optional(oneOf('scsi', 'sata')),
  networkModel: optional(oneOf(...networkModels)),
  firmware: optional(oneOf('bios', 'uefi', 'uefi-secure')),
  tpm: optional(object({ model: oneOf('tpm-tis', 'tpm-crb'), version: oneOf('1.2', '2.0') })),
  video: optional(oneOf(...videoModels)),
  videoRamMiB: optional(integer(1, 1024)),
  /** How much of the host's randomness it may take in such a time. */
  rng: optional(object({ bytes: integer(1, 2 ** 31 - 1), periodMs: integer(1, 2 ** 31 - 1) })),
  watchdog: optional(oneOf(...watchdogActions)),
  bootMenu: optional(boolean),
  /** A tablet, on this bus. */
  pointer: optional(oneOf('usb', 'virtio')),
  topology: optional(
    object({ sockets: integer(1, limits.vcpus), cores: integer(1, limits.vcpus), threads: integer(1, limits.vcpus) }),
  ),
  /** The processor's performance counters. */
  pmu: optional(boolean),
  /** The guest is not told that it is one. */
  hidden: optional(boolean),
  hpet: optional(boolean),
  /** What the machine's clock shows; else UTC. */
  clock: optional(oneOf('localtime')),
  /** No image is made of its disk while it runs unless its agent held the file systems still. */
  requireQuiesce: optional(boolean),
  /** How long it may take to shut down. */
  shutdownSeconds: optional(integer(1, 86_400)),
  diskLimits: optional(diskLimits),
  cpuLimits: optional(
    object({
      /** How it stands to other servers when all want the processors; 1024 is as much as one of which nothing is said. */
      shares: optional(integer(2, 2 ** 18)),
      /** The most that each processor may run in a period. */
      quotaUs: optional(integer(1000, 1_000_000)),
      periodUs: optional(integer(1000, 1_000_000)),
    }),
  ),
});
export type GuestHardware = Static<typeof guestHardware>;
