/** The loss that the cloud keeps room for, for administrators. Owns `reserve_policy`. */
import { sql } from 'kysely';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import type { Room, Survive } from '../placement/index.ts';
import { needsRefuge } from '../server/index.ts';

export interface Reserve {
  survive: Survive;
  /** Servers that shall be restarted elsewhere and could be, and those of them that have a refuge. */
  servers: number;
  kept: number;
  /** By host, those that keep some. */
  hosts: ({ id: string; name: string } & Room)[];
  /** Of those without a refuge the first few. */
  without: { id: string; name: string; project_id: string; host_id: string }[];
}

const mostShown = 100;

export class ReserveService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async show(caller: Caller): Promise<Reserve> {
    requireAdmin(caller, 'show what is kept for the loss of a host');
    const { rows } = await sql<Reserve>`
      with guarded as materialized (select s.id, s.name, s.project_id, s.host_id, r.refuge_host_id from server s
        left join server_refuge r on r.server_id = s.id and r.lost_host_id = s.host_id
        where s.host_id is not null and ${needsRefuge})
      select (select survive from reserve_policy) as survive, (select count(*)::integer from guarded) as servers,
        (select count(*)::integer from guarded where refuge_host_id is not null) as kept,
        (select coalesce(json_agg(json_build_object('id', h.id, 'name', h.name, 'vcpus', k.vcpus, 'memory_mib', k.memory_mib, 'disk_gib', k.disk_gib)
            order by h.name, h.id), '[]')
          from host_reserve k join host h on h.id = k.host_id where k.vcpus + k.memory_mib + k.disk_gib > 0) as hosts,
        (select coalesce(json_agg(json_build_object('id', id, 'name', name, 'project_id', project_id, 'host_id', host_id) order by id), '[]')
          from (select * from guarded where refuge_host_id is null order by id limit ${mostShown}) few) as without`.execute(
      this.#database.query,
    );
    return rows[0]!;
  }

  /**
   * From now on nothing is accepted that would leave no room for it. For servers that are there already room is looked for in the background; what has none is shown.
   */
  async set(caller: Caller, survive: Survive): Promise<Reserve> {
    requireAdmin(caller, 'say what loss room is kept for');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await sql`update reserve_policy set survive = ${survive}, updated_at = now() where survive <> ${survive}`.execute(
        tx,
      );
      if (survive === 'none') await sql`delete from server_refuge`.execute(tx);
      // What counts as one loss has changed.
      else await sql`select count_host_reserve(array(select host_id from host_reserve))`.execute(tx);
    });
    return this.show(caller);
  }
}
