/** Block nodes of a QEMU, a guest's or a storage daemon's: which there are, and what one builds on. Owns nothing. */
import type { LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import { type Execute, QmpError } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { keyObject, layerNode } from './names.ts';

export interface NodeInfo {
  'node-name': string;
  ro: boolean;
  cache: { direct: boolean };
}

export const nodesOf = (execute: Execute) => execute<NodeInfo[]>('query-named-block-nodes', { flat: true });

/**
 * Of what is written to: before each write QEMU (7.2, qcow2_check_metadata_overlap()) compares its place with every table of the file, one by one, unless it is told to
 * leave out those that grow with the file. With them a 4k write of a full volume of 2 TiB takes three times the processor time and half the rate of a small one's
 * (findings/qemu-compares-each-write-with-all-tables-of-the-file.sh). What is left finds a file whose counts are wrong less often; it prevents nothing in one that is right.
 */
export const writeChecks = { 'overlap-check': 'constant' } as const;

export interface Rebuilt {
  node: string;
  /** The node of its file. */
  file: string;
  /** The node that it shall read from what it does not hold; null: none. */
  base: string | null;
  /** That it is encrypted with. */
  keyId?: VolumeKeyId | undefined;
  /** Whether it is only read from now on. Absent: as it is. */
  readOnly?: boolean;
}

/** All else of the node is said as it is: what is not said would change. */
export async function buildOn(execute: Execute, { node, file, base, keyId, readOnly }: Rebuilt): Promise<void> {
  const known = (await nodesOf(execute)).find((each) => each['node-name'] === node);
  if (!known) throw new HostFault('layer_not_ready', 'QEMU has the layer open no more');
  const { ro = known.ro, cache } = { ...known, ro: readOnly };
  const options = { driver: 'qcow2', 'node-name': node, 'read-only': ro, cache: { direct: cache.direct }, file };
  const encrypt = keyId && { encrypt: { format: 'luks', 'key-secret': keyObject(keyId) } };
  await execute('blockdev-reopen', {
    options: [{ ...options, ...(!ro && { discard: 'unmap', ...writeChecks }), ...encrypt, backing: base }],
  });
}

/** False where QEMU refuses: it went with the node above it, or was never one of its own, or is used. */
export async function closeNode(execute: Execute, name: string): Promise<boolean> {
  try {
    await execute('blockdev-del', { 'node-name': name });
    return true;
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    return false;
  }
}

/** What is no part of the chain any more: a node of its own holds the file, and its space, as long as its QEMU runs. */
export async function closeNodes(execute: Execute, volumeId: VolumeId, layerIds: readonly LayerId[]): Promise<void> {
  for (const layerId of layerIds) await closeNode(execute, layerNode(volumeId, layerId));
}
