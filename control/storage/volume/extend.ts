/** A volume grows: at once in what is asked for and counted, and for its user when its host (and the guest that has it) have followed. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { recordOperation } from '../../kit/operation/operations.ts';
import { tellServers } from '../attachment/index.ts';
import { growLayer } from '../layer/index.ts';
import { requireRoom } from '../pool/index.ts';
import { iopsOfType } from '../volume-type/index.ts';
import { type ActDependencies, begin, onLockedVolume } from './act.ts';
import { requireTypeQuota, requireVolumeQuota, typesAreLimited } from './quota.ts';
import { requireSizeOfType } from './sizes.ts';
import { changeVolume } from './store.ts';
import { gibBytes, type ListedVolume, requireStatus } from './volume.ts';

/**
 * @param options.inUse also of a volume that somebody has
 * @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded`, `no_capacity`
 */
export async function extendVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  { sizeGib, inUse }: { sizeGib: number; inUse: boolean },
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'extend a volume', async (tx, volume) => {
    const { size_gib, layer_id, pool_id, project_id } = volume;
    if (sizeGib <= size_gib) {
      throw new CloudError('invalid', 'volume_extend_not_larger', { size_gib, wanted_gib: sizeGib });
    }
    const type = await tx
      .selectFrom('volume_type')
      .select(['id', 'name', 'extra_specs'])
      .where('id', '=', volume.volume_type_id)
      .executeTakeFirstOrThrow();
    requireSizeOfType(type, sizeGib);
    requireStatus(volume, 'extend', inUse ? ['available', 'in-use'] : ['available']);
    // Another machine sees the size that it had when it was connected.
    if (volume.attachment && volume.attachment.server_id === null) requireStatus(volume, 'extend', ['available']);
    const more = volume.consumes_quota ? sizeGib - size_gib : 0;
    await requireVolumeQuota(tx, project_id, { gigabytes: more, each: sizeGib });
    if (await typesAreLimited(tx)) await requireTypeQuota(tx, project_id, type, { gigabytes: more });
    if (layer_id === null || pool_id === null) throw new Error('an available volume has no layer');
    const [before, then] = [await iopsOfType(tx, type.id, size_gib), await iopsOfType(tx, type.id, sizeGib)];
    await requireRoom(tx, pool_id, (sizeGib - size_gib) * gibBytes, Math.max(0, then - before));
    await growLayer(tx, layer_id, sizeGib * gibBytes);
    const generation = await changeVolume(tx, id, { sizeGib, task: { kind: 'extend', from_gib: size_gib } });
    await tellServers(tx, [id]);
    await begin(tx, actorOf(caller), volume, { verb: 'extend', generation, waitingFor: 'the host to make it larger' });
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, sizeGib }, 'volume extension accepted');
}

/**
 * The server that has the volume had a part in it, which Nova tells of as an action of that server: in the name of who asked for the
 * extension. To be called before the volume's own operation ends.
 */
export async function recordExtension(
  tx: Tx,
  { id, attachment }: ListedVolume,
  outcome?: { state: 'failed'; code: string; message: string },
): Promise<void> {
  if (!attachment?.server_id) return;
  const { rows } = await sql<{ projectId: string; generation: number } & Actor>`
    select s.project_id as "projectId", s.generation, o.actor_id as "actorId", o.request_id as "requestId" from server s, operation o
    where s.id = ${attachment.server_id} and o.resource_id = ${id} and o.verb = 'extend' and o.state = 'running'`.execute(
    tx,
  );
  const [asked] = rows;
  if (!asked) return;
  const { projectId, generation } = asked;
  const part = {
    projectId,
    generation,
    resourceType: 'server',
    resourceId: attachment.server_id,
    verb: 'extend_volume',
  };
  await recordOperation(tx, asked, part, outcome);
}
