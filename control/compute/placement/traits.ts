/** What hosts are by themselves, in the names of OpenStack's library of them (os-traits). Pure. */
import type { HostCapacity } from './request.ts';

export interface TraitSource extends Pick<HostCapacity, 'enabled' | 'forced_down'> {
  architecture: string | null;
}

/** Of every host: what its guests can be given, whichever it is. */
const everyHost = [
  'COMPUTE_NODE',
  'COMPUTE_DEVICE_TAGGING',
  'COMPUTE_NET_ATTACH_INTERFACE',
  'COMPUTE_NET_ATTACH_INTERFACE_WITH_TAG',
  'COMPUTE_NET_VIF_MODEL_VIRTIO',
  'COMPUTE_STORAGE_BUS_VIRTIO',
  'COMPUTE_VOLUME_ATTACH_WITH_TAG',
  'COMPUTE_VOLUME_EXTEND',
] as const;

const architectures: Readonly<Record<string, string>> = { x86_64: 'HW_ARCH_X86_64', aarch64: 'HW_ARCH_AARCH64' };

/** All that hosts can be by themselves. */
export const standardTraits: readonly string[] = [
  ...everyHost,
  ...Object.values(architectures),
  'COMPUTE_STATUS_DISABLED',
].sort();

/** A host that has not said yet what it is has no architecture. */
export const traitsOf = ({ enabled, forced_down, architecture }: TraitSource): string[] => [
  ...everyHost,
  ...(architecture !== null && Object.hasOwn(architectures, architecture) ? [architectures[architecture]!] : []),
  // Nova's scheduler forbids it to everyone.
  ...(enabled && !forced_down ? [] : ['COMPUTE_STATUS_DISABLED']),
];
