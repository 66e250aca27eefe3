/** How a guest's QEMU opens a volume: options of its block nodes. Owns nothing. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { VolumeId } from '../../contract/ids.ts';
import type { GuestUser } from '../guest/users.ts';
import { type BlockNode, cacheNode, chainNodes, type LayerChain, layerNode } from '../volume/index.ts';

export interface VolumeSpelling {
  volumeId: VolumeId;
  readOnly: boolean;
  /** QEMU can use io_uring here. */
  ioUring: boolean;
  /** Whom QEMU runs as; absent: as this process. */
  user?: GuestUser | undefined;
}

/**
 * The top past the page cache, whose second copy its guest pays for and a crash of the machine loses; what lies below through it: nobody
 * writes to it, and many guests read the same.
 */
export async function volumeNode(chain: LayerChain, spelling: VolumeSpelling): Promise<BlockNode> {
  const top = await topNode(chain, spelling);
  if (!isCached(chain.top, spelling)) return top;
  return { driver: 'copy-on-read', 'node-name': cacheNode(spelling.volumeId), discard: 'unmap', file: top };
}

/** What its guest reads stays in the top, which is a generation of its cache in a faster pool. */
const isCached = (
  { cache }: Pick<LayerChain['top'], 'cache'>,
  { readOnly }: Pick<VolumeSpelling, 'readOnly'>,
): boolean => cache?.role === 'writes' && !cache.reads && !readOnly;

/** The top with what is below it. */
export async function topNode(
  chain: LayerChain,
  { volumeId, readOnly, ioUring, user }: VolumeSpelling,
): Promise<BlockNode> {
  const { remote, layerId } = chain.top;
  if (remote) {
    const options = { 'read-only': readOnly, discard: 'unmap', cache: { direct: true } };
    return { ...remote.node(user), 'node-name': layerNode(volumeId, layerId), ...options };
  }
  const direct = await takesDirect(chain.top.path);
  const node = chainNodes(chain, { volumeId, readOnly });
  const aio = ioUring ? 'io_uring' : direct ? 'native' : 'threads';
  const { file: spelled, backing } = node as { file: BlockNode; backing: BlockNode | string | null };
  // Said of the file, too, it would stay so when QEMU turns what was covered read only, and QEMU would open it to write again and again.
  const { 'read-only': _inherited, ...file } = spelled;
  return {
    ...node,
    cache: { direct },
    file: { ...file, aio, cache: { direct } },
    backing: typeof backing === 'object' && backing ? { ...backing, cache: { direct: false } } : backing,
  };
}

/** Some file systems in memory do not. */
async function takesDirect(path: string): Promise<boolean> {
  try {
    await (await open(path, constants.O_RDONLY | constants.O_DIRECT)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}
