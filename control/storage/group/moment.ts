/**
 * Groups of whose volumes what is taken is of one moment (Cinder's `consistent_group_snapshot_enabled` of a group type; clones of the group too): what is
 * kept of one volume was written before whatever is missing of another. Volumes that nobody writes to are so by themselves; those that one guest has
 * its QEMU covers in one transaction (contract/host/layer.ts `moment`). Nothing brings two writers to one moment, so that is refused before anything is made.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

export async function isOfOneMoment(db: Queryable, groupTypeId: string): Promise<boolean> {
  const { rows } = await sql<{
    wanted: boolean;
  }>`select group_specs ->> 'consistent_group_snapshot_enabled' = '<is> True' as wanted
    from group_type where id = ${groupTypeId}`.execute(db);
  return rows[0]?.wanted === true;
}

interface Held {
  volume_id: string;
  /** A server; or, of a machine outside, the attachment: it writes by a process for each volume. */
  holder: string;
  cached: boolean;
  /** In a cluster, whose own snapshot it is. */
  clustered: boolean;
}

/** The volumes' rows must be locked. @throws CloudError `invalid` where there is no one moment for all of them */
export async function requireOneMoment(
  db: Queryable,
  groupId: string,
  volumes: readonly { id: string }[],
): Promise<void> {
  const ids = volumes.map(({ id }) => id);
  const { rows } =
    await sql<Held>`select a.volume_id, coalesce(a.server_id, a.id) as holder, v.cache_pool_id is not null as cached,
      p.kind = 'rbd' as clustered
    from volume_attachment a join volume v on v.id = a.volume_id join storage_pool p on p.id = v.pool_id
    where ${isOneOf(sql`a.volume_id`, ids)} order by a.volume_id`.execute(db);
  // One alone is of its own moment, however it is covered, and the others change by nobody.
  if (rows.length < 2) return;
  const refuse = (why: 'several' | 'cache' | 'cluster', which: readonly Held[]) => {
    const fields = { id: groupId, volumes: which.map(({ volume_id }) => volume_id), why };
    throw new CloudError('invalid', 'group_without_one_moment', fields);
  };
  if (new Set(rows.map(({ holder }) => holder)).size > 1) refuse('several', rows);
  const [cached, clustered] = [rows.filter((row) => row.cached), rows.filter((row) => row.clustered)];
  if (cached.length > 0) refuse('cache', cached);
  if (clustered.length > 0) refuse('cluster', clustered);
}
