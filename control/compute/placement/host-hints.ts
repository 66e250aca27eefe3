/** The servers beside which a server shall be, or shall not be: which hosts have them. To be read under placement's lock: then nobody else gives them hosts. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { PlacementRequest } from './request.ts';

/** Ids of servers, as their owner gave them; what is not there, or another project's, is on no host. */
export interface HostHints {
  same_host: string[] | null;
  different_host: string[] | null;
}

/** Of `server s`; null: it wants none, and none away. */
export const hostHintsSql = sql`case when s.same_host is not null or s.different_host is not null
  then jsonb_build_object('same_host', s.same_host, 'different_host', s.different_host) end`;

interface Choosy {
  project_id: string;
  hints?: HostHints | null | undefined;
}

interface Whereabouts {
  project_id: string;
  /** That it is on, and that it is promised to. */
  hosts: string[];
  /** It has none, and shall have one. */
  waits: boolean;
}

const namedBy = ({ hints }: Choosy): string[] => [...(hints?.same_host ?? []), ...(hints?.different_host ?? [])];

export class HintedHosts {
  readonly #where: Map<string, Whereabouts>;

  private constructor(where: Map<string, Whereabouts>) {
    this.#where = where;
  }

  static async read(tx: Tx, servers: readonly Choosy[]): Promise<HintedHosts> {
    const ids = new Set(servers.flatMap(namedBy));
    if (ids.size === 0) return new HintedHosts(new Map());
    const { rows } = await sql<Whereabouts & { id: string }>`
      select s.id, s.project_id, array_remove(array[s.host_id, c.host_id], null) as hosts,
        s.host_id is null and s.fault is null and s.desired_presence = 'present' and coalesce(s.desired_shelve ->> 'state' <> 'offloaded', true) as waits
      from server s left join server_claim c on c.server_id = s.id where ${isOneOf(sql`s.id`, [...ids])}`.execute(tx);
    return new HintedHosts(new Map(rows.map(({ id, ...where }) => [id, where])));
  }

  /** From now on it is there. */
  came(server: { id: string; project_id: string }, hostId: string): void {
    this.#where.set(server.id, { project_id: server.project_id, hosts: [hostId], waits: false });
  }

  /** One that it names was made before it and has no host yet: it has its own after that. */
  isAwaited(server: Choosy): boolean {
    return this.#named(server).some(({ waits }) => waits);
  }

  /** The server with the hosts that its hints name. */
  of<Server extends PlacementRequest & Choosy>(server: Server): Server {
    const { same_host: same, different_host: different } = server.hints ?? { same_host: null, different_host: null };
    return {
      ...server,
      ...(same && { beside: this.#hostsOf(server, same) }),
      ...(different && { away_from: this.#hostsOf(server, different) }),
    };
  }

  #hostsOf(server: Choosy, ids: readonly string[]): string[] {
    return [...new Set(this.#named(server, ids).flatMap(({ hosts }) => hosts))].sort();
  }

  #named(server: Choosy, ids: readonly string[] = namedBy(server)): Whereabouts[] {
    return ids.flatMap((id) => this.#where.get(id) ?? []).filter((one) => one.project_id === server.project_id);
  }
}
