/** The catalogue's tables as Kysely sees them; the truth is migrations/0121-catalogue.sql, 0125-limits.sql and 0414-limit-names.sql. */
import type { Generated, Selectable } from 'kysely';
import type { DomainId, ProjectId } from '../../contract/ids.ts';
import type { Json } from '../kit/database/schema.ts';
import type { Extra } from './tables.ts';

/** Changes of these tables change catalogues. */
export const catalogueTables: ReadonlySet<string> = new Set([
  ...['service', 'endpoint', 'region', 'endpoint_group', 'project_endpoint', 'project_endpoint_group'],
]);

export type Interface = 'public' | 'internal' | 'admin';
export type EndpointFilters = Partial<Record<'service_id' | 'region_id' | 'interface', string>>;

export interface RegionTable {
  id: string;
  name: string;
  parent_id: string | null;
  description: Generated<string>;
  extra: Json<Extra>;
}

export interface ServiceTable {
  id: string;
  type: string;
  name: Generated<string>;
  description: Generated<string>;
  enabled: Generated<boolean>;
  builtin: Generated<boolean>;
  extra: Json<Extra>;
}

export interface EndpointTable {
  id: string;
  service_id: string;
  region_id: string | null;
  interface: Interface;
  url: string;
  enabled: Generated<boolean>;
  builtin: Generated<boolean>;
  extra: Json<Extra>;
}

export interface EndpointGroupTable {
  id: string;
  name: string;
  description: Generated<string>;
  filters: Json<EndpointFilters>;
}

export interface ProjectEndpointTable {
  project_id: ProjectId;
  endpoint_id: string;
}

export interface ProjectEndpointGroupTable {
  project_id: ProjectId;
  endpoint_group_id: string;
}

export interface PolicyTable {
  id: string;
  type: string;
  blob: string;
  extra: Json<Extra>;
}

export interface RegisteredLimitTable {
  id: string;
  service_id: string;
  region: string | null;
  resource_name: string;
  default_limit: number;
  description: string | null;
}

export interface OwnLimitTable {
  id: string;
  registered_limit_id: string;
  project_id: ProjectId | null;
  domain_id: DomainId | null;
  resource_limit: number;
  description: string | null;
}

export interface CatalogueTables {
  registered_limit: RegisteredLimitTable;
  own_limit: OwnLimitTable;
  region: RegionTable;
  service: ServiceTable;
  endpoint: EndpointTable;
  endpoint_group: EndpointGroupTable;
  project_endpoint: ProjectEndpointTable;
  project_endpoint_group: ProjectEndpointGroupTable;
  policy: PolicyTable;
}

/** A region with its parent's name: Keystone knows regions by names. */
export type RegionRow = Selectable<RegionTable> & { parent: string | null };
export type ServiceRow = Selectable<ServiceTable>;
/** An endpoint with its region's name. */
export type EndpointRow = Selectable<EndpointTable> & { region: string | null };
export type EndpointGroupRow = Selectable<EndpointGroupTable>;
export type PolicyRow = Selectable<PolicyTable>;

declare module '../kit/database/schema.ts' {
  interface Schema extends CatalogueTables {}
}
