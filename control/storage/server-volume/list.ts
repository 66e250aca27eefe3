/** Which volumes a server has. SQL, nothing else: rights are asked for with the server. */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';

export interface ServerVolume {
  id: string;
  volume_id: string;
  device: string | null;
  tag: string | null;
  delete_on_termination: boolean;
  boot_index: number | null;
}

/** Of a server by its id, in the order in which they came, as one value. */
export const serverVolumesOf = (
  serverId: RawBuilder<unknown>,
): RawBuilder<Pick<ServerVolume, 'volume_id' | 'delete_on_termination'>[]> => sql`
  coalesce((select json_agg(json_build_object('volume_id', a.volume_id, 'delete_on_termination', a.delete_on_termination)
    order by a.slot) from volume_attachment a where a.server_id = ${serverId}), '[]')`;

export async function serverVolumes(
  db: Queryable,
  serverId: string,
  page: { limit?: number; offset?: number } = {},
): Promise<ServerVolume[]> {
  const { rows } = await sql<ServerVolume>`select id, volume_id, device, tag, delete_on_termination, boot_index
    from volume_attachment where server_id = ${serverId} order by slot
    limit ${page.limit ?? null}::bigint offset ${page.offset ?? 0}::bigint`.execute(db);
  return rows;
}
