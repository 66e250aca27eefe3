/** Hosts as the dialects may see and steer them: zones for everyone, everything else for administrators. */
import { sql } from 'kysely';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  type Hypervisor,
  listHypervisors,
  type ProjectOnHost,
  projectsOnHost,
  serversOfHypervisors,
  setHostEnabled,
} from './list.ts';

export interface Zone {
  name: string;
  /** At least one host takes servers now. */
  available: boolean;
}

export class HypervisorService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Without any host there is still the zone that the first one will be in. */
  async zones(): Promise<Zone[]> {
    const { rows } = await sql<Zone>`select availability_zone as name, bool_or(enabled and connected) as available
      from host group by availability_zone order by availability_zone`.execute(this.#database.query);
    return rows.length > 0 ? rows : [{ name: 'nova', available: false }];
  }

  async hosts(caller: Caller, options: { marker?: string; limit?: number } = {}): Promise<Hypervisor[]> {
    requireAdmin(caller, 'list hosts');
    return listHypervisors(this.#database.query, options);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async host(caller: Caller, id: string): Promise<Hypervisor> {
    requireAdmin(caller, 'show a host');
    const [host] = await listHypervisors(this.#database.query, { id });
    if (!host) throw notFound('host', id);
    return host;
  }

  /** Names and ids of the servers on each host. */
  async servers(caller: Caller, hostIds: readonly string[]): Promise<Map<string, { id: string; name: string }[]>> {
    requireAdmin(caller, 'list the servers of hosts');
    return serversOfHypervisors(this.#database.query, hostIds);
  }

  /** What the servers of each project are given there. */
  async projects(caller: Caller, hostId: string): Promise<ProjectOnHost[]> {
    requireAdmin(caller, 'list the projects on a host');
    return projectsOnHost(this.#database.query, hostId);
  }

  /** Whether new servers may be placed there; those that are there stay. */
  async setEnabled(caller: Caller, id: string, state: { enabled: boolean; reason: string | null }): Promise<void> {
    requireAdmin(caller, 'open or close a host');
    const known = await this.#database.transaction(actorOf(caller), (tx) => setHostEnabled(tx, id, state));
    if (!known) throw notFound('host', id);
  }
}
