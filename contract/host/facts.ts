/** What a host says about itself. */
import type { Static } from 'typebox';
import { boolean, count, integer, list, nullable, object, oneOf, optional, text, time } from '../schema/type.ts';
import { poolName } from './layer.ts';
import { layerLimits, hostLimits as limits } from './limits.ts';
import { cpuModel, machineLayout, machineType } from './machine.ts';
import { objectDiskLevels } from './object.ts';
import { tunnelEnd } from './tunnel.ts';

const hostPools = list(
  object({
    name: poolName,
    tier: oneOf('ram', 'flash', 'disk'),
    /** Control has declared it, not this host's settings. Absent: its settings. */
    declared: optional(boolean),
    kind: oneOf('directory', 'file-system', 'block-device', 'rbd'),
    totalBytes: count,
    freeBytes: count,
    /** Of what it holds, how much may be promised. Absent: 2000, as Cinder's max_over_subscription_ratio of 20. */
    promisedPercentage: optional(integer(100, 100_000)),
    /** Of what it holds, how much is kept free. Absent: 0. */
    reservedPercentage: optional(integer(0, 100)),
    /** Why nothing may be made there; null: it is well. */
    problem: nullable(text(limits.reasonLength)),
  }),
  layerLimits.pools,
  { distinct: 'name' },
);
export type HostPool = Static<typeof hostPools>[number];

/** How pools are, between two hellos. */
export const poolLevels = list(
  object({ name: poolName, totalBytes: count, freeBytes: count, problem: nullable(text(limits.reasonLength)) }),
  layerLimits.pools,
  { distinct: 'name' },
);
export type PoolLevel = Static<typeof poolLevels>[number];

/** What its cards give each way, as guests see it; of one that tunnels run over the network is null. */
const hostBandwidths = list(
  object({ physicalNetwork: nullable(text(limits.nameLength)), egressKbps: count, ingressKbps: count }),
  limits.bandwidths,
);
export type HostBandwidth = Static<typeof hostBandwidths>[number];

export const hostFacts = object({
  name: text(limits.nameLength),
  /** 'kvm' only after a probe guest has booted under it on this machine; else 'tcg'. */
  accelerator: oneOf('kvm', 'tcg'),
  /** Why not KVM; empty when it is. */
  acceleratorReason: text(limits.reasonLength),
  architecture: text(100),
  cpus: integer(1, 100_000),
  memoryMiB: integer(1, 2 ** 40),
  diskGiB: integer(0, 2 ** 40),
  /** OVS datapath that a probe chose: 'system' is the kernel's, 'netdev' is userspace. */
  datapath: oneOf('system', 'netdev'),
  /** Of the machine, as its firmware tells it, and its service processor. Absent (an older host, or none is told): not known. */
  machineUuid: optional(text(36, { pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' })),
  /** When the machine was started. */
  bootedAt: optional(time),
  qemuVersion: text(limits.versionLength),
  bothyVersion: text(limits.versionLength),
  /** What its guests can be: machine types, the newest first, and what a new server gets. Absent (an older host): not known. */
  machine: optional(object({ types: list(machineType, limits.machineTypes), cpuModel, layout: machineLayout })),
  /** It can limit what a guest has of its processors. Absent (an older host): it can not. */
  cpuLimits: optional(boolean),
  /** Where volumes may lie on it. Absent (an older host): nowhere. */
  pools: optional(hostPools),
  /** Where objects' bytes may lie on it. Absent (an older host): nowhere. */
  objectDisks: optional(objectDiskLevels),
  /** Thousands of bits a second that may be promised to guests' ports. Absent: none. */
  bandwidths: optional(hostBandwidths),
  /** Physical networks that its bridges carry, by OVN's names. Absent (an older host): what was known of it before. */
  physicalNetworks: optional(list(text(limits.nameLength), limits.physicalNetworks)),
  /** Where machines outside reach its volumes by iSCSI, `address:port` or `address:first-last`. Absent: nowhere. */
  iscsiPortal: optional(text(limits.reasonLength)),
  /** The ways that servers may take from it and to it (migration.ts). Absent (an older host): none, and none is told of it. */
  migrations: optional(list(oneOf('cold', 'live'), 2)),
  /** It knows `beginsLent` (server.ts), as no protocol tells. Absent (an older host): a guest that runs on without a lease begins by what the host remembers. */
  beginsLent: optional(boolean),
  /** It gives and takes copies of layers (layer.ts, `copyOf`). Absent (an older host): it does not. */
  layerCopies: optional(boolean),
  /** It keeps second copies of volumes in step with its guests' writes (server.ts, `copy`), and takes such writes. Absent (an older host): it does not. */
  secondCopies: optional(boolean),
  /** Where its tunnels end, if frames are given back there. Absent (an older host, or one that has none): nobody can try them. */
  tunnels: optional(tunnelEnd),
  /** Where other machines reach this host's HTTPS service, e.g. https://10.0.0.5:8444 */
  url: text(limits.urlLength),
});
export type HostFacts = Static<typeof hostFacts>;
