/** Hosts that shall be empty, as administrators and the hosts themselves ask for it. */
import { sql } from 'kysely';
import { type HostId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database, type Queryable } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { beginMaintenance, endMaintenance } from './begin-and-end.ts';
import { type Maintenance, maintenanceOf } from './show.ts';

export class MaintenanceService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** @param host its id or its name @returns null where it need not be empty @throws CloudError `not_found` */
  async show(caller: Caller, host: string): Promise<Maintenance | null> {
    requireAdmin(caller, 'show the maintenance of a host');
    return this.ofHost(await idOf(this.#database.query, host));
  }

  /** From now on the host shall be empty, and gets nothing new. Safe to repeat. @throws CloudError `not_found` */
  async begin(caller: Caller, host: string, { reason }: { reason: string | null }): Promise<Maintenance> {
    requireAdmin(caller, 'empty a host for maintenance');
    const by = { user_id: caller.userId, user_name: caller.userName, at: new Date().toISOString() };
    const id = await this.#database.transaction(actorOf(caller), async (tx) => {
      const found = await idOf(tx, host);
      await beginMaintenance(tx, found, { cause: 'administrator', reason, by });
      return found;
    });
    return (await this.ofHost(id))!;
  }

  /** It may carry servers again. Safe to repeat. @throws CloudError `not_found` */
  async end(caller: Caller, host: string): Promise<void> {
    requireAdmin(caller, 'end the maintenance of a host');
    await this.#database.transaction(actorOf(caller), async (tx) => endMaintenance(tx, await idOf(tx, host)));
  }

  /** The same without a caller: the host asks, whose word its certificate is, or who works on the cloud's own machine. @throws CloudError `not_found` */
  async ofHost(id: string): Promise<Maintenance | null> {
    const found = await maintenanceOf(this.#database, id);
    if (found === undefined) throw notFound('host', id);
    return found;
  }

  /**
   * Of the host itself: it leaves the cloud (as a person has said on it), or its machine goes down.
   * @throws CloudError `not_found`
   */
  async beginOwn(
    id: HostId,
    { cause, bootId }: { cause: 'administrator' | 'shutdown'; bootId: string | null },
  ): Promise<Maintenance> {
    await this.#database.transaction(cloudActor, async (tx) => {
      const wish = { cause, reason: cause === 'shutdown' ? cause : null, ...(bootId !== null && { bootId }) };
      if (!(await beginMaintenance(tx, id, wish))) throw notFound('host', id);
    });
    return (await this.ofHost(id))!;
  }

  /** @param choice only what it has asked for itself by a shutdown; `exceptBootId`: nor what is asked for since this start of the machine */
  async endOwn(id: HostId, choice: { shutdownOnly: boolean; exceptBootId: string | null }): Promise<void> {
    await this.#database.transaction(cloudActor, (tx) =>
      endMaintenance(tx, id, {
        ...(choice.shutdownOnly && { cause: 'shutdown' }),
        ...(choice.exceptBootId !== null && { exceptBootId: choice.exceptBootId }),
      }),
    );
  }
}

/** @throws CloudError `not_found` */
async function idOf(db: Queryable, host: string): Promise<string> {
  const { rows } = await sql<{
    id: string;
  }>`select id from host where name = ${host} or id = ${parseId(host) ?? null}::uuid
    order by id = ${parseId(host) ?? null}::uuid desc nulls last limit 1`.execute(db);
  if (!rows[0]) throw notFound('host', host);
  return rows[0].id;
}
