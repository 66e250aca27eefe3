/**
 * How far a host is that shall be empty: what is on its way, what waits for its turn, and what does not go and why, asked of the very code that moves servers. Reads alone.
 */
import { sql } from 'kysely';
import type { CloudError } from '../../../contract/errors.ts';
import type { HostMaintenance } from '../../host/tables.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { HostPicture } from '../placement/index.ts';
import { isRelocationRefusal, relocationForecast, type ServerRow } from '../server/index.ts';
import { type Attempts, attemptsSince } from './attempts.ts';
import { mayUseReserve } from './begin-and-end.ts';

/** moving: it is on its way, or its host has yet to let go of it; waiting: for its turn, or for what is under way (`why`); stuck: something must be done first. */
export type LeftState = 'moving' | 'waiting' | 'stuck';

export interface LeftServer {
  id: string;
  name: string;
  project_id: string;
  state: LeftState;
  /** Where it goes, or would. */
  to: string | null;
  /** Bytes that are there, of how many. Null: not on its way. */
  progress: { transferred: number; total: number } | null;
  /** Why it does not go. */
  why: CloudError | null;
  /** What has come to nothing so far, and when it is tried again. */
  attempts: number;
  retry_at: Date | null;
  /** What the last one came to nothing by. */
  last_error: string | null;
}

export interface Maintenance extends Omit<HostMaintenance, 'before'> {
  host_id: string;
  host_name: string;
  /** draining: something goes, or will; drained: no server is left; blocked: of what is left nothing goes by itself. */
  state: 'draining' | 'drained' | 'blocked';
  /** That have left it since. */
  moved: number;
  /** How many are left; the first of them in `servers`. */
  left: number;
  servers: LeftServer[];
  /** Of what stays with the machine: it is in the way of `bothy leave`, not of a restart. */
  volumes: number;
}

/** More are not looked at one by one. */
const mostShown = 100;

interface Row extends ServerRow, Attempts {
  phase: string | null;
  progress: { disks: { copied: number; total: number }; memory?: { total: number; remaining: number } } | null;
  target_name: string | null;
}

/** Null: it need not be empty. Undefined: there is no such host. */
export function maintenanceOf(database: Database, hostId: string): Promise<Maintenance | null | undefined> {
  return database.transaction(cloudActor, async (tx) => {
    await sql`set transaction isolation level repeatable read, read only`.execute(tx);
    const { rows } = await sql<{
      name: string;
      maintenance: HostMaintenance | null;
      left: number;
      moved: number;
      volumes: number;
    }>`select h.name, h.maintenance,
        (select count(*)::integer from (${leftOn(sql`h.id`)}) l) as left,
        (select count(*)::integer from server_migration m where m.cause = 'maintenance' and m.host_id = h.id
          and m.ended in ('completed', 'confirmed') and m.created_at >= (h.maintenance ->> 'since')::timestamptz) as moved,
        (select count(*)::integer from volume where host_id = h.id) as volumes
      from host h where h.id = ${hostId}`.execute(tx);
    const host = rows[0];
    if (!host?.maintenance) return host && null;
    const { before: _, ...said } = host.maintenance;
    const servers = await leftServers(tx, hostId, said);
    const goes = servers.some(({ state }) => state !== 'stuck') || servers.length < host.left;
    const state = host.left === 0 ? 'drained' : goes ? 'draining' : 'blocked';
    const { moved, left, volumes } = host;
    return { host_id: hostId, host_name: host.name, ...said, state, moved, left, servers, volumes };
  });
}

/** What it has, and what it keeps of one that has moved, or takes of one that comes. */
export const leftOn = (hostId: ReturnType<typeof sql>) => sql`select id from server where host_id = ${hostId}
  union select server_id from server_migration where other_host_id = ${hostId}`;

async function leftServers(
  tx: Tx,
  hostId: string,
  { since, cause }: Pick<HostMaintenance, 'since' | 'cause'>,
): Promise<LeftServer[]> {
  const { rows } =
    await sql<Row>`select s.*, m.phase, m.progress, t.name as target_name, f.failed, f.retry_at, f.last_error
    from (${leftOn(sql`${hostId}::uuid`)}) l join server s on s.id = l.id
    left join server_migration m on m.server_id = s.id and m.phase <> 'ended'
    left join host t on t.id = m.target_host_id
    left join lateral (${attemptsSince(sql`s.id`, hostId, sql`${since}::timestamptz`)}) f on true
    order by s.id limit ${mostShown}`.execute(tx);
  const picture = new HostPicture();
  const shown: LeftServer[] = [];
  for (const row of rows) shown.push({ ...plain(row), ...(await fateOf(tx, row, { hostId, picture, cause })) });
  return shown;
}

const plain = (row: Row) => ({
  ...{ id: row.id, name: row.name, project_id: row.project_id },
  ...{ attempts: row.failed, retry_at: row.retry_at, last_error: row.last_error },
});

async function fateOf(
  tx: Tx,
  row: Row,
  { hostId, picture, cause }: { hostId: string; picture: HostPicture; cause: HostMaintenance['cause'] },
): Promise<Pick<LeftServer, 'state' | 'to' | 'progress' | 'why'>> {
  const goes = { state: 'moving', to: row.target_name, progress: bytesOf(row), why: null } as const;
  const leaves = row.desired_presence === 'absent' || row.desired_shelve?.state === 'offloading';
  // What was moved by a person waits for a person: that is said below.
  const onItsWay = row.phase !== null && row.desired_move?.state !== 'kept';
  if (leaves || onItsWay || row.host_id !== hostId) return goes;
  try {
    const found = await relocationForecast(tx, row, { picture, usesReserve: mayUseReserve(cause) });
    return { state: 'waiting', to: found?.host?.name ?? null, progress: null, why: null };
  } catch (error) {
    if (!isRelocationRefusal(error)) throw error;
    const why = error as CloudError;
    return { state: endsByItself(why) ? 'waiting' : 'stuck', to: null, progress: null, why };
  }
}

/** A task of a server has an end without anybody's doing; a state has not. */
const endsByItself = ({ fields }: CloudError): boolean => (fields as { attribute?: string }).attribute === 'task_state';

function bytesOf({ progress }: Row): LeftServer['progress'] {
  if (progress === null) return null;
  const { disks, memory = { total: 0, remaining: 0 } } = progress;
  return { transferred: disks.copied + memory.total - memory.remaining, total: disks.total + memory.total };
}
