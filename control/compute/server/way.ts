/** A server that is on its way to another host, and how far it is, for those who see the server. Changes nothing. */
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  forecastOf,
  type Migration,
  type MigrationCause,
  type MigrationForecast,
  waitingForOf,
} from '../server-migration/index.ts';
import { reachOf } from './actions/action.ts';
import { findServer } from './store.ts';

export interface ServerWay
  extends Pick<Migration, 'id' | 'kind' | 'phase' | 'error'>,
    Pick<NonNullable<Migration['progress']>, 'memory'> {
  cause: MigrationCause | null;
  disks: { total: number; copied: number } | null;
  forecast: MigrationForecast | null;
  waiting_for: string;
  /** The guest is held still until the rest of its memory is there. */
  forced: boolean;
  created_at: Date;
  /** Hosts' names are administrators'. */
  from_host: string | null;
  to_host: string | null;
}

type Row = Pick<Migration, 'id' | 'kind' | 'phase' | 'progress' | 'error'> &
  Pick<ServerWay, 'cause' | 'forced' | 'created_at' | 'from_host' | 'to_host'>;

/** Null: it stays where it is. @throws CloudError `not_found`, also for a server that is hidden from the caller */
export async function wayOfServer(database: Database, caller: Caller, serverId: ServerId): Promise<ServerWay | null> {
  const server = await findServer(database.query, reachOf(caller), serverId);
  if (!server) throw notFound('server', serverId);
  const { rows } = await sql<Row>`select m.id, m.kind, m.phase, m.progress, m.error, m.cause, m.forced, m.created_at,
      f.name as from_host, t.name as to_host
    from server_migration m left join host f on f.id = m.host_id left join host t on t.id = m.target_host_id
    where m.server_id = ${server.id} and m.phase in ('preparing', 'copying', 'handing-over', 'cancelling')`.execute(
    database.query,
  );
  const [row] = rows;
  if (!row) return null;
  const { progress, ...way } = row;
  const { disks = null, memory } = progress ?? {};
  const admin = isAdmin(caller);
  return {
    ...way,
    ...(!admin && { error: null, from_host: null, to_host: null }),
    ...{ disks, ...(memory && { memory }) },
    forecast: row.phase === 'copying' ? forecastOf(progress) : null,
    waiting_for: waitingForOf(row),
  };
}
