/**
 * A volume leaves the cloud: its host lays what it holds, as one plain qcow2 file, into the directory `manage` of its pool; when that is there for
 * good the volume goes, with all that is left of it. Until then it is the volume that it was: where it comes to nothing it is available again.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { addBackup, endBackup, type LayerRow } from '../layer/index.ts';
import type { PoolKind } from '../pool/tables.ts';
import { type ActDependencies, begin, onLockedVolume } from './act.ts';
import { removeVolume, requireDeletable } from './remove.ts';
import { changeVolume } from './store.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

const deadlineMs = 6 * 3600_000;

/** @throws CloudError `forbidden`, `not_found`; `invalid` where something is in the way, as for a deletion */
export async function unmanageVolume(deps: ActDependencies, caller: Caller, id: string): Promise<void> {
  await onLockedVolume(deps, caller, id, 'unmanage a volume', async (tx, volume) => {
    requireAdmin(caller, 'unmanage a volume');
    await requireDeletable(tx, caller, volume, { cascade: false, force: false });
    requireStatus(volume, 'delete', ['available']);
    if (volume.key_id !== null) throw new CloudError('invalid', 'volume_encrypted', { id, call: 'unmanage' });
    if (volume.cache_pool_id !== null) throw new CloudError('invalid', 'volume_unmanaged', { id, why: 'cache' });
    const { rows } = await sql<{ kind: PoolKind }>`select kind from storage_pool where id = ${volume.pool_id}`.execute(
      tx,
    );
    if (rows[0]?.kind === 'rbd') throw new CloudError('invalid', 'volume_unmanaged', { id, why: 'cluster' });
    if (volume.layer_id === null) throw new Error('an available volume has no layer');
    await addBackup(tx, volume.layer_id, { id, name: `${id}.qcow2`, parent_name: null, managed: true });
    const generation = await changeVolume(tx, id, { task: { kind: 'unmanage' } });
    const waitingFor = 'the host to copy its content out of the cloud';
    await begin(tx, actorOf(caller), volume, { verb: 'unmanage', generation, waitingFor, limitMs: deadlineMs });
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id }, 'unmanaging of a volume accepted');
}

/** Undefined: it goes on. */
export async function tendUnmanage(
  tx: Tx,
  { volume, top, late }: { volume: ListedVolume; top: LayerRow | undefined; late: boolean },
): Promise<'removed' | 'task ended' | undefined> {
  const { id, generation } = volume;
  const said = top?.observed_backups.find((each) => each.id === id);
  if (said?.result) {
    await removeVolume(tx, volume);
    return 'removed';
  }
  const failure = said?.error?.message ?? (late ? 'The host did not copy its content in time.' : undefined);
  if (failure === undefined) return undefined;
  if (top) await endBackup(tx, top.id, id);
  await changeVolume(tx, id, { task: null });
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message: failure });
  return 'task ended';
}
