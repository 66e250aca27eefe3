/** Hosts that are lost at once: more likely their network than they. Those that shall be without power are not lost. */
import { sql } from 'kysely';

/** One row of `lost` and `hosts`. @param atOnceMs a host that was lost longer ago does not count among those that are lost at once */
const lostAtOnce = (atOnceMs: number) => sql`
  select count(*) filter (where not connected and not forced_down) as lost, count(*) as hosts from host
  where coalesce(maintenance ->> 'cause', '') <> 'consolidation' and (connected or last_seen_at > now() - ${atOnceMs}::double precision * interval '1 millisecond')`;

/** So many were lost at once that none of them is believed to be: more than half, and more than one. */
export const isHeld = (atOnceMs: number) =>
  sql<boolean>`(select lost > greatest(1, hosts / 2) from (${lostAtOnce(atOnceMs)}) at_once)`;
