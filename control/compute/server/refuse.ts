/** A server for which there is no place: ERROR, with why, and what would help. In the transaction that decided so. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { faultOf } from './server.ts';
import type { ServerFault } from './snapshots.ts';

/** @param why `details` are for administrators */
export async function refuseServer(
  tx: Tx,
  server: { id: string; generation: number },
  why: { message: string; details?: string },
): Promise<void> {
  const { message, details } = why;
  const fault: ServerFault = {
    ...faultOf('no_capacity', message, server.generation),
    ...(details !== undefined && { details }),
  };
  // One that was to be unshelved is shelved as before.
  await sql`update server set fault = case when desired_shelve is null then ${json(fault)}::jsonb end,
    desired_shelve = desired_shelve || '{"state": "offloaded"}', updated_at = now() where id = ${server.id}`.execute(
    tx,
  );
  await endOperations(tx, server.id, server.generation, { state: 'failed', code: 'no_capacity', message });
}

/** What is in the way, and what would help. */
export const sentences = ({ message, fix }: { message: string; fix: string }): string =>
  [message, fix]
    .filter((text) => text !== '')
    .map((text) => `${text[0]!.toUpperCase()}${text.slice(1)}.`)
    .join(' ');
