/**
 * What a guest reads from below the layer that it writes to stays in a file of a faster pool, between the two, where the volume's type says so
 * (`bothy:cache_policy` write-through). Such a file is nobody's only copy: it is made by the host alone when a guest has the volume, is in no
 * document, and is lost without harm. When one is full another comes on it; when that is full the first goes.
 *
 *   layer ─ copy-on-read ─ file ─ file ─ what the layer builds on        until the layer is covered: then it is
 *   layer ─ copy-on-read ─ file ─ layer ─ copy-on-read ─ file ─ …        and the lower one goes before what is on it sinks
 *
 * Which there are is seen by their nodes' names; so whoever dies on the way, the next look goes on. Owns nothing.
 */
import { stat } from 'node:fs/promises';
import type { LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import type { Execute } from '../../protocols/qmp/index.ts';
import { layerFileNode, layerNode, type ReadSlot, readNodes, readSlots } from './names.ts';
import { buildOn, closeNode, nodesOf } from './nodes.ts';

export interface ReadFile {
  layerId: LayerId;
  slot: ReadSlot;
  node: string;
  file: string;
  copy: string;
  /** Nothing of the kind is above it: it is the one that fills. */
  upper: boolean;
}

/** Below the layer, from above. */
export function readFilesBelow(names: ReadonlySet<string>, volumeId: VolumeId, layerId: LayerId): ReadFile[] {
  const all = readSlots.map((slot) => ({ layerId, slot, ...readNodes(volumeId, layerId, slot) }));
  return all
    .filter(({ node }) => names.has(node))
    .map((each) => ({ ...each, upper: names.has(each.copy) }))
    .sort((a, b) => Number(b.upper) - Number(a.upper));
}

export interface Covered {
  volumeId: VolumeId;
  layerId: LayerId;
  keyId?: VolumeKeyId | undefined;
  /** The node that the layer builds on. */
  below: string;
}

export const namesOf = async (execute: Execute): Promise<ReadonlySet<string>> =>
  new Set((await nodesOf(execute)).map((node) => node['node-name']));

/** What was added and is not in force yet, since whoever added it died, goes: QEMU refuses to close what it reads through. */
export async function settleReads(execute: Execute, { volumeId, layerId }: Covered): Promise<void> {
  const uppers = readFilesBelow(await namesOf(execute), volumeId, layerId).filter(({ upper }) => upper);
  if (uppers.length < 2) return;
  for (const { copy } of uppers) if (await closeNode(execute, copy)) return;
}

/** The file comes between the layer and what is below it. Its nodes may be there already. */
export async function addReads(
  execute: Execute,
  { volumeId, layerId, keyId, below }: Covered,
  added: { slot: ReadSlot; node: Readonly<Record<string, unknown>> },
): Promise<void> {
  const names = await namesOf(execute);
  const { copy } = readNodes(volumeId, layerId, added.slot);
  const [before] = readFilesBelow(names, volumeId, layerId).filter(({ slot }) => slot !== added.slot);
  if (!names.has(copy)) {
    const file = { ...added.node, backing: before?.node ?? below };
    await execute('blockdev-add', { driver: 'copy-on-read', 'node-name': copy, discard: 'unmap', file });
  }
  // What is told anew is written out first: from here on others may read in its tables what came into it (heat/allocated.ts).
  if (before) await buildOn(execute, { ...before, base: below, keyId });
  await buildOn(execute, { ...own(volumeId, layerId), base: copy, keyId });
  if (before) await closeNode(execute, before.copy);
}

/** The layer reads by itself again, or through the first of its files alone. */
export async function dropReads(
  execute: Execute,
  { volumeId, layerId, keyId, below }: Covered,
  { butFirst = false }: { butFirst?: boolean } = {},
): Promise<ReadFile[]> {
  const [first, ...others] = readFilesBelow(await namesOf(execute), volumeId, layerId);
  if (!first) return [];
  if (butFirst) {
    if (others.length > 0) await buildOn(execute, { ...first, base: below, keyId });
    return others;
  }
  await buildOn(execute, { ...own(volumeId, layerId), base: below, keyId });
  for (const { copy } of [first, ...others]) await closeNode(execute, copy);
  return [first, ...others];
}

const own = (volumeId: VolumeId, layerId: LayerId) => ({
  node: layerNode(volumeId, layerId),
  file: layerFileNode(volumeId, layerId),
});

/** That is what QEMU watches. Undefined: the file is gone, with its pool. */
export const lengthOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
