/**
 * What layers are called: their files, their nodes in QEMU, and how a layer's file says what it builds on. Pure.
 *
 * The name of the backing file in a layer's header is no path but `layer:<id>` or `image:<id>`. So the file itself says what its content
 * needs, changed in the same write as the content's meaning; a pool may be mounted elsewhere; and a program that follows the name instead
 * of being told the chain opens nothing (QEMU: "Unknown protocol 'layer'"). What a file may say is in the ledger; a guest may have written it.
 */
import { createHash } from 'node:crypto';
import type { ImageId, LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';

/** What a layer reads where nobody has written to it; null: zeros. */
export type BuildsOn = { kind: 'layer'; id: LayerId } | { kind: 'image'; id: ImageId } | null;

export const backingName = (buildsOn: NonNullable<BuildsOn>): string => `${buildsOn.kind}:${buildsOn.id}`;

/** Undefined where the name is none of ours. */
export function parseBackingName(name: string): BuildsOn | undefined {
  if (name === '') return null;
  const [kind, rest] = name.split(/:(.*)/s);
  const id = rest === undefined ? undefined : parseId(rest);
  if (id === undefined || id !== rest) return undefined;
  if (kind === 'layer') return { kind, id: id as LayerId };
  return kind === 'image' ? { kind, id: id as ImageId } : undefined;
}

export const sameBase = (a: BuildsOn, b: BuildsOn): boolean => a?.kind === b?.kind && a?.id === b?.id;

const extension = '.qcow2';

export const layerFileName = (id: LayerId): string => `${id}${extension}`;

/** Undefined: not a layer's name. */
export const layerOfFileName = (name: string): LayerId | undefined =>
  name.endsWith(extension) ? parseId<LayerId>(name.slice(0, -extension.length)) : undefined;

/**
 * Of one layer as a part of one volume's chain: two volumes of a guest may build on the same layer, and each has nodes of its own for it,
 * which come and go with its chain. QEMU takes 31 characters.
 */
export const layerNode = (volumeId: VolumeId, layerId: LayerId): string => `l-${short(volumeId, layerId)}`;
export const layerFileNode = (volumeId: VolumeId, layerId: LayerId): string => `f-${short(volumeId, layerId)}`;
/** What keeps in a volume's cache what its guest reads; the guest's disk is of it. */
export const cacheNode = (volumeId: VolumeId): string => `c-${short(volumeId)}`;
/** Below a layer, in one of {@link readSlots}, what keeps there what is read from further below: the node that does, and the file that it does it in. */
export const readNodes = (volumeId: VolumeId, layerId: LayerId, slot: ReadSlot) => {
  const id = short(volumeId, layerId);
  return { copy: `k${slot}-${id}`, node: `r${slot}-${id}`, file: `p${slot}-${id}` };
};
/** Two at most: one that fills, and one that is read from until then. */
export const readSlots = [0, 1] as const;
export type ReadSlot = (typeof readSlots)[number];
export const readsFileName = (id: LayerId, slot: ReadSlot): string => `${layerFileName(id)}.reads${slot}`;
/** Undefined: not the name of such a file. */
export const layerOfReadsFileName = (name: string): LayerId | undefined => {
  const [, layer] = /^(.*)\.reads[01]$/.exec(name) ?? [];
  return layer === undefined ? undefined : layerOfFileName(layer);
};
/** What keeps a cache from asking too much of the pool below it; and the group of all of one volume. */
export const throttleNode = (volumeId: VolumeId, layerId: LayerId): string =>
  `${throttleNodesOf(volumeId)}${short(layerId).slice(0, 14)}`;
/** What all such nodes of a volume begin with. */
export const throttleNodesOf = (volumeId: VolumeId): string => `t-${short(volumeId).slice(0, 14)}`;
export const throttleGroup = (volumeId: VolumeId): string => `g-${short(volumeId)}`;
/** Of the image below all layers of a volume. */
export const baseNode = (volumeId: VolumeId): string => `b-${short(volumeId)}`;

/** A volume among the disks that go with a server to another host, and by which the source's QEMU writes into the target's. */
export const movedVolume = (volumeId: VolumeId): string => `${movedPrefix}${short(volumeId)}`;
const movedPrefix = 'v-';
/** Undefined: it is no volume. */
export const movedVolumeNode = (disk: string): string | undefined =>
  disk.startsWith(movedPrefix) ? `m-${disk.slice(movedPrefix.length)}` : undefined;

/** What is in a guest's QEMU for a volume's second copy on another host: the job, the node by which it writes there, and what has the key. */
export const copyNames = (volumeId: VolumeId) => {
  const id = short(volumeId);
  return { job: `copy-${id}`, node: `s-${id}`, credentials: `copy-${id}` };
};

/** The secret in a QEMU that opens what is encrypted with the key. */
export const keyObject = (keyId: VolumeKeyId): string => `key-${keyId}`;

const short = (...ids: string[]): string => createHash('sha256').update(ids.join(' ')).digest('hex').slice(0, 28);
