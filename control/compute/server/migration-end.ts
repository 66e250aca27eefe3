/**
 * The end of a server's migration that no host brings: a person calls it off, its deadline has passed, or the other host is down by an
 * administrator's word. Each step is one transaction and may be repeated.
 */
import { type RawBuilder, sql } from 'kysely';
import { cloudActor, type Database, type Queryable, type Tx } from '../../kit/database/database.ts';
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

/**
 * One of both hosts is gone, or down by an administrator's word. A target then never takes over. A source that has not let go never will: the target
 * is asked to leave it, and the server is where its host is lost, which others see to.
 * @returns false where there is nothing of the kind
 */
export async function settleMigration(database: Database, serverId: string): Promise<boolean> {
  const look = (db: Queryable) => sql<Settling>`${forsaken} and m.server_id = ${serverId}`.execute(db);
  if ((await look(database.query)).rows.length === 0) return false;
  return database.transaction(cloudActor, async (tx) => {
    await sql`select from server where id = ${serverId} for update`.execute(tx);
    const [settling] = (await look(tx)).rows;
    const migration = (await migrationsOf(tx, [serverId])).get(serverId);
    if (!settling || !migration) return false;
    if (!settling.target_down) return callOff(tx, serverId, 'The host of the server is down.');
    const error = { code: 'unavailable', message: 'The other host is down.' };
    await comeToNothing(tx, migration, { ended: 'failed', error });
    await enqueue(tx, 'server', serverId);
    return true;
  });
}

interface Settling {
  server_id: string;
  target_down: boolean;
}

const isDown = (host: RawBuilder<unknown>) =>
  sql`not exists (select from host h where h.id = ${host} and not h.forced_down)`;

/** Migrations that one of both hosts will never end. */
export const forsaken = sql`select m.server_id, ${isDown(sql`m.other_host_id`)} as target_down from server_migration m
  where (m.phase in ('preparing', 'copying', 'handing-over', 'cancelling') and ${isDown(sql`m.other_host_id`)}
    or m.phase in ('preparing', 'copying') and ${isDown(sql`m.host_id`)})`;
