/**
 * What a chain holds, copied into a new file that is encrypted and stands for itself: an empty file on the chain, into which all of that is then
 * moved, as a layer's content is (changing.ts). For backups of encrypted layers and layers of backups. The file is its caller's.
 */
import type { LayerEncryption } from '../../../contract/host/index.ts';
import { type LayerId, newId } from '../../../contract/ids.ts';
import type { ChainKey, ChainLink, LayerChain } from '../chain.ts';
import { luksHeader } from '../luks.ts';
import { writeOverlay } from '../overlay.ts';
import type { LayerTask } from '../task.ts';
import type { BackupFile, ToolWork } from '../tools.ts';

export interface Sealing {
  to: string;
  /** Its key is here (`awaitsKeys`). */
  encryption: LayerEncryption;
  sizeBytes: number;
  below: LayerChain;
}

export async function sealInto(
  task: LayerTask,
  { to, encryption, sizeBytes, below }: Sealing,
  work: ToolWork,
): Promise<void> {
  const { tools, files } = task.context;
  const key = keyOf(task, encryption);
  const luks = luksHeader(encryption, files.keys.of(encryption.keyId)!);
  await writeOverlay(to, { sizeBytes, buildsOn: null, format: 'qcow2', luks }, { durable: false });
  const top = { layerId: newId<LayerId>(), path: to, sizeBytes, key };
  await tools.stream({ top, lower: [below.top, ...below.lower], base: below.base }, null, work);
}

/** The same, of what differs from the first of these backups, which are encrypted with the same key. */
export async function sealDifference(
  task: LayerTask,
  { to, encryption, below, earlier }: Omit<Sealing, 'sizeBytes'> & { earlier: readonly BackupFile[] },
  work: ToolWork,
): Promise<void> {
  const { tools, files } = task.context;
  const luks = luksHeader(encryption, files.keys.of(encryption.keyId)!);
  await tools.backUp(below, to, { earlier, sealed: { key: keyOf(task, encryption), luks } }, work);
}

export const keyOf = (task: LayerTask, { keyId }: LayerEncryption): ChainKey => ({
  ...{ id: keyId, passphrase: task.context.files.keys.of(keyId) },
});

/** Backups, the nearest first, as parts of a chain. */
export const linksOf = (
  backups: readonly BackupFile[],
  { sizeBytes, key }: { sizeBytes: number; key: ChainKey | undefined },
): ChainLink[] => backups.map(({ path }) => ({ layerId: newId<LayerId>(), path, sizeBytes, ...(key && { key }) }));
