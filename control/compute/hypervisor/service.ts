/** Hosts as the dialects may see and steer them: zones for everyone, everything else for administrators. */
import { sql } from 'kysely';
import type { HostLoad } from '../../../contract/host/index.ts';
import type { HostId } from '../../../contract/ids.ts';
import type { HostEndpoint } from '../../host/index.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  type HostWord,
  type Hypervisor,
  listHypervisors,
  type ProjectOnHost,
  projectsOnHost,
  serversOfHypervisors,
  setHostWord,
} from './list.ts';
import { removeHost } from './remove.ts';

export interface Zone {
  name: string;
  /** At least one host takes servers now. */
  available: boolean;
}

export interface HypervisorHosts {
  /** @throws CloudError where it can't be asked */
  load(host: HostEndpoint): Promise<HostLoad>;
}

export class HypervisorService {
  readonly #database: Database;
  readonly #hosts: HypervisorHosts | undefined;

  constructor({ database, hosts }: { database: Database; hosts?: HypervisorHosts }) {
    this.#database = database;
    this.#hosts = hosts;
  }

  /** Asks the machine itself. Null where it is older or does not answer. @throws CloudError `forbidden` */
  async load(caller: Caller, { id, up, facts }: Hypervisor): Promise<HostLoad | null> {
    requireAdmin(caller, 'see how busy a host is');
    if (!up || facts.url === undefined) return null;
    return this.#hosts?.load({ id: id as HostId, url: facts.url }).catch(() => null) ?? null;
  }

  /** Without any host there is still the zone that the first one will be in. */
  async zones(): Promise<Zone[]> {
    const { rows } =
      await sql<Zone>`select availability_zone as name, bool_or(enabled and connected and not forced_down) as available
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

  /** Whether new servers may be placed there, and whether it is taken for down; those that are there stay as they are. */
  async say(caller: Caller, id: string, word: HostWord): Promise<void> {
    requireAdmin(caller, 'open or close a host');
    const known = await this.#database.transaction(actorOf(caller), (tx) => setHostWord(tx, id, word, caller));
    if (!known) throw notFound('host', id);
  }

  /**
   * Takes a host out of the cloud, with its places in aggregates and the copies of images that are elsewhere too.
   * @throws CloudError `not_found`; `conflict` where it is up, or something is lost with it
   */
  async remove(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'remove a host');
    await this.#database.transaction(actorOf(caller), (tx) => removeHost(tx, id));
  }

  /**
   * The same, asked for by the host itself (`bothy leave`), whose word its certificate is: while it is up.
   * @throws CloudError `not_found`; `conflict` where something is lost with it
   */
  async leave(id: HostId): Promise<void> {
    await this.#database.transaction(cloudActor, (tx) => removeHost(tx, id, { byItself: true }));
  }
}
