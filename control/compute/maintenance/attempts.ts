/** What has come to nothing of a server's moves away from a host, and when it is tried again. Counted in the rows of its migrations: no process need remember. */
import { type RawBuilder, sql } from 'kysely';

export interface Attempts {
  failed: number;
  failed_at: Date | null;
  last_error: string | null;
}

/** Columns of {@link Attempts}, always one row. */
export const attemptsSince = (serverId: RawBuilder<unknown>, hostId: string, since: RawBuilder<unknown>) =>
  sql`select count(*)::integer as failed, max(m.updated_at) as failed_at,
      (array_agg(m.error ->> 'message' order by m.updated_at desc))[1] as last_error
    from server_migration m where m.server_id = ${serverId} and m.host_id = ${hostId}::uuid and m.cause = 'maintenance'
      and m.ended in ('failed', 'cancelled') and m.created_at >= ${since}`;

const firstMs = 15_000;
const longestMs = 15 * 60_000;

/** Longer each time. Null: at once. */
export function nextTryAt({ failed, failed_at: at }: Pick<Attempts, 'failed' | 'failed_at'>): Date | null {
  if (at === null || failed === 0) return null;
  return new Date(at.getTime() + Math.min(longestMs, firstMs * 2 ** Math.min(failed - 1, 10)));
}
