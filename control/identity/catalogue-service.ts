/** What administrators do with the catalogue: regions, services, endpoints. What the cloud itself serves they can only look at. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import type { Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import type { EndpointRow, Interface, RegionRow, ServiceRow } from './catalogue-tables.ts';
import { type IdentityContext, refusing } from './context.ts';
import { matching, nameTaken } from './directory.ts';
import { Records } from './records.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import type { Extra } from './tables.ts';

export interface RegionChange {
  description?: string | null;
  /** The parent's name; null: at the top. */
  parent?: string | null;
  extra?: Extra;
}
export interface ServiceChange {
  type?: string;
  name?: string;
  description?: string | null;
  enabled?: boolean;
  extra?: Extra;
}
export interface EndpointChange {
  serviceId?: string;
  /** A region's name. */
  region?: string | null;
  /** Make that region where there is none (Keystone's old attribute `region`). */
  makeRegion?: boolean;
  interface?: Interface;
  url?: string;
  enabled?: boolean;
  extra?: Extra;
}

export class CatalogueService {
  readonly #regions: Records<RegionRow>;
  readonly #services: Records<ServiceRow>;
  readonly #endpoints: Records<EndpointRow>;

  constructor(context: IdentityContext) {
    this.#regions = new Records(context, {
      ...{ table: 'region', noun: 'region' },
      columns: sql`t.*, (select name from region p where p.id = t.parent_id) as parent`,
    });
    this.#services = new Records(context, { table: 'service', noun: 'service' });
    this.#endpoints = new Records(context, {
      ...{ table: 'endpoint', noun: 'endpoint' },
      columns: sql`t.*, (select name from region r where r.id = t.region_id) as region`,
      refusals: {
        endpoint_service_id_fkey: () => new CloudError('invalid', 'endpoint_service_unknown', {}),
        endpoint_region_id_fkey: () => new CloudError('invalid', 'endpoint_region_unknown', {}),
      },
    });
  }

  regions(filter: { parent?: string }): Promise<RegionRow[]> {
    const { parent } = filter;
    return this.#regions.list(
      parent === undefined ? sql`true` : sql`t.parent_id = (select id from region where name = ${parent})`,
    );
  }

  /** @throws CloudError `not_found` */
  async region(name: string): Promise<RegionRow> {
    const [row] = await this.#regions.list(sql`t.name = ${name}`);
    if (!row) throw notFound('region', name);
    return row;
  }

  /** @throws CloudError `forbidden`, `conflict`, `not_found` (parent) */
  async createRegion(caller: Caller, name: string | null, change: RegionChange): Promise<RegionRow> {
    requireAdministrator(caller, 'identity:create_region');
    const id = newOrderedId();
    const { parent = null, description, extra = {} } = change;
    const parentId = parent === null ? null : (await this.region(parent)).id;
    const values = { id, name: name ?? id, parent_id: parentId, description: description ?? '', extra: json(extra) };
    const taken = () => nameTaken('region', values.name);
    return refusing({ region_name_key: taken }, () => this.#regions.insert(caller, values));
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid` where a region would be above itself */
  async updateRegion(caller: Caller, name: string, change: RegionChange): Promise<RegionRow> {
    requireAdministrator(caller, 'identity:update_region');
    const { id } = await this.region(name);
    const { parent, description, extra } = change;
    return this.#regions.update(caller, id, async (before, tx) => ({
      ...(parent === undefined ? {} : { parent_id: await this.#parentOf(tx, id, parent) }),
      ...(description === undefined ? {} : { description: description ?? '' }),
      ...(extra === undefined ? {} : { extra: json({ ...before.extra, ...extra }) }),
    }));
  }

  /** As in Keystone, those below go along. @throws CloudError `forbidden` while endpoints are in one of them, `not_found` */
  async deleteRegion(caller: Caller, name: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_region');
    const { id } = await this.region(name);
    const inUse = () => new CloudError('forbidden', 'region_in_use', { id: name });
    await refusing({ endpoint_region_id_fkey: inUse }, () =>
      this.#regions.delete(caller, id, async (_, tx) => {
        // In one statement, since each refers to the one above.
        await sql`with recursive within(id) as (select ${id}::uuid
            union select r.id from region r join within w on r.parent_id = w.id)
          delete from region where id in (select id from within)`.execute(tx);
      }),
    );
  }

  async #parentOf(tx: Tx, id: string, parent: string | null): Promise<string | null> {
    if (parent === null) return null;
    // Of two that would each be above the other the second sees the first.
    await sql`select pg_advisory_xact_lock(hashtextextended('regions', 0))`.execute(tx);
    const { rows } = await sql<{
      id: string;
    }>`with recursive above as (select id, parent_id from region where name = ${parent}
      union select r.id, r.parent_id from region r join above a on r.id = a.parent_id) select id from above`.execute(
      tx,
    );
    if (!rows[0]) throw notFound('region', parent);
    if (rows.some((row) => row.id === id)) throw new CloudError('invalid', 'region_above_itself', {});
    return rows[0].id;
  }

  /** @throws CloudError `forbidden` */
  async services(caller: Caller, filter: { type?: string; name?: string }): Promise<ServiceRow[]> {
    requireReader(caller, 'identity:list_services');
    return this.#services.list(matching(filter));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async service(caller: Caller, id: string): Promise<ServiceRow> {
    requireReader(caller, 'identity:get_service');
    return this.#services.find(id);
  }

  /** @throws CloudError `forbidden` */
  async createService(caller: Caller, wanted: ServiceChange & { type: string }): Promise<ServiceRow> {
    requireAdministrator(caller, 'identity:create_service');
    const { type, name = '', description, enabled = true, extra = {} } = wanted;
    return this.#services.insert(caller, {
      ...{ id: newOrderedId(), type, name, description: description ?? '', enabled, extra: json(extra) },
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async updateService(caller: Caller, id: string, change: ServiceChange): Promise<ServiceRow> {
    requireAdministrator(caller, 'identity:update_service');
    const { description, extra, ...rest } = change;
    return this.#services.update(caller, id, (before) => {
      requireAdded('service', before);
      return {
        ...rest,
        ...(description === undefined ? {} : { description: description ?? '' }),
        extra: json({ ...before.extra, ...extra }),
      };
    });
  }

  /** With its endpoints; limits of it stay. @throws CloudError `forbidden`, `not_found` */
  async deleteService(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_service');
    await this.#services.delete(caller, id, (row) => requireAdded('service', row));
  }

  /** @throws CloudError `forbidden` */
  async endpoints(
    caller: Caller,
    filter: { interface?: string; serviceId?: string; region?: string },
  ): Promise<EndpointRow[]> {
    requireReader(caller, 'identity:list_endpoints');
    const conditions: RawBuilder<unknown>[] = [matching({ interface: filter.interface, service_id: filter.serviceId })];
    if (filter.region !== undefined) {
      conditions.push(sql`t.region_id = (select id from region where name = ${filter.region})`);
    }
    return this.#endpoints.list(sql.join(conditions, sql` and `));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async endpoint(caller: Caller, id: string): Promise<EndpointRow> {
    requireReader(caller, 'identity:get_endpoint');
    return this.#endpoints.find(id);
  }

  /** @throws CloudError `forbidden`, `invalid` (no such service, region) */
  async createEndpoint(
    caller: Caller,
    wanted: EndpointChange & { serviceId: string; interface: Interface; url: string },
  ): Promise<EndpointRow> {
    requireAdministrator(caller, 'identity:create_endpoint');
    const { serviceId, url, enabled = true, extra = {} } = wanted;
    const regionId = await this.#regionOf(caller, wanted);
    return this.#endpoints.insert(caller, {
      ...{ id: newOrderedId(), service_id: serviceId, region_id: regionId ?? null, interface: wanted.interface },
      ...{ url, enabled, extra: json(extra) },
    });
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid` */
  async updateEndpoint(caller: Caller, id: string, change: EndpointChange): Promise<EndpointRow> {
    requireAdministrator(caller, 'identity:update_endpoint');
    const { serviceId, url, enabled, extra } = change;
    const regionId = await this.#regionOf(caller, change);
    return this.#endpoints.update(caller, id, (before) => {
      requireAdded('endpoint', before);
      return {
        ...{ service_id: serviceId, region_id: regionId, interface: change.interface, url, enabled },
        extra: json({ ...before.extra, ...extra }),
      };
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async deleteEndpoint(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_endpoint');
    await this.#endpoints.delete(caller, id, (row) => requireAdded('endpoint', row));
  }

  async #regionOf(caller: Caller, { region, makeRegion }: EndpointChange): Promise<string | null | undefined> {
    if (region === undefined || region === null) return region;
    const [known] = await this.#regions.list(sql`t.name = ${region}`);
    if (known) return known.id;
    if (!makeRegion) throw new CloudError('invalid', 'endpoint_region_unknown', {});
    return (await this.createRegion(caller, region, {})).id;
  }
}

/** @throws CloudError `forbidden` */
function requireAdded(noun: 'service' | 'endpoint', row: { id: string; builtin: boolean }): void {
  if (row.builtin) throw new CloudError('forbidden', 'catalogue_entry_builtin', { noun, id: row.id });
}
