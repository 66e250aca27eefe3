/**
 * The chain of a volume comes to be on another host too: each layer below its top as a copy (contract/host/layer.ts, `copyOf`), and on these a top, which
 * is a copy as well, or empty for who fills it. One transaction; what it makes is whole when the top is served, and goes when that is released. What is
 * copied stays where it is: others may build on it.
 */
import { sql } from 'kysely';
import type { LayerId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { insertLayer } from './store.ts';
import type { LayerRow } from './tables.ts';

export interface ChainCopy {
  top: LayerId;
  /** What each layer of the chain is there. */
  copies: ReadonlyMap<string, LayerId>;
}

export interface CopyWish {
  /** The top of the chain. Nobody writes to it where it is copied, nor to what is below it. */
  topId: string;
  volumeId: string;
  /** Of another host. */
  pool: { id: string; host_id: string };
  /** empty: what the top holds is written into the new one by others. */
  top: 'copy' | 'empty';
}

/** Undefined: others are at work in the chain, ask again. @throws CloudError `conflict` `layer_gone` */
export async function copyChain(tx: Tx, { topId, volumeId, pool, top }: CopyWish): Promise<ChainCopy | undefined> {
  const ids = (await linksOf(tx, topId)).map(({ id }) => id);
  // As those lock who shorten chains.
  await sql`select from volume_layer where ${isOneOf(sql`id`, ids)} order by array_position(${ids}::uuid[], id)
    for no key update`.execute(tx);
  const links = await linksOf(tx, topId);
  if (links.some((link) => link.former_parent_id !== null || link.cache_role !== null)) return undefined;
  const copies = new Map<string, LayerId>();
  let below: LayerId | undefined;
  for (const link of links.toReversed()) {
    const { id, size_bytes: sizeBytes, key_id: keyId, image_id: imageId, image } = link;
    const isTop = id === topId;
    const empty = isTop && top === 'empty';
    // Of an encrypted layer the image is a copy within.
    const onImage = imageId !== null && image !== null && !(empty && keyId !== null);
    below = await insertLayer(tx, {
      ...{ volumeId, pool, sizeBytes, keyId, frozen: !isTop },
      base: below ? { parentId: below } : onImage ? { imageId, image } : null,
      ...(!empty && { source: { copy_of: id } }),
    });
    copies.set(id, below);
  }
  return { top: below!, copies };
}

/** What hosts have said that the copies of {@link copyChain} will take: nobody counts them as promised, since nobody writes to them. */
export async function copiedBytes(db: Queryable, { topId, top }: Pick<CopyWish, 'topId' | 'top'>): Promise<number> {
  const links = await linksOf(db, topId);
  return links.reduce((sum, { id, taken }) => sum + (id === topId && top === 'empty' ? 0 : taken), 0);
}

type Link = Pick<
  LayerRow,
  'id' | 'size_bytes' | 'key_id' | 'image_id' | 'image' | 'former_parent_id' | 'cache_role'
> & {
  taken: number;
};

/** From the top down. */
async function linksOf(tx: Queryable, topId: string): Promise<Link[]> {
  const { rows } = await sql<Link>`with recursive chain (id, depth) as (
      select ${topId}::uuid, 0
      union all select l.parent_id, depth + 1 from chain join volume_layer l on l.id = chain.id where l.parent_id is not null)
    select l.id, l.size_bytes, l.key_id, l.image_id, l.image, l.former_parent_id, l.cache_role,
      l.observed_allocated_bytes::float8 as taken
    from chain join volume_layer l on l.id = chain.id order by depth`.execute(tx);
  return rows;
}
