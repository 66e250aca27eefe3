/**
 * Keys in a guest's QEMU: it has those that open what it has open, and forgets the others. QEMU needs one only while it opens a file, so none
 * is taken too early; one that is taken while its file is being opened is told again with the next try.
 */
import type { ServerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import { type Execute, QmpError } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { keysOf } from './chain.ts';
import type { LayerFiles } from './layer-files.ts';
import { keyObject } from './names.ts';

const prefix = keyObject('' as VolumeKeyId);

/** The names of those that it has. */
export async function keysIn(execute: Execute): Promise<ReadonlySet<string>> {
  const objects = await execute<{ name: string }[]>('qom-list', { path: '/objects' });
  return new Set(objects.flatMap(({ name }) => (name.startsWith(prefix) ? [name] : [])));
}

/**
 * Where it can't be told what is needed, all stay.
 * @param of.closed a volume that it has open no more
 */
export async function forgetKeys(
  execute: Execute,
  files: Pick<LayerFiles, 'chain' | 'open'>,
  { serverId, closed }: { serverId: ServerId; closed?: VolumeId },
): Promise<void> {
  const known = await keysIn(execute);
  if (known.size === 0) return;
  const needed = new Set<string>();
  for (const { volumeId, layerId } of files.open.ofServer(serverId)) {
    if (volumeId === closed) continue;
    const chain = await files.chain(layerId).catch((error) => {
      if (!(error instanceof HostFault)) throw error;
      return undefined;
    });
    if (!chain) return;
    for (const { id } of keysOf(chain)) needed.add(keyObject(id));
  }
  for (const id of known) {
    if (needed.has(id)) continue;
    await execute('object-del', { id }).catch((error) => {
      // Somebody else did.
      if (!(error instanceof QmpError)) throw error;
    });
  }
}
