/** A resize notes its beginning and its end here, in its own transactions. SQL, nothing else. */
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';

export interface NewMigration {
  projectId: string;
  userId: string;
  serverId: string;
  /** The server's generation that asks for it. */
  generation: number;
  hostId: string | null;
  oldFlavorId: string;
  newFlavorId: string;
}

export async function beginMigration(tx: Tx, made: NewMigration): Promise<void> {
  await sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, host_id, old_flavor_id, new_flavor_id)
    values (${newId()}, ${made.projectId}, ${made.userId}, ${made.serverId}, ${made.generation}, ${made.hostId},
      ${made.oldFlavorId}, ${made.newFlavorId})`.execute(tx);
}

/** Of the one that the server is in. */
export async function endMigration(
  tx: Tx,
  serverId: string,
  generation: number,
  ended: 'confirmed' | 'reverted',
): Promise<void> {
  await sql`update server_migration set ended = ${ended}, updated_at = now()
    where server_id = ${serverId} and server_generation = ${generation} and ended is null`.execute(tx);
}
