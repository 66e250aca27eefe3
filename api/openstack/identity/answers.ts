/** What Keystone's answers are made of. Whoever makes a resource may give it attributes of their own, so those schemas are open. */
import { type TSchema, Type } from 'typebox';

type Members = Readonly<Record<string, TSchema>>;

const text = Type.String();
const boolean = Type.Boolean();
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const anything = Type.Record(Type.String(), Type.Unknown());
export const record = (properties: Members) => Type.Object(properties, { additionalProperties: false });

export const id = Type.String({ description: 'A UUID' });
export const links = record({ self: text });
export const pageLinks = record({ self: text, previous: Type.Null(), next: orNull(text) });

/** With attributes that nobody but its maker knows. */
const extensible = (title: string, properties: Members) =>
  Type.Object({ id, name: text, ...properties, links }, { title, additionalProperties: true });
const open = (title: string, properties: Members) => Type.Object(properties, { title, additionalProperties: true });
const closed = (title: string, properties: Members) => Type.Object(properties, { title, additionalProperties: false });

const description = orNull(text);
const named = record({ id, name: text });
const inDomain = record({ id, name: text, domain: named });

export const domain = extensible('Domain', {
  description,
  enabled: boolean,
  tags: Type.Array(text),
  options: anything,
});

export const project = extensible('Project', {
  domain_id: orNull(id),
  parent_id: orNull(id),
  is_domain: boolean,
  description,
  enabled: boolean,
  tags: Type.Array(text),
  options: anything,
});

export const user = extensible('User', {
  domain_id: id,
  enabled: boolean,
  description,
  email: Type.Optional(text),
  default_project_id: Type.Optional(id),
  options: anything,
  password_expires_at: orNull(text),
});

export const group = extensible('Group', { domain_id: id, description });

export const role = extensible('Role', { domain_id: orNull(id), description, options: anything });

const roleInShort = closed('Role in short', { id, name: text, description, links });
export const inference = closed('Role inference', { prior_role: roleInShort, implies: Type.Array(roleInShort) });
export const singleInference = record({
  role_inference: record({ prior_role: roleInShort, implies: roleInShort }),
  links,
});

const ruleMembers = { service: text, method: text, path: text };
const accessRuleMembers = { id, ...ruleMembers };
export const accessRule = closed('Access rule', { ...accessRuleMembers, links });
const accessRules = Type.Array(record(accessRuleMembers));

const credentialMembers = {
  id,
  name: text,
  description,
  project_id: id,
  user_id: id,
  roles: Type.Array(record({ id, name: text, domain_id: orNull(id) })),
  unrestricted: boolean,
  expires_at: orNull(text),
  access_rules: Type.Optional(accessRules),
  links,
};
export const credential = closed('Application credential', credentialMembers);
export const newCredential = closed('New application credential with its secret', {
  ...credentialMembers,
  secret: text,
});

export const service = extensible('Service', { type: text, description: text, enabled: boolean });
const endpointMembers = { id, interface: text, region: orNull(text), region_id: orNull(text), url: text };
export const endpoint = open('Endpoint', { ...endpointMembers, service_id: id, enabled: boolean, links });
export const region = open('Region', { id: text, description: text, parent_region_id: orNull(text), links });
export const endpointGroup = closed('Endpoint group', { id, name: text, description: text, filters: anything, links });
export const policy = open('Policy', { id, type: text, blob: text, links });
const catalogue = Type.Array(
  closed('Catalogue entry', { id, type: text, name: text, endpoints: Type.Array(record(endpointMembers)) }),
);

const maybeNamed = record({
  id,
  name: Type.Optional(text),
  domain: Type.Optional(record({ id, name: Type.Optional(orNull(text)) })),
});
const everything = record({ all: Type.Literal(true) });
export const assignment = closed('Role assignment', {
  role: maybeNamed,
  user: Type.Optional(maybeNamed),
  group: Type.Optional(maybeNamed),
  scope: record({
    project: Type.Optional(maybeNamed),
    domain: Type.Optional(maybeNamed),
    system: Type.Optional(everything),
    'OS-INHERIT:inherited_to': Type.Optional(Type.Literal('projects')),
  }),
  links: record({ assignment: text, membership: Type.Optional(text), prior_role: Type.Optional(text) }),
});

const roles = Type.Array(role);
export const trust = closed('Trust', {
  ...{ id, trustor_user_id: id, trustee_user_id: id, project_id: orNull(id), impersonation: boolean },
  ...{ expires_at: orNull(text), deleted_at: Type.Null(), remaining_uses: orNull(Type.Integer()) },
  ...{ redelegation_count: Type.Integer(), redelegated_trust_id: orNull(id), links },
  ...{ roles: Type.Optional(roles), roles_links: Type.Optional(pageLinks) },
});
export const rolesOfTrust = record({ roles, links: pageLinks });
export const storedCredential = open('Credential', {
  ...{ id, user_id: id, project_id: orNull(id), type: text, blob: text, links },
});
export const accessKey = closed('EC2 credential', {
  ...{ user_id: id, tenant_id: id, access: text, secret: text, trust_id: orNull(text), links },
});

export const identityProvider = closed('Identity provider', {
  ...{ id: text, domain_id: id, description, enabled: boolean, remote_ids: Type.Array(text) },
  ...{ authorization_ttl: orNull(Type.Integer()), oidc: record({ client_id: orNull(text), scope: orNull(text) }) },
  links: record({ self: text, protocols: text }),
});
export const serviceProvider = closed('Service provider', {
  ...{ id: text, auth_url: text, sp_url: text, description, enabled: boolean, relay_state_prefix: text, links },
});
export const mapping = closed('Mapping', { id: text, rules: Type.Array(anything), schema_version: text, links });
export const protocol = closed('Federation protocol', {
  ...{ id: text, mapping_id: text, remote_id_attribute: orNull(text) },
  links: record({ self: text, identity_provider: text }),
});

const limitMembers = { id, service_id: id, region_id: orNull(text), resource_name: text, description, links };
export const registeredLimit = closed('Registered limit', { ...limitMembers, default_limit: Type.Integer() });
export const limit = closed('Limit', {
  ...{ ...limitMembers, resource_limit: Type.Integer(), project_id: orNull(id), domain_id: orNull(id) },
});
export const limitModel = record({ name: text, description: text });

const revoked = Type.Optional(id);
export const revocationEvent = closed('Revocation event', {
  ...{ audit_id: Type.Optional(text), user_id: revoked, project_id: revoked, domain_id: revoked, trust_id: revoked },
  ...{ issued_before: text, revoked_at: text },
});

const tokenUser = record({ id, name: text, domain: named, password_expires_at: orNull(text) });
const methods = Type.Array(text);
export const token = record({
  token: closed('Token', {
    methods,
    user: tokenUser,
    audit_ids: Type.Array(text),
    issued_at: text,
    expires_at: text,
    project: Type.Optional(inDomain),
    is_domain: Type.Optional(boolean),
    domain: Type.Optional(named),
    system: Type.Optional(everything),
    roles: Type.Optional(Type.Array(named)),
    catalog: Type.Optional(catalogue),
    'OS-TRUST:trust': Type.Optional(
      record({ id, trustor_user: record({ id }), trustee_user: record({ id }), impersonation: boolean }),
    ),
    application_credential: Type.Optional(
      record({ id, name: text, restricted: boolean, access_rules: Type.Optional(Type.Array(record(ruleMembers))) }),
    ),
  }),
});
export const systems = record({ system: Type.Array(everything), links: pageLinks });
export const catalogueAnswer = record({ catalog: catalogue, links: pageLinks });

const version = closed('Version', {
  id: text,
  status: text,
  updated: text,
  links: Type.Array(record({ rel: text, href: text })),
  'media-types': Type.Array(record({ base: text, type: text })),
});
export const versions = record({ versions: record({ values: Type.Array(version) }) });
export const oneVersion = record({ version });

export const tags = record({ tags: Type.Array(text), links });

/** One under its noun. */
export const one = (noun: string, schema: TSchema) => record({ [noun]: schema });
/** Many, with the links of their page. */
export const many = (name: string, schema: TSchema) => record({ [name]: Type.Array(schema), links: pageLinks });

/** The form of every refusal. */
export const keystoneFault = Type.Object(
  { error: record({ code: Type.Integer(), message: text, title: text }) },
  { title: 'Fault' },
);
/** Where the proofs of a log-in are right and too few. */
export const receipt = record({
  receipt: record({
    methods,
    user: Type.Object({ id, name: text, domain: named }),
    issued_at: text,
    expires_at: text,
  }),
  required_auth_methods: Type.Array(Type.Array(text)),
});
