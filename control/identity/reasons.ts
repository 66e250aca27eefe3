/** What the identity area refuses (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

interface Id {
  id: string;
}

/** Other identity providers. */
export interface IdentityReasons {
  identity_provider_not_found: Id;
  mapping_not_found: Id;
  service_provider_not_found: Id;
  federation_protocol_not_found: Id;
  federation_name_taken: { name: string };
  mapping_in_use: NoFields;
  mapping_pattern_malformed: { pattern: string };
  mapping_gives_no_user: NoFields;
  mapping_names_too_many: NoFields;
  identity_provider_disabled: NoFields;
  websso_without_origin: NoFields;
  /** That is nobody's way back. */
  websso_without_state: NoFields;
  /** It has to be said which. */
  websso_without_provider: NoFields;
  /** Nobody has told us who we are there. */
  websso_without_client: { name: string };
  identity_provider_unreachable: { name: string };
}

export type NamedNoun = 'region' | 'domain' | 'group' | 'project' | 'role' | 'user' | 'application_credential';

/** The directory: domains, projects, users, groups. (project_not_found is the kit's.) */
export interface IdentityReasons {
  domain_not_found: Id;
  user_not_found: Id;
  group_not_found: Id;
  user_in_group_not_found: Id;
  name_taken: { noun: NamedNoun; name: string };
  name_empty: { noun: NamedNoun };
  name_too_long: { noun: NamedNoun; maximum: number };
  entry_immutable: { noun: NamedNoun; id: string };
  extra_too_large: { maximum: number };
  option_unknown: { option: string };
  option_not_boolean: { option: string };
  option_not_method_lists: { option: string };
  domain_enabled: NoFields;
  domain_config_not_found: Id;
  domain_option_unknown: { section: string; option: string };
  domain_options_missing: NoFields;
  domain_options_elsewhere: { section: string; option: string };
  /** Nobody could enable it again. */
  default_domain_needed: NoFields;
  project_has_children: Id;
  project_resources_left: { noun: 'domain' | 'project'; id: string; resources: Readonly<Record<string, number>> };
  project_parent_of_another_domain: NoFields;
  project_parent_disabled: NoFields;
  project_child_enabled: NoFields;
  project_too_deep: { maximum: number };
  too_many_project_tags: { maximum: number };
  project_tags_repeat: NoFields;
  project_tag_malformed: { maximum: number };
}

/** Roles and who has them. */
export interface IdentityReasons {
  role_not_found: Id;
  implied_role_not_found: Id;
  role_never_implied: { role: string };
  mightier_than_manager: NoFields;
  global_role_implies_domain_role: NoFields;
  domain_role_outside_domain: NoFields;
  domain_role_in_system: NoFields;
  role_assignment_with_role_not_found: Id;
  assignments_subtree_without_project: NoFields;
  effective_assignments_of_group: NoFields;
  effective_assignments_inherited: NoFields;
}

type RestrictedOperation =
  | 'create_application_credential'
  | 'delete_application_credential'
  | 'delete_access_rule'
  | 'create_credential';

/** Trusts. */
export interface IdentityReasons {
  trust_not_found: Id;
  trust_of_another_trustor: NoFields;
  trust_by_application_credential: NoFields;
  trust_without_role: NoFields;
  trust_used_up: Id;
  trust_too_deep: { wanted: number; maximum: number };
  trust_depth_is_given: NoFields;
  trust_counted_and_passed_on: NoFields;
  trust_wider_than_its_parent: NoFields;
  trust_of_another_trustee: NoFields;
  trust_token_not_rescoped: NoFields;
}

/** Credentials that the cloud can read. */
export interface IdentityReasons {
  credential_not_found: Id;
  credential_outside_delegation: NoFields;
  too_many_credentials: { maximum: number };
  access_key_without_project: NoFields;
  access_key_malformed: NoFields;
  access_key_taken: NoFields;
  access_key_bound: { attribute: string };
  access_key_not_found: Id;
  /** The cloud's key is not in its data directory, or is another one. */
  sealing_key_missing: NoFields;
}

/** Passwords, tokens, application credentials. */
export interface IdentityReasons {
  identity_not_set_up: NoFields;
  too_many_logins: { whose: 'user' | 'address' | 'everyone'; retry_after_seconds: number };
  /** Of this name from this network. */
  too_many_wrong_logins: { retry_after_seconds: number };
  password_locked: NoFields;
  password_empty: NoFields;
  password_too_long: { maximum: number };
  password_unlike_pattern: { description: string };
  password_too_young: { minimum_days: number; days_left: number };
  password_repeats: { unique: number };
  password_expired: { user: string };
  token_not_found: NoFields;
  token_of_another_user: { verb: 'read' | 'revoke' };
  system_token_not_rescoped: NoFields;
  application_credential_not_found: Id;
  application_credential_of_another_user: NoFields;
  application_credential_without_project: NoFields;
  application_credential_has_its_scope: NoFields;
  application_credential_role_not_held: { role: string };
  application_credential_restricted: {
    operation: RestrictedOperation;
  };
  trust_restricted: { operation: RestrictedOperation };
  access_rule_not_found: Id;
  access_rule_in_use: Id;
  secret_length_out_of_range: { maximum: number };
  expires_at_malformed: { text: string };
  expires_at_in_the_past: NoFields;
}

/** The catalogue. */
export interface IdentityReasons {
  service_not_found: Id;
  endpoint_not_found: Id;
  region_not_found: Id;
  region_in_use: Id;
  region_above_itself: NoFields;
  endpoint_service_unknown: NoFields;
  endpoint_region_unknown: NoFields;
  /** It is made from the cloud's settings at each start. */
  catalogue_entry_builtin: { noun: 'service' | 'endpoint'; id: string };
  endpoint_group_not_found: Id;
  endpoint_in_project_not_found: Id;
  policy_not_found: Id;
  registered_limit_not_found: Id;
  limit_not_found: Id;
  limit_registered_already: { resource: string };
  limit_not_registered: NoFields;
  limit_taken: NoFields;
  limit_names_unknown: { attribute: string };
  registered_limit_in_use: Id;
  /** It is a row of quota: its number changes, nothing else. */
  limit_served_here: Id;
  limit_of_domain: NoFields;
  limit_of_region: { resource: string };
}

/** Requests that are signed with an access key, S3's. */
export interface SignedRequestReasons {
  /** With the version that is no longer taken. */
  signature_version_refused: NoFields;
  signature_algorithm_unknown: NoFields;
  signature_malformed: { problem: string };
  /** The body's hash has to be said, or that there is none. */
  payload_hash_missing: NoFields;
  access_key_unknown: { access: string };
  /** What the client should have signed. */
  signature_mismatch: { access: string; signature: string; string_to_sign: string; canonical_request: string };
  signed_at_another_time: { time: string; now: string; maximum_ms: number };
  signature_expired: { expired_at: string; now: string };
  signature_not_yet_valid: { time: string; now: string };
  /** They mean something, and the signature does not hold them. */
  headers_not_signed: { headers: string };
  session_token_unknown: NoFields;
  /** The application credential that made the key names the requests that it is good for. */
  access_key_with_rules: NoFields;
}

declare module '../../contract/errors.ts' {
  interface Reasons extends IdentityReasons, SignedRequestReasons {}
}
