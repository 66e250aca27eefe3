/**
 * A server goes to another host because the cloud wants it there: away from one that shall be empty, or to where there is more room. Nobody's wish but the cloud's, by the very
 * way that an administrator's `migrate` and `os-migrateLive` go; which of the two follows from what the server is. One that is shelved needs no host, and leaves it.
 */
import { sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import type { UserId } from '../../../contract/ids.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import type { HostPicture, Placement } from '../placement/index.ts';
import { type MigrationCause, stallMs } from '../server-migration/index.ts';
import { accept, bytesMs } from './actions/action.ts';
import { begin, forecast } from './actions/move.ts';
import { offloadNow } from './actions/shelve.ts';
import { confirmKept } from './confirming.ts';
import type { ServerPorts } from './dependencies.ts';
import { requireLegal } from './legal.ts';
import { callOff } from './migration-end.ts';
import type { ServerRow } from './server.ts';
import { vmState } from './states.ts';
import { stateColumns } from './states-sql.ts';

export type RelocationKind = 'live-migration' | 'migrate' | 'shelveOffload';

const moveKind = { 'live-migration': 'live-migration', migrate: 'migration' } as const;

/** How it can go; checks that it may, now. @throws CloudError `conflict` for one that is in no such state, or in the middle of something */
function relocationOf(server: ServerRow): RelocationKind {
  const vm = vmState(server);
  const kind = vm === 'shelved' ? 'shelveOffload' : vm === 'active' || vm === 'paused' ? 'live-migration' : 'migrate';
  requireLegal(server, kind);
  return kind;
}

export interface Relocation {
  cause: MigrationCause;
  /** Its host shall be empty by a person's or the machine's word: it may have what hosts keep for such. */
  usesReserve?: boolean;
  /** The name of the only host that it may go to; absent: any. */
  host?: string;
}

/**
 * Begins it, in the transaction that holds the server's row.
 * @throws CloudError why it does not go
 */
export async function relocate(
  tx: Tx,
  { ports }: { ports: ServerPorts },
  server: ServerRow,
  { cause, host, usesReserve }: Relocation,
): Promise<RelocationKind> {
  const verb = relocationOf(server);
  const work = { tx, caller: { userId: server.user_id as UserId } };
  const decision =
    verb === 'shelveOffload'
      ? await offloadNow(tx, server)
      : await begin(work, server, { kind: moveKind[verb], size: null, host: host ?? null, cause, usesReserve });
  const deadlineMs = verb === 'shelveOffload' ? bytesMs : stallMs;
  await accept(tx, { ports }, server, decision, { verb, actor: cloudActor, deadlineMs });
  return verb;
}

/** Where it would go now; null: away from its host, to none. Nothing is changed. @throws CloudError why it would not go */
export async function relocationForecast(
  tx: Tx,
  server: ServerRow,
  { picture, host = null, usesReserve }: { picture: HostPicture; host?: string | null; usesReserve?: boolean },
): Promise<Placement | null> {
  const kind = relocationOf(server);
  return kind === 'shelveOffload'
    ? null
    : forecast(tx, server, { kind: moveKind[kind], size: null, host, usesReserve }, picture);
}

/** Servers that the cloud has moved cold: what the host that they left keeps of them may go. */
export async function confirmRelocated(database: Database): Promise<void> {
  const { rows } = await sql<Parameters<typeof confirmKept>[1]>`select ${stateColumns}, s.id, s.project_id
    from server_migration m join server s on s.id = m.server_id
    where m.cause is not null and m.phase = 'moved' and s.desired_move ->> 'state' = 'kept' limit 50`.execute(
    database.query,
  );
  for (const server of rows) await confirmKept(database, server);
}

/** What has been begun for this cause from this host comes to nothing, as far as it still may. */
export async function callOffRelocations(tx: Tx, hostId: string, cause: MigrationCause): Promise<void> {
  const { rows } = await sql<{ id: string }>`select s.id from server_migration m join server s on s.id = m.server_id
    where m.cause = ${cause} and m.host_id = ${hostId} and m.phase in ('preparing', 'copying') order by s.id for update of s`.execute(
    tx,
  );
  for (const { id } of rows) await callOff(tx, id, 'The host need not be empty any more.');
}

/** That it does not go now is no fault of anybody's. */
export const isRelocationRefusal = (error: unknown): boolean =>
  isCloudError(error, 'invalid', 'conflict', 'no_capacity');
