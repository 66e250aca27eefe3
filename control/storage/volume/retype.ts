/**
 * A volume gets another type: where it lies, if its pool and its encryption are as that asks, else by a move (move.ts). What its host limits for it
 * follows.
 */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import { cacheOf, giveCache } from '../cache/index.ts';
import { tellExports } from '../export/index.ts';
import { copiedBytes } from '../layer/index.ts';
import { choose, choosePool, placeOf, readPools, recordPoolChoice, requireRoom } from '../pool/index.ts';
import { encryptionWith, type VolumeEncryption } from '../volume-key/index.ts';
import { cacheWords, holdTypeOf, iopsOfType, sameCache, servedEncryption } from '../volume-type/index.ts';
import { type ActDependencies, done, onLockedVolume } from './act.ts';
import { beginChangeHost, requireLeavable } from './change-host.ts';
import { requireMakeable } from './makeable.ts';
import { beginMove, requireMovable } from './move.ts';
import { requireTypeQuota, typesAreLimited } from './quota.ts';
import { replicateAs } from './replicated.ts';
import { beginSinkFirst, cacheAfter, keptCache } from './sink-first.ts';
import { requireSizeOfType } from './sizes.ts';
import { changeVolume } from './store.ts';
import { type ListedVolume, requireStatus, requireSwitchable } from './volume.ts';

/** @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
export async function retypeVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  { type: asked, policy }: { type: string; policy: 'never' | 'on-demand' },
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'retype a volume', async (tx, volume) => {
    const { project_id, pool_id, size_gib } = volume;
    const type = await holdTypeOf(tx, project_id, asked);
    requireMakeable(type);
    const encryption = await servedEncryption(tx, type);
    const encrypted = volume.key_id === null ? undefined : await encryptionWith(tx, volume.key_id);
    const rekeyed = !isDeepStrictEqual(encryption, encrypted);
    requireSizeOfType(type, size_gib);
    requireStatus(volume, 'retype', ['available', 'in-use']);
    if (type.id === volume.volume_type_id) throw unfit(type.name, 'same');
    // Its group is of types that were named when that was made.
    if (volume.group_id !== null) throw unfit(type.name, 'group');
    const words = cacheWords(type.extra_specs);
    // A move that came to nothing may have left it without.
    const other = (words === null) !== (volume.cache_pool_id === null);
    const recached = other || !sameCache(await specsOf(tx, volume), type.extra_specs);
    const [pool] = (await readPools(tx, null)).filter((each) => each.id === pool_id);
    // Asked for nothing more: what it may take of the pool it has already.
    const { verdicts } = choose({ sizeBytes: 0, extraSpecs: type.extra_specs, poolId: pool_id }, pool ? [pool] : []);
    const leaves = verdicts[0]?.refusals.includes('type_unmet') !== false;
    const moves = leaves || rekeyed;
    if (moves && policy === 'never') throw unfit(type.name, leaves ? 'other_pool' : 'other_encryption');
    if (moves) await requireMovable(tx, volume);
    else if (recached) requireSwitchable(volume);
    if (volume.consumes_quota && (await typesAreLimited(tx))) {
      await requireTypeQuota(tx, project_id, type, { volumes: 1, gigabytes: size_gib });
    }
    const [iops, had] = [
      await iopsOfType(tx, type.id, size_gib),
      await iopsOfType(tx, volume.volume_type_id, size_gib),
    ];
    if (!leaves && iops > had) await requireRoom(tx, pool_id!, 0, iops - had);
    await replicateAs(tx, volume, type, { alone: !moves && !recached });
    if (moves || recached) {
      const wish = { leaves, moves, recached, iops, ...(rekeyed && { encryption: encryption ?? null }) };
      return moveToType(tx, actorOf(caller), volume, type, wish);
    }
    await changeVolume(tx, id, { typeId: type.id });
    await Promise.all([tellServers(tx, [id]), tellExports(tx, [id])]);
    await done(tx, actorOf(caller), volume, 'retype');
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, type: asked }, 'volume retyped');
}

async function specsOf(tx: Tx, { volume_type_id }: ListedVolume): Promise<Record<string, string>> {
  const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
    where id = ${volume_type_id}`.execute(tx);
  return rows[0]!.extra_specs;
}

interface Changes {
  /** Its pool is not as the type asks. */
  leaves: boolean;
  /** It leaves, or it gets another encryption: its content is written anew. */
  moves: boolean;
  recached: boolean;
  /** That its new type promises. */
  iops: number;
  encryption?: VolumeEncryption | null;
}

async function moveToType(
  tx: Tx,
  actor: Actor,
  volume: ListedVolume,
  type: { id: string; extra_specs: Record<string, string> },
  { leaves, moves, recached, iops, ...wanted }: Changes,
): Promise<void> {
  const words = cacheWords(type.extra_specs);
  const former = cacheOf(volume);
  // Nothing is asked of any pool.
  if (!moves && !words)
    return beginSinkFirst(tx, actor, volume, { kind: 'retype', pool: null, typeId: type.id, cache: null });
  const wish = {
    // What it may take of its pool it has already, unless all of it is written anew.
    ...{ sizeBytes: moves ? volume.layer_bytes : 0, extraSpecs: type.extra_specs },
    ...{ hostId: volume.host_id, hostOf: 'volume' as const },
    from: await placeOf(tx, volume.pool_id!, volume.attachment !== null),
    encrypted: wanted.encryption ? true : wanted.encryption === undefined && volume.key_id !== null,
    // Where it lies is as good as ever, and has been asked for what the new type promises.
    ...(leaves ? { iops } : { poolId: volume.pool_id }),
    cache: words && (recached ? words : keptCache(words)),
  };
  let found = await choosePool(tx, wish);
  // What is as it was but for its pool may go to another host.
  const mayLeave = !found.pool && leaves && !volume.attachment && !former && !words && wanted.encryption === undefined;
  if (mayLeave) {
    const { hostId: _, hostOf: __, ...elsewhere } = wish;
    const from = { ...wish.from, inUse: true };
    const copied = await copiedBytes(tx, { topId: volume.layer_id!, top: 'copy' });
    const zone = { availabilityZone: volume.availability_zone };
    const further = await choosePool(tx, { ...elsewhere, from, copiedBytes: copied, ...zone });
    if (further.pool) found = further;
  }
  if (!found.pool) throw new CloudError('no_capacity', 'no_pool', { why: found.message, fix: found.fix });
  await recordPoolChoice(tx, { projectId: volume.project_id, volumeId: volume.id, wish, found });
  const chosen = words &&
    found.cachePool && {
      ...{ pool_id: found.cachePool.id, bytes: words.bytes, policy: words.policy },
    };
  const then = recached ? chosen : cacheAfter(former, found);
  if (found.pool.host_id !== volume.host_id) {
    await requireLeavable(tx, volume, found.pool.host_id);
    return beginChangeHost(tx, actor, volume, { kind: 'retype', pool: found.pool, typeId: type.id });
  }
  const asked = { kind: 'retype', pool: found.pool, typeId: type.id, ...wanted } as const;
  if (former) return beginSinkFirst(tx, actor, volume, { ...asked, pool: moves ? found.pool : null, cache: then });
  if (moves) return beginMove(tx, actor, volume, { ...asked, ...(then && { cache: { then, former } }) });
  await changeVolume(tx, volume.id, { typeId: type.id });
  if (then) await giveCache(tx, volume, then);
  await done(tx, actor, volume, 'retype');
}

const unfit = (type: string, why: 'other_pool' | 'other_encryption' | 'same' | 'group') =>
  new CloudError('invalid', 'volume_type_unfit', { type, why });
