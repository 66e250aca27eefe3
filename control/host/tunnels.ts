/** What hosts say of their tunnels to each other, as rows. Read by placement (control/compute/placement/tunnels.ts). SQL, nothing else. */
import { sql } from 'kysely';
import type { TunnelReport } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Queryable } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';

/** The newest word counts. Whoever calls it knows that it came on the host's present stream. */
export async function recordTunnels(db: Queryable, hostId: HostId, said: TunnelReport): Promise<void> {
  const broken = json(said.broken.map(({ hostId: host_id, ...one }) => ({ host_id, ...one })));
  await sql`insert into host_tunnels as t (host_id, peers, tried, oldest_ms, broken, faults)
    values (${hostId}, ${Math.min(said.peers, most)}, ${Math.min(said.tried, most)}, ${said.oldestMs}, ${broken}::jsonb, ${Math.min(said.faults, most)})
    on conflict (host_id) do update set peers = excluded.peers, tried = excluded.tried, oldest_ms = excluded.oldest_ms,
      broken = excluded.broken, faults = excluded.faults, said_at = now(),
      changed_in = case when (t.broken, t.faults) is distinct from (excluded.broken, excluded.faults)
        then pg_current_xact_id() else t.changed_in end`.execute(db);
}

/** As the column counts. */
const most = 2 ** 31 - 1;
