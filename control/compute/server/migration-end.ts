/**
 * The end of a server's migration that no host brings: a person calls it off, its deadline has passed, or one of both hosts is down by an
 * administrator's word. Each step is one transaction and may be repeated.
 */
import { type RawBuilder, sql } from 'kysely';
import { cloudActor, type Database, type Queryable, type Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { lockPlacement } from '../placement/index.ts';
import { type Migration, migrationsOf, turnMove } from '../server-migration/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { isSaidDown, isSilent, lookAtHost } from './evacuation-evidence.ts';
import { calledOff, comeToNothing, endMoveOperations, goBack } from './migrating.ts';
import type { ServerState } from './states.ts';

/** How long hosts have to say that they have heard it. */
const callOffMs = 2 * 60_000;

/**
 * Before the source was told of a target it ends at once. After that both hosts are asked to leave it, and the target's `given_up` or the source's
 * `stayed` ends it; a source that has lost sight of what it handed over can't say that, so then only the target's word does.
 * @returns false where it is not under way
 */
export async function callOff(tx: Tx, serverId: string, message: string): Promise<boolean> {
  const error = { code: calledOff, message };
  const migration = (await migrationsOf(tx, [serverId])).get(serverId);
  if (migration?.phase === 'preparing') {
    await comeToNothing(tx, migration, { ended: 'cancelled', error });
    await enqueue(tx, 'server', serverId);
    return true;
  }
  const id = await turnMove(tx, serverId, { to: 'cancelling', from: ['copying', 'handing-over'], error });
  if (id === undefined) return false;
  await sql`update operation o set waiting_for = 'both hosts to call it off', updated_at = now(),
      deadline = now() + ${callOffMs} * interval '1 millisecond'
    from server_migration m where m.id = ${id} and o.resource_id = m.server_id and o.generation = m.server_generation
      and o.state = 'running'`.execute(tx);
  await enqueue(tx, 'server', serverId, { afterMs: callOffMs });
  return true;
}

type Moving = Pick<ServerState, 'generation' | 'desired_move'> & { id: string };

/**
 * What was asked for has not come in time: it is called off. Where that does not come either, what was asked for has failed, but who has the guest is
 * still for the hosts to say: the server is on its way until one of them does, or an administrator says that the host is down.
 */
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
 * One of both hosts is gone, or an administrator says that it is down. Of a target that can't run the guest any more by that word nothing is waited for; one that is still heard,
 * or whose lease has not ended, may have taken over: it is asked to leave it, and its word counts. A source that has not let go never will: the target
 * is asked to leave it, and the server is where its host is lost, which others see to. One that is to go back needs no word that it is off.
 * @returns false where there is nothing of the kind, or nothing more to be done
 */
export async function settleMigration(
  database: Database,
  { ports }: { ports: Pick<ServerPorts, 'bindServerPorts'> },
  serverId: string,
): Promise<boolean> {
  const look = (db: Queryable) => sql`${forsaken} and m.server_id = ${serverId}`.execute(db);
  if ((await look(database.query)).rows.length === 0) return false;
  return database.transaction(cloudActor, async (tx) => {
    await sql`select from server where id = ${serverId} for update`.execute(tx);
    const migration = (await migrationsOf(tx, [serverId])).get(serverId);
    if (!migration || (await look(tx)).rows.length === 0) return false;
    // Before a host's row, as everybody does.
    await lockPlacement(tx);
    if (!(await isDown(tx, migration.target_host_id))) return callOff(tx, serverId, 'One of both hosts is down.');
    if (migration.phase === 'reverting') await goBack(tx, ports, migration);
    else await comeToNothing(tx, migration, { ended: 'failed', error: targetDown });
    await enqueue(tx, 'server', serverId);
    return true;
  });
}

const targetDown = { code: 'unavailable', message: 'The other host is down.' };

/** For certain: no guest runs there. */
async function isDown(tx: Tx, hostId: Migration['target_host_id'] | null): Promise<boolean> {
  const host = hostId === null ? undefined : await lookAtHost(tx, hostId);
  return host === undefined || (isSilent(host) && isSaidDown(host));
}

const saidDown = (host: RawBuilder<unknown>) =>
  sql`not exists (select from host h where h.id = ${host} and not h.forced_down)`;

/** Migrations that one of both hosts will never end, if it is true what is said of it. */
export const forsaken = sql`select m.server_id from server_migration m
  where (m.phase in ('preparing', 'copying', 'handing-over', 'cancelling', 'reverting') and ${saidDown(sql`m.target_host_id`)}
    or m.phase in ('preparing', 'copying') and ${saidDown(sql`m.host_id`)})`;

/**
 * Of a server whose volumes go along: the other host, until it has said whether it took over. What the guest has written there since is in its layers,
 * and which layers a volume is on is known by that word alone. Undefined: nothing of the kind is under way.
 */
export async function hostCarriedTo(
  db: Queryable,
  serverId: string,
): Promise<{ host_id: string | null; host_connected: boolean | null } | undefined> {
  const { rows } = await sql<{ host_id: string | null; host_connected: boolean | null }>`
    select m.target_host_id as host_id, h.connected as host_connected
    from server_migration m left join host h on h.id = m.target_host_id
    where m.server_id = ${serverId} and m.phase in ('preparing', 'copying', 'handing-over', 'cancelling')
      and exists (select from volume_attachment a join volume v on v.id = a.volume_id
        where a.server_id = m.server_id and v.desired_task ->> 'kind' = 'carry')`.execute(db);
  return rows[0];
}
