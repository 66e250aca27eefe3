/**
 * That a host shall be empty: said and taken back, in the transaction of whoever decides it. Owns `host.maintenance`; closes the host for new servers
 * with it, and puts back what was said before. Nothing is moved here (drainer.ts).
 */
import { sql } from 'kysely';
import type { HostMaintenance, HostWordBy } from '../../host/tables.ts';
import type { Tx } from '../../kit/database/database.ts';
import { callOffRelocations } from '../server/index.ts';

export type MaintenanceCause = HostMaintenance['cause'];

/** What hosts keep for the loss of one is there for those whose host must be empty, not for the cloud's wish to save power. */
export const mayUseReserve = (cause: MaintenanceCause): boolean => cause !== 'consolidation';

export interface MaintenanceWish {
  cause: MaintenanceCause;
  reason: string | null;
  by?: HostWordBy | null;
  /** Of a shutdown. */
  bootId?: string;
}

/**
 * A person's word goes before a machine's: it takes the place of one that a host or the cloud has said, and is not replaced by theirs. Since when the host shall be empty stays.
 * Safe to repeat.
 * @returns false where there is no such host
 */
export async function beginMaintenance(tx: Tx, hostId: string, wish: MaintenanceWish): Promise<boolean> {
  const { cause, reason, by = null, bootId } = wish;
  const said = { cause, reason, by, ...(bootId !== undefined && { boot_id: bootId }) };
  const closed = reason === null ? 'maintenance' : `maintenance: ${reason}`;
  const { numAffectedRows = 0n } =
    await sql`update host set updated_at = now(), enabled = false, disabled_reason = ${closed},
      disabled_by = ${by === null ? null : JSON.stringify(by)}::jsonb,
      maintenance = ${JSON.stringify(said)}::jsonb || jsonb_build_object(
        'since', coalesce(maintenance ->> 'since', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')),
        'before', coalesce(maintenance -> 'before',
          jsonb_build_object('enabled', enabled, 'disabled_reason', disabled_reason, 'disabled_by', disabled_by)))
    where id = ${hostId} and (maintenance is null or ${cause === 'administrator'}::boolean
      or maintenance ->> 'cause' = ${cause})`.execute(tx);
  if (numAffectedRows > 0n) return true;
  const { rows } = await sql`select from host where id = ${hostId}`.execute(tx);
  return rows.length > 0;
}

export interface MaintenanceChoice {
  /** Only one of this cause. */
  cause?: MaintenanceCause;
  /** Only one that another start of the machine has asked for. */
  exceptBootId?: string;
}

/**
 * What is on its way comes to nothing where it still may; what has left stays where it is. Safe to repeat.
 * @returns whether there was one to end
 */
export async function endMaintenance(
  tx: Tx,
  hostId: string,
  { cause, exceptBootId }: MaintenanceChoice = {},
): Promise<boolean> {
  // Servers' rows are locked before a host's, as everybody does.
  const chosen = sql`id = ${hostId} and maintenance is not null and (${cause ?? null}::text is null or maintenance ->> 'cause' = ${cause ?? null})
    and (${exceptBootId ?? null}::text is null or maintenance ->> 'boot_id' is distinct from ${exceptBootId ?? null})`;
  const { rows } = await sql`select from host where ${chosen}`.execute(tx);
  if (rows.length === 0) return false;
  await callOffRelocations(tx, hostId, 'maintenance');
  const { numAffectedRows = 0n } = await sql`update host set enabled = (maintenance #>> '{before,enabled}')::boolean,
      disabled_reason = maintenance #>> '{before,disabled_reason}', disabled_by = nullif(maintenance #> '{before,disabled_by}', 'null'),
      maintenance = null, updated_at = now()
    where ${chosen}`.execute(tx);
  return numAffectedRows > 0n;
}
