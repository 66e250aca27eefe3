/** A project that is named by what hosts have and is not in the database: its id is all that is left of it. */
import { sql } from 'kysely';
import type { Tx } from '../kit/database/database.ts';

/** Makes it in the default domain, named after its id, where it is missing. Its members are an administrator's business. */
export async function recoverProject(tx: Tx, id: string): Promise<void> {
  await sql`insert into project (id, domain_id, name, description)
    select ${id}::uuid, d.id, 'recovered-' || ${id}, 'Made again from what hosts had: its name and its members are lost.'
    from domain d where d.is_default on conflict (id) do nothing`.execute(tx);
}
