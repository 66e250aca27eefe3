/**
 * The catalogue as tokens carry it: which services there are, and where. Made from rows, of which this process holds a copy
 * that each change drops; what the cloud itself serves is settled from its settings at every start. Ids of those are derived
 * from what they name, so that every control process and every start settles the same rows.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { newOrderedId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../kit/database/database.ts';
import { catalogueTables, type EndpointFilters, type EndpointRow, type ServiceRow } from './catalogue-tables.ts';
import type { IdentityChange } from './token-cache.ts';

/** `{project_id}` in a path stands for the token's project. */
export interface CatalogueEntry {
  type: string;
  name: string;
  path: string;
}

export interface CatalogueDocument {
  id: string;
  type: string;
  name: string;
  endpoints: { id: string; interface: string; region: string | null; region_id: string | null; url: string }[];
}

interface Copy {
  services: ServiceRow[];
  endpoints: EndpointRow[];
  groups: { id: string; filters: EndpointFilters }[];
  projectEndpoints: { project_id: string; endpoint_id: string }[];
  projectGroups: { project_id: string; endpoint_group_id: string }[];
  readAt: number;
}

const interfaces = ['public', 'internal', 'admin'] as const;
/** As Keystone's administrators write it, in any of its forms. */
const place = /[$%]\((project_id|tenant_id|user_id)\)s/g;
/** A change feed that is held back can't keep an old copy alive for longer. */
const maxAgeMs = 5000;

/** A UUID (RFC 9562, version 8) that is always the same for the same name. */
function idOf(name: string): string {
  const bytes = createHash('sha256').update(`bothy catalogue ${name}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export class Catalogue {
  readonly #database: Database;
  readonly #own: { region: string; publicUrl: string; entries: readonly CatalogueEntry[] };
  /** Whether changes of other processes reach this one at once. */
  readonly #listening: () => boolean;
  #copy: Copy | undefined;
  /** Raised by every change: a copy that was read meanwhile may show the state before. */
  #epoch = 0;

  constructor(options: {
    database: Database;
    listening: () => boolean;
    region: string;
    publicUrl: string;
    entries: readonly CatalogueEntry[];
  }) {
    const { database, listening, ...own } = options;
    this.#database = database;
    this.#listening = listening;
    this.#own = own;
  }

  /** Makes the rows of what the cloud itself serves what its settings say. Safe to repeat. */
  async settle(): Promise<void> {
    await this.#database.transaction(cloudActor, async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtextextended('settle catalogue', 0))`.execute(tx);
      await settle(tx, this.#own);
    });
    this.#forget();
  }

  apply(changes: readonly IdentityChange[]): void {
    if (changes.some(({ resource_type: type }) => catalogueTables.has(type))) this.#forget();
  }

  #forget(): void {
    this.#epoch += 1;
    this.#copy = undefined;
  }

  /** As a token carries it. What needs a project is left out where there is none. */
  async document({ userId, projectId }: { userId: string; projectId: string | null }): Promise<CatalogueDocument[]> {
    const copy = await this.#read();
    const shown = projectId === null ? undefined : shownTo(copy, projectId);
    return copy.services.flatMap((service) => {
      const endpoints = copy.endpoints.flatMap((endpoint) => {
        if (endpoint.service_id !== service.id || shown?.(endpoint) === false) return [];
        const url = urlFor(endpoint.url, { userId, projectId });
        if (url === undefined) return [];
        const { id, interface: face, region } = endpoint;
        return { id, interface: face, region, region_id: region, url };
      });
      return endpoints.length === 0 ? [] : { id: service.id, type: service.type, name: service.name, endpoints };
    });
  }

  async #read(): Promise<Copy> {
    const known = this.#copy;
    if (known && this.#listening() && performance.now() - known.readAt < maxAgeMs) return known;
    const epoch = this.#epoch;
    const copy = await readCopy(this.#database.query);
    if (epoch === this.#epoch) this.#copy = copy;
    return copy;
  }
}

async function readCopy(db: Queryable): Promise<Copy> {
  const readAt = performance.now();
  const { rows } = await sql<Omit<Copy, 'readAt'>>`select
    coalesce((select json_agg(s order by s.builtin desc, s.id) from service s where s.enabled), '[]') as services,
    coalesce((select json_agg(e order by e.id) from (select e.*, r.name as region from endpoint e
      left join region r on r.id = e.region_id where e.enabled) e), '[]') as endpoints,
    coalesce((select json_agg(g) from (select id, filters from endpoint_group) g), '[]') as groups,
    coalesce((select json_agg(p) from project_endpoint p), '[]') as "projectEndpoints",
    coalesce((select json_agg(p) from project_endpoint_group p), '[]') as "projectGroups"`.execute(db);
  return { ...rows[0]!, readAt };
}

/** Which endpoints a project sees; undefined: all. */
function shownTo(copy: Copy, projectId: string): ((endpoint: EndpointRow) => boolean) | undefined {
  const own = copy.projectEndpoints.filter((one) => one.project_id === projectId).map((one) => one.endpoint_id);
  const groupIds = copy.projectGroups.filter((one) => one.project_id === projectId).map((one) => one.endpoint_group_id);
  if (own.length === 0 && groupIds.length === 0) return undefined;
  const groups = copy.groups.filter(({ id }) => groupIds.includes(id));
  return (endpoint) => own.includes(endpoint.id) || groups.some(({ filters }) => holds(filters, endpoint));
}

/** Has the endpoint all that a group's filters ask for? */
export const holds = (filters: EndpointFilters, endpoint: EndpointRow): boolean =>
  (filters.service_id === undefined || filters.service_id === endpoint.service_id) &&
  (filters.region_id === undefined || filters.region_id === endpoint.region) &&
  (filters.interface === undefined || filters.interface === endpoint.interface);

function urlFor(url: string, { userId, projectId }: { userId: string; projectId: string | null }): string | undefined {
  let whole = true;
  const filled = url.replace(place, (_, name: string) => {
    const value = name === 'user_id' ? userId : projectId;
    if (value === null) whole = false;
    return value ?? '';
  });
  return whole ? filled : undefined;
}

async function settle(
  tx: Tx,
  { region, publicUrl, entries }: { region: string; publicUrl: string; entries: readonly CatalogueEntry[] },
) {
  await sql`insert into region (id, name) values (${newOrderedId()}, ${region}) on conflict (name) do nothing`.execute(
    tx,
  );
  const serviceIds: string[] = [];
  const endpointIds: string[] = [];
  for (const { type, name, path } of entries) {
    const serviceId = idOf(`service ${type}`);
    serviceIds.push(serviceId);
    await sql`insert into service (id, type, name, builtin) values (${serviceId}, ${type}, ${name}, true)
      on conflict (id) do update set type = excluded.type, name = excluded.name`.execute(tx);
    const url = `${publicUrl}${path.replaceAll('{project_id}', '$(project_id)s')}`;
    for (const face of interfaces) {
      const id = idOf(`endpoint ${region} ${type} ${face}`);
      endpointIds.push(id);
      await sql`insert into endpoint (id, service_id, region_id, interface, url, builtin)
        values (${id}, ${serviceId}, (select id from region where name = ${region}), ${face}, ${url}, true)
        on conflict (id) do update set url = excluded.url`.execute(tx);
    }
  }
  await sql`delete from endpoint where builtin and not id = any(${endpointIds}::uuid[])`.execute(tx);
  await sql`delete from service where builtin and not id = any(${serviceIds}::uuid[])`.execute(tx);
}
