import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';

/**
 * Makes the host known, so that its certificate lets it connect. Safe to repeat: a new name replaces the old one.
 * @throws CloudError `conflict` when another host has the name
 */
export async function registerHost(database: Database, host: { id: HostId; name: string }): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    with other as (select id from host where name = ${host.name} and id <> ${host.id}),
    written as (
      insert into host (id, name) select ${host.id}, ${host.name} where not exists (select from other)
      on conflict (id) do update set name = excluded.name, updated_at = now() where host.name <> excluded.name)
    select id from other`.execute(database.query);
  if (rows.length > 0) {
    throw new CloudError('conflict', 'host_name_taken', { id: host.id, name: host.name, by: rows[0]!.id });
  }
}
