/** Federation's tables as Kysely sees them; the truth is migrations/0126-federation.sql and 0127-service-provider.sql. */
import type { ColumnType, Generated, Selectable } from 'kysely';
import type { DomainId, UserId } from '../../contract/ids.ts';
import type { Json, Timestamp } from '../kit/database/schema.ts';
import type { MappingRule } from './mapping.ts';

export interface IdentityProviderTable {
  id: string;
  name: string;
  domain_id: DomainId;
  description: string | null;
  enabled: Generated<boolean>;
  remote_ids: Generated<string[]>;
  authorization_ttl: number | null;
  client_id: string | null;
  /** Asked of it for a log-in in a browser; null: the usual. */
  client_scope: string | null;
  sealed_client_secret: ColumnType<Buffer | null, Buffer | null | undefined, Buffer | null>;
  created_at: Timestamp;
}

export interface MappingTable {
  id: string;
  name: string;
  rules: Json<MappingRule[]>;
  schema_version: Generated<string>;
  created_at: Timestamp;
}

export interface FederationProtocolTable {
  id: string;
  identity_provider_id: string;
  name: string;
  mapping_id: string;
  remote_id_attribute: string | null;
}

export interface FederatedUserTable {
  user_id: UserId;
  identity_provider_id: string;
  protocol: string;
  unique_id: string;
}

export interface ServiceProviderTable {
  id: string;
  name: string;
  auth_url: string;
  sp_url: string;
  description: string | null;
  enabled: Generated<boolean>;
  relay_state_prefix: string;
}

export interface FederationTables {
  service_provider: ServiceProviderTable;
  identity_provider: IdentityProviderTable;
  mapping: MappingTable;
  federation_protocol: FederationProtocolTable;
  federated_user: FederatedUserTable;
}

export type IdentityProviderRow = Selectable<IdentityProviderTable>;
export type ServiceProviderRow = Selectable<ServiceProviderTable>;
export type MappingRow = Selectable<MappingTable>;
/** With its mapping's name. */
export type ProtocolRow = Selectable<FederationProtocolTable> & { mapping: string };

declare module '../kit/database/schema.ts' {
  interface Schema extends FederationTables {}
}
