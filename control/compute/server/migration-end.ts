/**
 * The end of a server's migration that no host brings: a person calls it off, its deadline has passed, or the other host is down by an
 * administrator's word. Each step is one transaction and may be repeated.
 */
import { sql } from 'kysely';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { migrationsOf, turnMove } from '../server-migration/index.ts';
import { calledOff, comeToNothing, endMoveOperations } from './migrating.ts';
import type { ServerState } from './states.ts';

/** How long hosts have to say that they have heard it. */
const callOffMs = 2 * 60_000;

/** Both hosts are asked to leave it; either one's word ends it. @returns false where it is not under way */
export async function callOff(tx: Tx, serverId: string, message: string): Promise<boolean> {
  const id = await turnMove(tx, serverId, {
    to: 'cancelling',
    from: ['preparing', 'copying', 'handing-over'],
    error: { code: calledOff, message },
  });
  if (id === undefined) return false;
  await sql`update operation o set waiting_for = 'both hosts to call it off', updated_at = now(),
      deadline = now() + ${callOffMs} * interval '1 millisecond'
    from server_migration m where m.id = ${id} and o.resource_id = m.server_id and o.generation = m.server_generation
      and o.state = 'running'`.execute(tx);
  await enqueue(tx, 'server', serverId, { at: new Date(Date.now() + callOffMs) });
  return true;
}

type Moving = Pick<ServerState, 'generation' | 'desired_move'> & { id: string };

/** What was asked for has not come in time: it is called off, and where that does not come either, nobody is waited for. */
export async function callOffExpired(
  database: Database,
  { id, generation, desired_move: move }: Moving,
  message: string,
) {
  await database.transaction(cloudActor, async (tx) => {
    // Unless a report has come in between.
    const { rows } = await sql`select from server where id = ${id} and generation = ${generation} for update`.execute(
      tx,
    );
    if (rows.length === 0 || (await callOff(tx, id, message))) return;
    await endMoveOperations(tx, id, { code: 'unavailable', message });
    if (move?.state !== 'reverting') return;
    await turnMove(tx, id, { to: 'moved', from: ['reverting'] });
    await sql`update server set desired_move = desired_move || '{"state": "kept"}', generation = generation + 1, updated_at = now()
      where id = ${id}`.execute(tx);
  });
}

/** The other host is gone, or down by an administrator's word: it never takes over. @returns false where there is nothing of the kind */
export async function settleMigration(database: Database, serverId: string): Promise<boolean> {
  const { rows } = await sql`select from server_migration m where m.server_id = ${serverId} and ${isForsaken}`.execute(
    database.query,
  );
  if (rows.length === 0) return false;
  return database.transaction(cloudActor, async (tx) => {
    await sql`select from server where id = ${serverId} for update`.execute(tx);
    const again = await sql`select from server_migration m where m.server_id = ${serverId} and ${isForsaken}`.execute(
      tx,
    );
    const migration = (await migrationsOf(tx, [serverId])).get(serverId);
    if (again.rows.length === 0 || !migration) return false;
    const error = { code: 'unavailable', message: 'The other host is down.' };
    await comeToNothing(tx, migration, { ended: 'failed', error });
    await enqueue(tx, 'server', serverId);
    return true;
  });
}

const isForsaken = sql`m.phase in ('preparing', 'copying', 'handing-over', 'cancelling')
  and not exists (select from host h where h.id = m.other_host_id and not h.forced_down)`;
