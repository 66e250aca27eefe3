/** What nobody needs in a pool of a cluster: copies of images and what waits in the trash go; images that no document names are told. */
import type { ImageId, LayerId } from '../../../contract/ids.ts';
import { emptyTrash } from './changing.ts';
import { noEntry, notEmpty, sweepMs, unless } from './client.ts';
import { copiedImage, layerImage, type RbdPool } from './pool.ts';

export interface Needed {
  isNamed(id: LayerId): boolean;
  /** A layer that shall be builds on the image. */
  imageInUse(id: ImageId): boolean;
}

const prefixes = { layer: layerImage(''), copy: copiedImage('') };

/** Answers what nobody accounts for, which is left alone. */
export async function sweepPool(pool: RbdPool, needed: Needed): Promise<string[]> {
  // As it was seen at the beginning of the sweep.
  if (!pool.isFresh) return [];
  for (const name of pool.names) {
    // Those that read it keep it, in the trash.
    if (name.startsWith(prefixes.copy) && !needed.imageInUse(name.slice(prefixes.copy.length) as ImageId))
      await discardCopy(pool, name);
  }
  const isOurs = (name: string) => name.startsWith(prefixes.layer) || name.startsWith(prefixes.copy);
  await emptyTrash(pool, { isOurs, timeoutMs: sweepMs });
  const layers = pool.names.filter((name) => name.startsWith(prefixes.layer));
  return layers.filter((name) => {
    const image = name.slice(prefixes.layer.length) as LayerId;
    return ![image, ...pool.ledger.within(image)].some((id) => needed.isNamed(id));
  });
}

async function discardCopy({ client }: RbdPool, name: string): Promise<void> {
  const spec = client.spec(name);
  await client.rbd(['snap', 'purge', spec]).catch(unless(noEntry, notEmpty));
  await client.rbd(['trash', 'mv', spec]).catch(unless(noEntry));
}
