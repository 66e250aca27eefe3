/** Hosts as administrators see and steer them (Nova calls them hypervisors and services). */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type HostId, parseId } from '../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../kit/caller.ts';
import type { Database, Queryable, Tx } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import type { HostRow } from './tables.ts';

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

export interface HostList {
  limit: number;
  /** The last id of the page before. */
  marker?: string;
  name?: string;
}

/** @throws CloudError `forbidden` */
export async function listHosts(db: Queryable, caller: Caller, options: HostList): Promise<HostRow[]> {
  requireAdmin(caller, 'listing hosts');
  let query = db.selectFrom('host').selectAll().orderBy('id').limit(options.limit);
  if (options.marker !== undefined) query = query.where('id', '>', options.marker);
  if (options.name !== undefined) query = query.where('name', '=', options.name);
  return query.execute();
}

/** By id or by name. @throws CloudError `forbidden`, `not_found` */
export async function showHost(db: Queryable, caller: Caller, idOrName: string): Promise<HostRow> {
  requireAdmin(caller, 'showing a host');
  const id = parseId(idOrName);
  const row = await db
    .selectFrom('host')
    .selectAll()
    .where((eb) => (id ? eb.or([eb('id', '=', id), eb('name', '=', idOrName)]) : eb('name', '=', idOrName)))
    .executeTakeFirst();
  if (!row) throw notFound('host', idOrName);
  return row;
}

/** Lets new servers be placed on the host, or not; those that are there stay. @throws CloudError `forbidden`, `not_found` */
export async function setHostEnabled(
  database: Database,
  caller: Caller,
  hostId: HostId,
  wanted: { enabled: true } | { enabled: false; reason: string | null },
): Promise<HostRow> {
  requireAdmin(caller, wanted.enabled ? 'enabling a host' : 'disabling a host');
  return database.transaction(actorOf(caller), async (tx: Tx) => {
    const row = await tx
      .updateTable('host')
      .set({ enabled: wanted.enabled, disabled_reason: wanted.enabled ? null : wanted.reason, updated_at: sql`now()` })
      .where('id', '=', hostId)
      .returningAll()
      .executeTakeFirst();
    if (!row) throw notFound('host', hostId);
    return row;
  });
}
