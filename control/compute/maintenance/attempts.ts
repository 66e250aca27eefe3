/** What has come to nothing of a server's moves away from a host, and when it is tried again. Counted in the rows of its migrations: no process need remember. */
import { type RawBuilder, sql } from 'kysely';

export interface Attempts {
  failed: number;
  /** Longer each time. Null: at once. */
  retry_at: Date | null;
  last_error: string | null;
}

const firstMs = 15_000;
const longestMs = 15 * 60_000;

/** Columns of {@link Attempts}, always one row. */
export const attemptsSince = (serverId: RawBuilder<unknown>, hostId: string, since: RawBuilder<unknown>) =>
  sql`select count(*)::integer as failed,
      max(m.updated_at) + least(${longestMs}, ${firstMs} * 2 ^ least(count(*) - 1, 10)) * interval '1 millisecond' as retry_at,
      (array_agg(m.error ->> 'message' order by m.updated_at desc))[1] as last_error
    from server_migration m where m.server_id = ${serverId} and m.host_id = ${hostId}::uuid and m.cause = 'maintenance'
      and m.ended in ('failed', 'cancelled') and m.created_at >= ${since}`;
