/** The group that a new volume comes into; groups themselves are ../group's. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { reachOf } from './store.ts';

/**
 * It stays until the transaction ends. @throws CloudError `not_found`, also for one that is out of reach; `invalid` where it has no volumes of
 * this type
 * @returns the zone that it is in, and all of its volumes; null: it is in none
 */
export async function requireGroup(
  tx: Tx,
  caller: Caller,
  { groupId, typeId }: { groupId: string; typeId: string },
): Promise<{ zone: string | null }> {
  const reach = reachOf(caller);
  const { rows } = await sql<{
    fits: boolean;
    zone: string | null;
  }>`select ${typeId}::uuid = any(volume_type_ids) as fits, availability_zone as zone from volume_group
    where id = ${parseId(groupId) ?? null}::uuid and ${reach === 'all' ? sql`true` : sql`project_id = ${reach.projectId}::uuid`}
    for key share`.execute(tx);
  if (!rows[0]) throw notFound('volume_group', groupId);
  if (!rows[0].fits) throw new CloudError('invalid', 'group_type_unmet', { id: groupId, volume: null });
  return rows[0];
}
