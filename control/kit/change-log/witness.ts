/**
 * A witness of the database's history: one change of the log, by place and time. Whoever was shown it can later ask whether the
 * database that answers has ever made that change. One that went back (a data directory copied back, a recovery to a point
 * in time, a replica promoted that was behind) has not, whatever it did since. Reads only.
 */
import { sql } from 'kysely';
import type { Queryable } from '../database/database.ts';
import type { Change } from './change.ts';

export const witnessOf = ({ position, at }: Change): string =>
  `${position.transactionId}.${position.sequence}.${at.getTime()}`;

/** The newest change that is final; undefined where the log has none. */
export async function latestWitness(db: Queryable): Promise<string | undefined> {
  const { rows } = await sql<{ witness: string }>`
    select transaction_id::text || '.' || sequence || '.' || floor(extract(epoch from at) * 1000)::bigint as witness
    from change where transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    order by transaction_id desc, sequence desc limit 1`.execute(db);
  return rows[0]?.witness;
}

/** False only where it is certain: the log reaches back that far, and the change is not in it. */
export async function mayHaveHappened(db: Queryable, witness: string): Promise<boolean> {
  const match = /^(\d{1,19})\.(\d{1,15})\.(\d{1,15})$/.exec(witness);
  if (!match) return true;
  const [, transactionId, sequence, at] = match;
  const { rows } = await sql<{ happened: boolean; forgotten: boolean }>`
    select exists (select from change where transaction_id = ${transactionId}::xid8 and sequence = ${sequence}::bigint
        and floor(extract(epoch from at) * 1000)::bigint = ${at}::bigint) as happened,
      (select (transaction_id, sequence) >= (${transactionId}::xid8, ${sequence}::bigint) from change_floor) as forgotten`.execute(
    db,
  );
  return rows[0]!.happened || rows[0]!.forgotten;
}
