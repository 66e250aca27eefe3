/** Identity's tables as Kysely sees them; the truth is migrations/0002-identity.sql. */
import type { ColumnType, Generated, Selectable } from 'kysely';
import type { DomainId, ProjectId, RoleId, UserId } from '../../contract/ids.ts';
import type { Json, Timestamp } from '../kit/database/schema.ts';

export type Extra = Record<string, unknown>;
type NullableTimestamp = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;

export interface DomainTable {
  id: DomainId;
  name: string;
  description: Generated<string>;
  enabled: Generated<boolean>;
  is_default: Generated<boolean>;
  tags: Generated<string[]>;
  options: Json<Extra>;
  extra: Json<Extra>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ProjectTable {
  id: ProjectId;
  domain_id: DomainId;
  parent_id: ProjectId | null;
  name: string;
  description: Generated<string>;
  enabled: Generated<boolean>;
  tags: Generated<string[]>;
  options: Json<Extra>;
  extra: Json<Extra>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface UserTable {
  id: UserId;
  domain_id: DomainId;
  name: string;
  description: Generated<string>;
  email: string | null;
  default_project_id: ProjectId | null;
  enabled: Generated<boolean>;
  options: Json<Extra>;
  extra: Json<Extra>;
  token_version: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface UserPasswordTable {
  user_id: UserId;
  hash: string;
  expires_at: NullableTimestamp;
  created_at: Timestamp;
}

export interface UserLoginTable {
  user_id: UserId;
  failures: Generated<number>;
  failed_at: NullableTimestamp;
  active_on: NullableTimestamp;
}

export interface UserPasswordPastTable {
  id: string;
  user_id: UserId;
  hash: string;
}

export interface RoleTable {
  id: RoleId;
  name: string;
  domain_id: DomainId | null;
  description: Generated<string>;
  options: Json<Extra>;
  extra: Json<Extra>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface RoleImplicationTable {
  prior_role_id: RoleId;
  implied_role_id: RoleId;
}

export interface UserGroupTable {
  id: string;
  domain_id: DomainId;
  name: string;
  description: Generated<string>;
  extra: Json<Extra>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface UserGroupMemberTable {
  group_id: string;
  user_id: UserId;
  /** Of a membership that a mapping gave. */
  expires_at: NullableTimestamp;
}

export interface RoleAssignmentTable {
  id: string;
  role_id: RoleId;
  user_id: UserId | null;
  group_id: string | null;
  project_id: ProjectId | null;
  domain_id: DomainId | null;
  system: Generated<boolean>;
  inherited: Generated<boolean>;
}

export interface ApplicationCredentialTable {
  id: string;
  user_id: UserId;
  project_id: ProjectId;
  name: string;
  description: string | null;
  role_ids: RoleId[];
  access_rule_ids: string[] | null;
  unrestricted: Generated<boolean>;
  expires_at: NullableTimestamp;
  created_at: Timestamp;
}

export interface ApplicationCredentialSecretTable {
  application_credential_id: string;
  hash: string;
}

export interface AccessRuleTable {
  id: string;
  user_id: UserId;
  service: string;
  method: string;
  path: string;
}

export interface CredentialTable {
  id: string;
  user_id: UserId;
  project_id: ProjectId | null;
  type: string;
  sealed: Buffer;
  access_hash: string | null;
  extra: Json<Extra>;
  created_at: Timestamp;
}

export interface TrustTable {
  id: string;
  trustor_user_id: UserId;
  trustee_user_id: UserId;
  project_id: ProjectId | null;
  origin_user_id: UserId;
  redelegated_trust_id: string | null;
  impersonation: boolean;
  role_ids: RoleId[];
  expires_at: NullableTimestamp;
  remaining_uses: number | null;
  redelegation_count: Generated<number>;
  created_at: Timestamp;
}

export interface DomainConfigTable {
  id: string;
  domain_id: DomainId;
  section: string;
  option: string;
  value: Json<unknown>;
}

export interface TokenRevocationTable {
  id: string;
  audit_id: string;
  expires_at: Timestamp;
  created_at: Timestamp;
}

export interface TokenKeyTable {
  id: string;
  secret: Buffer;
  created_at: Timestamp;
  expires_at: Timestamp;
}

export interface IdentityTables {
  domain: DomainTable;
  project: ProjectTable;
  user: UserTable;
  user_password: UserPasswordTable;
  user_login: UserLoginTable;
  user_password_past: UserPasswordPastTable;
  role: RoleTable;
  role_implication: RoleImplicationTable;
  user_group: UserGroupTable;
  user_group_member: UserGroupMemberTable;
  role_assignment: RoleAssignmentTable;
  application_credential: ApplicationCredentialTable;
  application_credential_secret: ApplicationCredentialSecretTable;
  access_rule: AccessRuleTable;
  credential: CredentialTable;
  domain_config: DomainConfigTable;
  trust: TrustTable;
  token_revocation: TokenRevocationTable;
  token_key: TokenKeyTable;
}

export type DomainRow = Selectable<DomainTable>;
export type ProjectRow = Selectable<ProjectTable>;
export type UserRow = Selectable<UserTable>;
export type RoleRow = Selectable<RoleTable>;
export type GroupRow = Selectable<UserGroupTable>;

declare module '../kit/database/schema.ts' {
  interface Schema extends IdentityTables {}
}
