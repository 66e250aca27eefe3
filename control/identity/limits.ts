/**
 * Unified limits: what a project may have, told in one place. For what this cloud itself serves they are the rows of quota, which
 * every creation counts against and every dialect tells: nothing is kept twice. Limits of other services are kept here and
 * enforced by those; the service and the region that one names may go before it, as in Keystone.
 *
 * The model is flat: a project's limit is its own, whatever is above it.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId, type ProjectId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import { matching } from './directory.ts';
import { servedLimits } from './limit-names.ts';
import { isService, isSystemReader, requireAdministrator } from './rights.ts';

/** Which resource of which service. */
export interface LimitName {
  serviceId: string;
  /** A region's name. */
  region: string | null;
  resource: string;
}

export interface RegisteredLimit {
  id: string;
  service_id: string;
  region: string | null;
  resource_name: string;
  default_limit: number;
  description: string | null;
  /** Of what this cloud serves: the row of quota that it is. */
  quota: string | null;
  unit: number;
}

export interface OwnLimit {
  id: string;
  service_id: string;
  region: string | null;
  resource_name: string;
  resource_limit: number;
  description: string | null;
  project_id: ProjectId | null;
  domain_id: DomainId | null;
  quota: string | null;
  unit: number;
}

export type LimitFilter = Partial<LimitName> & { projectId?: ProjectId; domainId?: DomainId };

const served = sql`served as (select m.*, s.id as service_id from service s
  join jsonb_to_recordset(${json(servedLimits)}::jsonb) as m(type text, name text, quota text, unit bigint)
    on m.type = s.type where s.builtin)`;

const registered = sql`${served}, found as (
  select q.id, v.service_id, null::text as region, v.name as resource_name, case when q.maximum < 0 then -1 else q.maximum / v.unit end
      as default_limit, null::text as description, v.quota, v.unit
    from quota q join served v on v.quota = q.resource where q.project_id is null
  union all select l.id, l.service_id, l.region, l.resource_name, l.default_limit, l.description, null, 1
    from registered_limit l)`;

const own = sql`${served}, found as (
  select q.id, v.service_id, null::text as region, v.name as resource_name, case when q.maximum < 0 then -1 else q.maximum / v.unit end
      as resource_limit, null::text as description, q.project_id, null::uuid as domain_id, v.quota, v.unit
    from quota q join served v on v.quota = q.resource where q.project_id is not null
  union all select o.id, l.service_id, l.region, l.resource_name, o.resource_limit, o.description, o.project_id, o.domain_id, null, 1
    from own_limit o join registered_limit l on l.id = o.registered_limit_id)`;

const named = ({ serviceId, region, resource }: Partial<LimitName>) =>
  matching({ service_id: serviceId, region, resource_name: resource });

export class LimitService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  registered(filter: Partial<LimitName>): Promise<RegisteredLimit[]> {
    return this.#registered(this.#context.query, named(filter));
  }

  /** @throws CloudError `not_found` */
  async registeredOne(id: string, db: Queryable = this.#context.query): Promise<RegisteredLimit> {
    const [row] = await this.#registered(db, sql`id = ${id}`);
    if (!row) throw notFound('registered_limit', id);
    return row;
  }

  /** All of them or none. @throws CloudError `forbidden`, `invalid` (no such service, region), `conflict` */
  async register(
    caller: Caller,
    wanted: readonly (LimitName & { limit: number; description: string | null })[],
  ): Promise<RegisteredLimit[]> {
    requireAdministrator(caller, 'identity:create_registered_limits');
    return this.#write(caller, async (tx) => {
      const made: RegisteredLimit[] = [];
      for (const { limit, description, ...name } of wanted) {
        await requireNamed(tx, name);
        await this.#requireFree(tx, name);
        const id = newOrderedId();
        await sql`insert into registered_limit (id, service_id, region, resource_name, default_limit, description)
          values (${id}, ${name.serviceId}, ${name.region}, ${name.resource}, ${limit}, ${description})`.execute(tx);
        made.push(await this.registeredOne(id, tx));
      }
      return made;
    });
  }

  /**
   * Of what this cloud serves only the number changes.
   * @throws CloudError `forbidden` also while projects have limits of it, `not_found`, `invalid`, `conflict`
   */
  async updateRegistered(
    caller: Caller,
    id: string,
    change: Partial<LimitName> & { limit?: number; description?: string | null },
  ): Promise<RegisteredLimit> {
    requireAdministrator(caller, 'identity:update_registered_limit');
    return this.#write(caller, async (tx) => {
      const before = await this.registeredOne(id, tx);
      const { limit, description } = change;
      const known: LimitName = {
        serviceId: before.service_id,
        region: before.region,
        resource: before.resource_name,
      };
      const { serviceId = known.serviceId, region = known.region, resource = known.resource } = change;
      const name: LimitName = { serviceId, region, resource };
      const renamed = serviceId !== known.serviceId || region !== known.region || resource !== known.resource;
      if (before.quota !== null) {
        if (renamed) throw new CloudError('forbidden', 'limit_served_here', { id });
        await setColumns(tx, 'quota', id, { maximum: scaled(limit, before) });
        return this.registeredOne(id, tx);
      }
      if (renamed) {
        await requireNamed(tx, name, known);
        await this.#requireFree(tx, name);
        await this.#requireUnused(tx, id);
      }
      await setColumns(tx, 'registered_limit', id, {
        ...(renamed && { service_id: name.serviceId, region: name.region, resource_name: name.resource }),
        ...{ default_limit: limit, description },
      });
      return this.registeredOne(id, tx);
    });
  }

  /** @throws CloudError `forbidden` while projects have limits of it, or where it is this cloud's own, `not_found` */
  async deleteRegistered(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_registered_limit');
    await this.#write(caller, async (tx) => {
      const before = await this.registeredOne(id, tx);
      if (before.quota !== null) throw new CloudError('forbidden', 'limit_served_here', { id });
      await this.#requireUnused(tx, id);
      await sql`delete from registered_limit where id = ${id}`.execute(tx);
    });
  }

  /** Those of the caller's scope; administrators, readers of the system and services see all. */
  async list(caller: Caller, filter: LimitFilter): Promise<OwnLimit[]> {
    const condition = sql`${named(filter)} and ${matching({ project_id: filter.projectId, domain_id: filter.domainId })}`;
    return this.#own(this.#context.query, sql`${condition} and ${visible(caller)}`);
  }

  /** @throws CloudError `not_found`, also for another project's */
  async get(caller: Caller, id: string): Promise<OwnLimit> {
    const [row] = await this.#own(this.#context.query, sql`id = ${id} and ${visible(caller)}`);
    if (!row) throw notFound('limit', id);
    return row;
  }

  /** All of them or none. @throws CloudError `forbidden`, `invalid` (no such project, domain), `conflict` */
  async create(
    caller: Caller,
    wanted: readonly (LimitName & {
      limit: number;
      description: string | null;
      projectId: ProjectId | null;
      domainId: DomainId | null;
    })[],
  ): Promise<OwnLimit[]> {
    requireAdministrator(caller, 'identity:create_limits');
    return this.#write(caller, async (tx) => {
      const made: OwnLimit[] = [];
      for (const { limit, description, projectId, domainId, ...name } of wanted) {
        const [known] = await this.#registered(tx, named(name));
        if (!known) throw new CloudError('forbidden', 'limit_not_registered', {});
        const id = newOrderedId();
        if (known.quota === null) {
          await sql`insert into own_limit (id, registered_limit_id, project_id, domain_id, resource_limit, description)
            values (${id}, ${known.id}, ${projectId}, ${domainId}, ${limit}, ${description})`.execute(tx);
        } else {
          if (domainId) throw new CloudError('forbidden', 'limit_of_domain', {});
          await requireProject(tx, projectId);
          await sql`insert into quota (id, project_id, resource, maximum)
            values (${id}, ${projectId}, ${known.quota}, ${scaled(limit, known)})`.execute(tx);
        }
        const [row] = await this.#own(tx, sql`id = ${id}`);
        made.push(row!);
      }
      return made;
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async update(caller: Caller, id: string, change: { limit?: number; description?: string | null }): Promise<OwnLimit> {
    requireAdministrator(caller, 'identity:update_limit');
    return this.#write(caller, async (tx) => {
      const before = await this.#one(tx, id);
      const { limit, description } = change;
      if (before.quota === null) await setColumns(tx, 'own_limit', id, { resource_limit: limit, description });
      else await setColumns(tx, 'quota', id, { maximum: scaled(limit, before) });
      return this.#one(tx, id);
    });
  }

  /** The default counts again. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_limit');
    await this.#write(caller, async (tx) => {
      const { quota } = await this.#one(tx, id);
      await sql`delete from ${sql.table(quota === null ? 'own_limit' : 'quota')} where id = ${id}`.execute(tx);
    });
  }

  async #one(tx: Tx, id: string): Promise<OwnLimit> {
    const [row] = await this.#own(tx, sql`id = ${id}`);
    if (!row) throw notFound('limit', id);
    return row;
  }

  async #registered(db: Queryable, condition: RawBuilder<unknown>): Promise<RegisteredLimit[]> {
    const { rows } =
      await sql<RegisteredLimit>`with ${registered} select * from found where ${condition} order by id`.execute(db);
    return rows;
  }

  async #own(db: Queryable, condition: RawBuilder<unknown>): Promise<OwnLimit[]> {
    const { rows } = await sql<OwnLimit>`with ${own} select * from found where ${condition} order by id`.execute(db);
    return rows;
  }

  /**
   * The rows of quota have names too, which no constraint of the table keeps, and hold in every region: a region's own number would
   * be kept and bind nobody.
   * @throws CloudError `conflict`, `forbidden`
   */
  async #requireFree(tx: Tx, name: LimitName): Promise<void> {
    const { serviceId, region, resource } = name;
    const everywhere = await this.#registered(tx, named({ serviceId, resource }));
    const known = everywhere.find((one) => one.region === region);
    if (known) throw new CloudError('conflict', 'limit_registered_already', { resource });
    if (everywhere.some(({ quota }) => quota !== null))
      throw new CloudError('forbidden', 'limit_of_region', { resource });
  }

  async #requireUnused(tx: Tx, id: string): Promise<void> {
    const { rows } = await sql`select from own_limit where registered_limit_id = ${id} limit 1`.execute(tx);
    if (rows.length > 0) throw new CloudError('forbidden', 'registered_limit_in_use', { id });
  }

  #write<T>(caller: Caller, work: (tx: Tx) => Promise<T>): Promise<T> {
    const taken = () => new CloudError('conflict', 'limit_taken', {});
    const refusals = {
      own_limit_project_id_fkey: () => namesUnknown('project_id'),
      own_limit_domain_id_fkey: () => namesUnknown('domain_id'),
      own_limit_registered_limit_id_project_id_domain_id_key: taken,
      quota_project_id_resource_key: taken,
      registered_limit_service_id_region_resource_name_key: taken,
    };
    return refusing(refusals, () => this.#context.write(actorOf(caller), work));
  }
}

const scaled = <L extends number | undefined>(limit: L, { unit }: { unit: number }): L =>
  (limit === undefined ? limit : limit < 0 ? -1 : limit * unit) as L;

/** What is undefined stays, also where another changes it meanwhile. */
async function setColumns(
  tx: Tx,
  table: 'quota' | 'own_limit' | 'registered_limit',
  id: string,
  columns: Readonly<Record<string, string | number | null | undefined>>,
): Promise<void> {
  const sets = Object.entries(columns).flatMap(([name, value]) =>
    value === undefined ? [] : sql`${sql.ref(name)} = ${value}`,
  );
  if (sets.length > 0) await sql`update ${sql.table(table)} set ${sql.join(sets)} where id = ${id}`.execute(tx);
}

function visible(caller: Caller): RawBuilder<unknown> {
  if (isService(caller) || isSystemReader(caller)) return sql`true`;
  if (caller.projectId) return sql`project_id = ${caller.projectId}`;
  if (!caller.domainId) return sql`false`;
  return sql`(domain_id = ${caller.domainId} or project_id = any(array(select id from project where domain_id = ${caller.domainId})))`;
}

const namesUnknown = (attribute: string) => new CloudError('invalid', 'limit_names_unknown', { attribute });

/**
 * Only of what it did not name before: a service or region may have gone since.
 * @throws CloudError `invalid`
 */
async function requireNamed(tx: Tx, name: LimitName, before?: LimitName): Promise<void> {
  const known = async (attribute: 'service_id' | 'region_id', condition: RawBuilder<unknown>) => {
    const { rows } = await sql`select ${condition}`.execute(tx);
    if (rows.length === 0) throw namesUnknown(attribute);
  };
  if (name.serviceId !== before?.serviceId) await known('service_id', sql`from service where id = ${name.serviceId}`);
  if (name.region !== null && name.region !== before?.region)
    await known('region_id', sql`from region where name = ${name.region}`);
}

/** @throws CloudError `invalid` */
async function requireProject(tx: Tx, id: ProjectId | null): Promise<void> {
  const row = id && (await tx.selectFrom('project').select('id').where('id', '=', id).executeTakeFirst());
  if (!row) throw namesUnknown('project_id');
}
