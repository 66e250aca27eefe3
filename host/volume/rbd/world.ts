/** What the steps of layers in a Ceph cluster share: its pools, and what is looked up in them. */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { LayerId } from '../../../contract/ids.ts';
import { noEntry, unless } from './client.ts';
import type { Placed } from './ledger.ts';
import { copiedImage, layerImage, type RbdPool } from './pool.ts';
import type { RbdWork } from './work.ts';

export interface RbdWorld {
  /** By their names on this host. */
  pools: ReadonlyMap<string, RbdPool>;
  desired(id: LayerId): DesiredLayer | undefined;
  /** Documents of layers that build on this one. */
  children(id: LayerId): DesiredLayer[];
  work: RbdWork;
  /** How large the copies of images are that were found whole in pools, by what the cluster calls them. */
  copies: Map<string, number>;
}

/** Where the layer lies; of one that shall not be the document need not say the pool. */
export function poolOf({ pools }: RbdWorld, { id, pool, presence }: DesiredLayer): RbdPool | undefined {
  if (presence === 'present' || pools.has(pool)) return pools.get(pool);
  return [...pools.values()].find(({ ledger }) => ledger.of(id));
}

/** Undefined where the cluster has no such image or snapshot. */
export async function sizeIn({ client }: RbdPool, id: LayerId, placed: Placed): Promise<number | undefined> {
  const spec = client.spec(layerImage(placed.image));
  if (!placed.frozen) return (await client.jsonIfThere<{ size: number }>(['info', spec]))?.size;
  const snapshots = await client.jsonIfThere<{ name: string; size: number }[]>(['snap', 'ls', spec]);
  return snapshots?.find(({ name }) => name === id)?.size;
}

/** The size of the copy of an image, where there is a whole one. */
export async function copySize(world: RbdWorld, { client }: RbdPool, imageId: string): Promise<number | undefined> {
  const spec = client.spec(copiedImage(imageId));
  const known = world.copies.get(spec);
  if (known !== undefined) return known;
  const snapshots = await client.json<{ name: string; size: number }[]>(['snap', 'ls', spec]).catch(unless(noEntry));
  const whole = snapshots?.find(({ name }) => name === wholeSnapshot)?.size;
  if (whole !== undefined) world.copies.set(spec, whole);
  return whole;
}

/** Of a copy of an image, once all of it is there. */
export const wholeSnapshot = 'whole';
