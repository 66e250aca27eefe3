/** A server as it is shown: one statement, over what is shown of it. */
import { sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { interfacesOf, type ServerInterface } from '../../network/port/server-views.ts';
import type { ListedServer } from './server.ts';
import { listedRow, type Reach, reachCondition } from './store.ts';

export interface WholeServer {
  server: ListedServer;
  interfaces: ServerInterface[];
  userData: string | null;
}

/** Undefined also for one out of reach. */
export async function showServer(
  db: Queryable,
  reach: Reach,
  id: string,
  options: { userData: boolean },
): Promise<WholeServer | undefined> {
  const data = options.userData ? sql`(select user_data from server_user_data where server_id = s.id)` : sql`null`;
  const { rows } = await sql<ListedServer & Pick<WholeServer, 'interfaces' | 'userData'>>`
    select ${listedRow}, null::timestamptz as deleted_at, ${interfacesOf(sql`s.id`)} as interfaces, ${data} as "userData"
    from server s left join host h on h.id = s.host_id where s.id = ${id} and ${reachCondition(reach)}`.execute(db);
  if (!rows[0]) return undefined;
  const { interfaces, userData, ...server } = rows[0];
  return { server, interfaces, userData };
}
