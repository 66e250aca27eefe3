/** What Keystone says of each reason, word for word where clients look for it. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { IdentityReasons } from '../../../control/identity/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import { kitSentences } from '../common/sentences.ts';

/** All that a call of this dialect may be refused for. */
export type KeystoneReasons = KitReasons & IdentityReasons;

const words = (noun: string) => noun.replaceAll('_', ' ');
const absent =
  (noun: string) =>
  ({ id }: { id: string }) =>
    `Could not find ${noun}: ${id}.`;

const whoseLogins = { user: 'of this user ', address: 'from this address ', everyone: '' };

const unrestrictedOperations = {
  create_application_credential: 'making an application credential',
  delete_application_credential: 'removing an application credential',
  delete_access_rule: 'removing an access rule',
  create_credential: 'making a credential',
};

const identitySentences: SentenceTable<IdentityReasons> = {
  domain_not_found: absent('domain'),
  user_not_found: absent('user'),
  group_not_found: absent('group'),
  user_in_group_not_found: absent('user in group'),
  name_taken: ({ noun, name }) =>
    `Conflict occurred attempting to store ${words(noun)} - a ${words(noun)} with the name ${name} exists already.`,
  name_empty: ({ noun }) => `the name of a ${words(noun)} can not be empty`,
  name_too_long: ({ noun, maximum }) => `the name of a ${words(noun)} can have at most ${maximum} characters`,
  entry_immutable: ({ noun, id }) => `the ${noun} ${id} is immutable; take back its option first`,
  extra_too_large: ({ maximum }) => `further attributes can have at most ${maximum} bytes together`,
  option_unknown: ({ option }) => `there is no option ${option}`,
  option_not_boolean: ({ option }) => `the option ${option} is true, false or null`,
  option_not_method_lists: ({ option }) => `the option ${option} is a list of lists of methods, none of them twice`,
  domain_config_not_found: ({ id }) => `Could not find domain configuration for domain ${id}.`,
  domain_option_unknown: ({ section, option }) =>
    `Invalid domain specific configuration: ${option === '' ? `Group ${section}` : `Option ${option} in group ${section}`} is not supported.`,
  domain_options_missing: 'Invalid domain specific configuration: No options specified.',
  domain_options_elsewhere: ({ section, option }) =>
    `Invalid domain specific configuration: the request must speak of ${option === '' ? `group ${section}` : `option ${option} in group ${section}`} only.`,
  domain_enabled: 'Cannot delete a domain that is enabled, please disable it first.',
  default_domain_needed: 'the default domain can not be disabled: nobody could enable it again',
  project_has_children: ({ id }) => `Cannot delete the project ${id} since it is not a leaf in the hierarchy.`,
  project_resources_left: ({ noun, id, resources }) => {
    const left = Object.entries(resources).map(([name, number]) => `${number} ${words(name)}`);
    return `${noun} ${id} can not be deleted while it has ${left.join(', ')}`;
  },
  project_parent_of_another_domain: 'a project and its parent must be in the same domain',
  project_parent_disabled: 'a project can not be enabled below a disabled project',
  project_child_enabled: 'a project can not be disabled while a project below it is enabled',
  project_too_deep: ({ maximum }) => `projects can be nested at most ${maximum} deep`,
  too_many_project_tags: ({ maximum }) => `there can be at most ${maximum} tags`,
  project_tags_repeat: 'tags must differ from each other',
  project_tag_malformed: ({ maximum }) => `a tag has 1 to ${maximum} characters, no comma and no slash`,

  role_not_found: absent('role'),
  implied_role_not_found: absent('implied role'),
  mightier_than_manager:
    'who is an administrator, or has a role in the system, is no business of the managers of a domain',
  role_never_implied: ({ role }) => `the role ${role} can not be implied`,
  global_role_implies_domain_role: 'a global role can not imply the role of a domain',
  domain_role_outside_domain: 'the role of a domain can be given in the projects of that domain only',
  domain_role_in_system: 'a role of a domain can not be given in the system',
  role_assignment_with_role_not_found: absent('role assignment with role'),
  assignments_subtree_without_project: 'include_subtree needs scope.project.id',
  effective_assignments_of_group: 'effective assignments are those of users; a group can not be asked for',
  effective_assignments_inherited: 'effective assignments are none that are inherited; do not ask for both',

  identity_not_set_up: 'identity has not been set up yet',
  too_many_wrong_logins: ({ retry_after_seconds }) =>
    `too many wrong logins of this user from this address; try again in ${retry_after_seconds} s`,
  too_many_logins: ({ whose }) => `too many logins ${whoseLogins[whose]}wait already; try again in a moment`,
  password_locked:
    'You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.',
  password_unlike_pattern: ({ description }) => `The password does not match the requirements: ${description}.`,
  password_too_young: ({ minimum_days: days, days_left: left }) =>
    `You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for ${days} day(s) before it can be changed. Please try again in ${left} day(s) or contact your administrator to reset your password.`,
  password_repeats: ({ unique }) =>
    `The new password cannot be identical to a previous password. The total number which includes the new password must be unique is ${unique}.`,
  password_expired: ({ user }) => `The password is expired and needs to be changed for user: ${user}.`,
  password_empty: 'a password can not be empty',
  password_too_long: ({ maximum }) => `a password can have at most ${maximum} characters`,
  token_not_found: 'Could not find token.',
  token_of_another_user: ({ verb }) =>
    `${{ read: 'reading', revoke: 'revoking' }[verb]} another user's token needs the role admin`,
  system_token_not_rescoped: 'a token for the system can not be used to get one for a project or domain',
  application_credential_not_found: absent('application credential'),
  application_credential_of_another_user: 'application credentials can be made by their user only',
  application_credential_without_project: 'an application credential needs a token that is scoped to a project',
  application_credential_has_its_scope:
    'an application credential has a project of its own; no other scope can be asked for',
  application_credential_role_not_held: ({ role }) =>
    `Invalid application credential: Could not find role assignment with role: ${role}.`,
  application_credential_restricted: ({ operation }) =>
    `${unrestrictedOperations[operation]} is not allowed with a restricted application credential`,
  trust_restricted: ({ operation }) => `${unrestrictedOperations[operation]} is not allowed with a token of a trust`,

  trust_not_found: absent('trust'),
  trust_of_another_trustor: 'The authenticated user should match the trustor',
  trust_by_application_credential: "Using method 'application_credential' is not allowed for managing trusts.",
  trust_without_role: 'At least one role should be specified',
  trust_used_up: ({ id }) => `No remaining uses for trust: ${id}.`,
  trust_too_deep: ({ wanted, maximum }) =>
    `Remaining redelegation depth of ${wanted} out of allowed range of [0..${maximum}]`,
  trust_depth_is_given:
    'Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.',
  trust_counted_and_passed_on: 'remaining_uses must not be set if redelegation is allowed',
  trust_wider_than_its_parent:
    'a redelegated trust has at most the project, the roles, the time and the impersonation of the one that it is made from',
  trust_of_another_trustee: 'User is not a trustee.',
  trust_token_not_rescoped: 'Using trust-scoped token to create another token. Create a new trust-scoped token instead',

  identity_provider_not_found: absent('identity provider'),
  mapping_not_found: absent('mapping'),
  service_provider_not_found: absent('service provider'),
  federation_protocol_not_found: absent('federated protocol'),
  federation_name_taken: ({ name }) =>
    `Conflict occurred attempting to store ${words(name)} - there is one of this id already.`,
  mapping_in_use: 'the mapping is in use by a protocol',
  mapping_pattern_malformed: ({ pattern }) => `${pattern} is no regular expression`,
  mapping_gives_no_user:
    'Could not map any federated user properties to identity values. Check debug logs or the mapping used for additional details.',
  mapping_names_too_many: 'the mapping names more than its remote side has',
  identity_provider_disabled: 'The identity provider is disabled.',
  websso_without_origin: 'Request must have an origin query parameter',
  websso_without_state: 'a browser comes back from an identity provider with the state that it left with',
  websso_without_provider:
    'there are several identity providers with this protocol: name one, by /v3/auth/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}/websso',
  websso_without_client: ({ name }) => `the identity provider ${name} has no oidc.client_id to log in with`,
  identity_provider_unreachable: ({ name }) => `the identity provider ${name} could not be asked`,

  credential_not_found: absent('credential'),
  credential_outside_delegation:
    'A delegated token reaches credentials of its own project only: no TOTP seed, and no access key that it did not make',
  too_many_credentials: ({ maximum }) => `a user can have at most ${maximum} credentials`,
  access_key_without_project: 'a credential of type ec2 needs a project_id',
  access_key_malformed: 'the blob of a credential of type ec2 is a JSON object with the text access',
  access_key_taken: 'Conflict occurred attempting to store credential - there is one with this access key already.',
  access_key_bound: ({ attribute }) => `${attribute} can not be updated for credential`,
  access_key_not_found: 'EC2 access key not found.',
  sealing_key_missing: "the cloud's key for secrets is not there; see secrets/sealing-keys in its data directory",

  access_rule_not_found: absent('access rule'),
  access_rule_in_use: ({ id }) => `the access rule ${id} is in use by an application credential`,
  secret_length_out_of_range: ({ maximum }) => `a secret has 1 to ${maximum} characters`,
  expires_at_malformed: ({ text }) => `expires_at ${text} is no time of the form 2030-01-31T12:00:00`,
  expires_at_in_the_past: "The 'expires_at' must not be before now.",

  service_not_found: absent('service'),
  endpoint_not_found: absent('endpoint'),
  region_not_found: absent('region'),
  region_in_use: ({ id }) => `Unable to delete region ${id} because it or its child regions have associated endpoints.`,
  region_above_itself: 'a region can not be below itself',
  endpoint_service_unknown:
    'Expecting to find endpoint service_id in service table. The server could not comply with the request since it is either malformed or otherwise incorrect.',
  endpoint_region_unknown:
    'Expecting to find endpoint region_id in region table. The server could not comply with the request since it is either malformed or otherwise incorrect.',
  catalogue_entry_builtin: ({ noun, id }) =>
    `the ${noun} ${id} is the cloud's own: it follows its settings (public_url, region) and can not be changed here`,
  endpoint_group_not_found: absent('endpoint group'),
  endpoint_in_project_not_found: absent('endpoint in project'),
  policy_not_found: absent('policy'),
  registered_limit_not_found: ({ id }) => `Could not find registered limit for ${id}.`,
  limit_not_found: ({ id }) => `Could not find limit for ${id}.`,
  limit_registered_already: ({ resource }) =>
    `Conflict occurred attempting to store registered_limit - there is one of ${resource} already.`,
  limit_not_registered: 'Unable to create a limit that has no corresponding registered limit.',
  limit_taken: 'Conflict occurred attempting to store limit - there is one of this resource already.',
  limit_names_unknown: ({ attribute }) => `Expecting to find ${attribute} in limit.`,
  registered_limit_in_use: ({ id }) =>
    `Unable to update or delete registered limit ${id} because there are project limits associated with it.`,
  limit_served_here: ({ id }) =>
    `the registered limit ${id} is of what this cloud serves: only its default_limit can be changed`,
  limit_of_domain: 'what this cloud serves is limited for each project; domains have no limits of it',
  limit_of_region: ({ resource }) =>
    `what this cloud serves has one limit in all regions: change the one of ${resource} that names none`,
};

export const keystoneSentences: SentenceTable<KeystoneReasons> = {
  ...kitSentences,
  role_required: ({ operation }) => `You are not authorized to perform the requested action: ${operation}.`,
  marker_not_found: ({ marker }) => `Could not find marker: ${marker}.`,
  ...identitySentences,
};
