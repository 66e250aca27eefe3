/** That a host shall be in standby: said in the transaction that decides it, with its maintenance, which empties it. Nothing is asked of a BMC here (standby.ts). Owns `host_standby`. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { beginMaintenance, endMaintenance } from '../maintenance/index.ts';
import { lockPlacement } from '../placement/index.ts';
import { keepRefuges } from '../server/index.ts';

/** It may be tried again soon: the transaction comes to nothing. */
export class StandbyLater extends Error {}

/** What hosts keep for the loss of one would not be enough any more: the transaction comes to nothing. */
export class BelowReserve extends Error {}

/**
 * @returns false where it can't be any more: it is closed, away, or another one is on its way there
 * @throws BelowReserve, StandbyLater
 */
export async function beginStandby(tx: Tx, hostId: string, reason: string): Promise<boolean> {
  const { rows: alone } = await sql<{ alone: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended('consolidate', 0)) as alone`.execute(tx);
  if (!alone[0]!.alone) return false;
  // Servers' rows before placement's lock, as everybody does.
  const { rows: held } = await sql<{ id: string }>`select id from server
    where id in (select server_id from server_refuge where refuge_host_id = ${hostId}) order by id for update skip locked`.execute(
    tx,
  );
  await lockPlacement(tx);
  const { rows } = await sql`insert into host_standby (host_id, reason)
    select h.id, ${reason} from host h where h.id = ${hostId} and h.enabled and h.connected and not h.forced_down and h.maintenance is null
      and not exists (select from control_process c where c.machine = h.name)
      and not exists (select from host_standby where desired = 'awake' or off_at is null)
    on conflict do nothing returning host_id`.execute(tx);
  if (rows.length === 0) return false;
  await beginMaintenance(tx, hostId, { cause: 'consolidation', reason: 'in standby while nobody needs it' });
  const { rows: guests } = await sql<{ serverId: string; hostId: string }>`
    select server_id as "serverId", lost_host_id as "hostId" from server_refuge where refuge_host_id = ${hostId} order by server_id`.execute(
    tx,
  );
  const mine = new Set(held.map(({ id }) => id));
  if (guests.some(({ serverId }) => !mine.has(serverId)))
    throw new StandbyLater('servers that it keeps room for are under way');
  const without = await keepRefuges(tx, guests);
  if (without.size > 0) throw new BelowReserve('what hosts keep for the loss of one would not be enough');
  return true;
}

/** It may carry servers again. A person's maintenance is theirs to end. */
export async function endStandby(tx: Tx, hostId: string): Promise<void> {
  await endMaintenance(tx, hostId, { cause: 'consolidation' });
  await sql`delete from host_standby where host_id = ${hostId}`.execute(tx);
  // A row that is gone is seen by none who reads what has changed.
  await sql`update host set changed_in = pg_current_xact_id() where id = ${hostId}`.execute(tx);
}
