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
import { choose, choosePool, placeOf, readPools, recordPoolChoice } from '../pool/index.ts';
import { encryptionWith, type VolumeEncryption } from '../volume-key/index.ts';
import { sameCache, servedEncryption, typeOf } from '../volume-type/index.ts';
import { type ActDependencies, done, onLockedVolume } from './act.ts';
import { requireMakeable, requireSizeOfType } from './create.ts';
import { beginMove, requireMovable } from './move.ts';
import { requireTypeQuota, typesAreLimited } from './quota.ts';
import { changeVolume } from './store.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

/** @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
export async function retypeVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  { type: asked, policy }: { type: string; policy: 'never' | 'on-demand' },
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'retype a volume', async (tx, volume) => {
    const { project_id, pool_id, size_gib } = volume;
    const type = await typeOf(tx, project_id, asked);
    requireMakeable(type);
    const encryption = await servedEncryption(tx, type);
    const encrypted = volume.key_id === null ? undefined : await encryptionWith(tx, volume.key_id);
    const rekeyed = !isDeepStrictEqual(encryption, encrypted);
    requireSizeOfType(type, size_gib);
    requireStatus(volume, 'retype', ['available', 'in-use']);
    if (type.id === volume.volume_type_id) throw unfit(type.name, 'same');
    const [present] = (
      await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
      where id = ${volume.volume_type_id}`.execute(tx)
    ).rows;
    if (!sameCache(present!.extra_specs, type.extra_specs)) throw unfit(type.name, 'other_cache');
    const [pool] = (await readPools(tx, null)).filter((each) => each.id === pool_id);
    // Asked for nothing more: what it may take of the pool it has already.
    const { verdicts } = choose({ sizeBytes: 0, extraSpecs: type.extra_specs, poolId: pool_id }, pool ? [pool] : []);
    const leaves = verdicts[0]?.refusals.includes('type_unmet') !== false;
    const moves = leaves || rekeyed;
    if (moves && policy === 'never') throw unfit(type.name, leaves ? 'other_pool' : 'other_encryption');
    if (moves) await requireMovable(tx, volume);
    if (volume.consumes_quota && (await typesAreLimited(tx))) {
      await requireTypeQuota(tx, project_id, type, { volumes: 1, gigabytes: size_gib });
    }
    if (moves) {
      const wish = { leaves, ...(rekeyed && { encryption: encryption ?? null }) };
      return moveToType(tx, actorOf(caller), volume, type, wish);
    }
    await changeVolume(tx, id, { typeId: type.id });
    await tellServers(tx, [id]);
    await done(tx, actorOf(caller), volume, 'retype');
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, type: asked }, 'volume retyped');
}

async function moveToType(
  tx: Tx,
  actor: Actor,
  volume: ListedVolume,
  type: { id: string; extra_specs: Record<string, string> },
  { leaves, ...wanted }: { leaves: boolean; encryption?: VolumeEncryption | null },
): Promise<void> {
  const wish = {
    ...{ sizeBytes: volume.layer_bytes, extraSpecs: type.extra_specs },
    ...{ hostId: volume.host_id, hostOf: 'volume' as const },
    from: await placeOf(tx, volume.pool_id!, volume.attachment !== null),
    encrypted: wanted.encryption ? true : wanted.encryption === undefined && volume.key_id !== null,
    // Where it lies is as good as ever.
    ...(!leaves && { poolId: volume.pool_id }),
  };
  const found = await choosePool(tx, wish);
  if (!found.pool) throw new CloudError('no_capacity', 'no_pool', { why: found.message, fix: found.fix });
  await recordPoolChoice(tx, { projectId: volume.project_id, volumeId: volume.id, wish, found });
  await beginMove(tx, actor, volume, { kind: 'retype', pool: found.pool, typeId: type.id, ...wanted });
}

const unfit = (type: string, why: 'other_pool' | 'other_encryption' | 'other_cache' | 'same') =>
  new CloudError('invalid', 'volume_type_unfit', { type, why });
