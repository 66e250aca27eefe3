/** Security groups of a server: those of all its ports at once, as Nova's addSecurityGroup means it. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { listRows } from '../../kit/listing.ts';
import { type SecurityGroupRow, securityGroupListing } from '../../network/security-group/security-group.ts';
import type { ServerRow } from './server.ts';

/** @throws CloudError `not_found`, `conflict` for a name that several groups have */
async function findGroup(tx: Tx, projectId: string, nameOrId: string): Promise<string> {
  const id = parseId(nameOrId) ?? null;
  const { rows } = await sql<{ id: string }>`select id from security_group
    where project_id = ${projectId} and (name = ${nameOrId} or id = ${id}::uuid) order by (id = ${id}::uuid) desc limit 2`.execute(
    tx,
  );
  if (rows.length === 0) {
    throw new CloudError('not_found', 'security_group_not_found_in_project', { name: nameOrId, project: projectId });
  }
  if (rows.length > 1 && rows[0]!.id !== id) {
    throw new CloudError('conflict', 'security_group_ambiguous', { name: nameOrId });
  }
  return rows[0]!.id;
}

export async function addServerSecurityGroup(tx: Tx, server: ServerRow, nameOrId: string): Promise<void> {
  const groupId = await findGroup(tx, server.project_id, nameOrId);
  await sql`with added as (
      insert into port_security_group (port_id, security_group_id)
      select p.id, ${groupId}::uuid from server_port s join port p on p.id = s.port_id
      where s.server_id = ${server.id} and p.port_security_enabled
      on conflict do nothing returning port_id)
    update port set generation = generation + 1, updated_at = now() where id in (select port_id from added)`.execute(
    tx,
  );
}

/** @throws CloudError `not_found` where no port of the server has the group */
export async function removeServerSecurityGroup(tx: Tx, server: ServerRow, nameOrId: string): Promise<void> {
  const groupId = await findGroup(tx, server.project_id, nameOrId);
  const { numAffectedRows } = await sql`with removed as (
      delete from port_security_group where security_group_id = ${groupId}::uuid
        and port_id in (select port_id from server_port where server_id = ${server.id}) returning port_id)
    update port set generation = generation + 1, updated_at = now() where id in (select port_id from removed)`.execute(
    tx,
  );
  if (numAffectedRows === 0n) {
    throw new CloudError('not_found', 'security_group_not_of_server', { name: nameOrId, server: server.id });
  }
}

/** The groups of all of its ports, each once, by name. */
export async function serverSecurityGroups(
  db: Queryable,
  caller: Caller,
  serverId: string,
): Promise<SecurityGroupRow[]> {
  const { rows } = await sql<{ id: string }>`select distinct x.security_group_id as id
    from server_port s join port_security_group x on x.port_id = s.port_id where s.server_id = ${serverId}`.execute(db);
  const sort = ['name', 'id'].map((column) => ({ column, descending: false }));
  return listRows(db, caller, securityGroupListing, { ids: rows.map(({ id }) => id), sort });
}
