/** Rows in Keystone's words. What callers stored under names of their own comes first, so that it hides nothing. */
import type { ApplicationCredential, StoredAccessRule } from '../../../control/identity/application-credentials.ts';
import type { Assignment } from '../../../control/identity/assignments.ts';
import type {
  EndpointGroupRow,
  EndpointRow,
  PolicyRow,
  RegionRow,
  ServiceRow,
} from '../../../control/identity/catalogue-tables.ts';
import type { AccessKey, Credential } from '../../../control/identity/credentials.ts';
import type { Inference } from '../../../control/identity/roles.ts';
import type { DomainRow, GroupRow, ProjectRow, RoleRow } from '../../../control/identity/tables.ts';
import type { TokenEntry } from '../../../control/identity/token-cache.ts';
import type { Trust } from '../../../control/identity/trusts.ts';
import type { UserView } from '../../../control/identity/users.ts';
import { type Deps, shownDomainId } from './resource.ts';

const link = (deps: Deps, path: string) => ({ links: { self: `${deps.base}/v3/${path}` } });

/** Keystone's times in directory documents: UTC, microseconds, no zone. */
const time = (date: Date | null): string | null => (date ? `${date.toISOString().slice(0, -1)}000` : null);
/** And in tokens: with zone. */
export const tokenTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

interface DomainName {
  id: string;
  name: string;
}

/** A domain as others name it. */
export const domainName = (deps: Deps) => (domain: DomainName) => ({
  id: shownDomainId(deps, domain.id),
  name: domain.name,
});

export const domainView = (deps: Deps) => (row: DomainRow) => ({
  ...row.extra,
  id: shownDomainId(deps, row.id),
  name: row.name,
  description: row.description,
  enabled: row.enabled,
  tags: row.tags,
  options: row.options,
  ...link(deps, `domains/${shownDomainId(deps, row.id)}`),
});

/** A domain as the project that it also is to Keystone. */
export const domainAsProjectView = (deps: Deps) => (row: DomainRow) => ({
  ...domainView(deps)(row),
  domain_id: null,
  parent_id: null,
  is_domain: true,
  ...link(deps, `projects/${shownDomainId(deps, row.id)}`),
});

export const projectView = (deps: Deps) => (row: ProjectRow) => ({
  ...row.extra,
  id: row.id,
  name: row.name,
  domain_id: shownDomainId(deps, row.domain_id),
  parent_id: row.parent_id ?? shownDomainId(deps, row.domain_id),
  is_domain: false,
  description: row.description,
  enabled: row.enabled,
  tags: row.tags,
  options: row.options,
  ...link(deps, `projects/${row.id}`),
});

export const userView = (deps: Deps) => (row: UserView) => ({
  ...row.extra,
  id: row.id,
  name: row.name,
  domain_id: shownDomainId(deps, row.domain_id),
  enabled: row.enabled,
  description: row.description,
  ...(row.email === null ? {} : { email: row.email }),
  ...(row.default_project_id === null ? {} : { default_project_id: row.default_project_id }),
  options: row.options,
  password_expires_at: time(row.password_expires_at),
  ...link(deps, `users/${row.id}`),
});

export const groupView = (deps: Deps) => (row: GroupRow) => ({
  ...row.extra,
  id: row.id,
  name: row.name,
  domain_id: shownDomainId(deps, row.domain_id),
  description: row.description,
  ...link(deps, `groups/${row.id}`),
});

export const roleView = (deps: Deps) => (row: RoleRow) => ({
  ...row.extra,
  id: row.id,
  name: row.name,
  domain_id: shownDomainId(deps, row.domain_id),
  description: row.description || null,
  options: row.options,
  ...link(deps, `roles/${row.id}`),
});

/** Inferences show roles in short. */
const impliedView = (deps: Deps) => (row: RoleRow) => ({
  id: row.id,
  name: row.name,
  description: row.description || null,
  ...link(deps, `roles/${row.id}`),
});

export const inferenceView = (deps: Deps) => (inference: Inference) => ({
  prior_role: impliedView(deps)(inference.prior),
  implies: inference.implied.map(impliedView(deps)),
});

export const singleInferenceView = (deps: Deps, { prior, implied }: Inference) => ({
  role_inference: { prior_role: impliedView(deps)(prior), implies: impliedView(deps)(implied[0]!) },
  ...link(deps, `roles/${prior.id}/implies/${implied[0]!.id}`),
});

export const credentialView = (deps: Deps) => (row: ApplicationCredential) => ({
  id: row.id,
  name: row.name,
  description: row.description,
  project_id: row.project_id,
  user_id: row.user_id,
  roles: row.roles,
  unrestricted: row.unrestricted,
  expires_at: row.expires_at,
  ...(row.access_rules ? { access_rules: row.access_rules } : {}),
  ...link(deps, `users/${row.user_id}/application_credentials/${row.id}`),
});

export const storedCredentialView = (deps: Deps) => (row: Credential) => ({
  ...row.extra,
  id: row.id,
  user_id: row.user_id,
  project_id: row.project_id,
  type: row.type,
  blob: row.blob,
  ...link(deps, `credentials/${row.id}`),
});

export const accessKeyView = (deps: Deps) => (key: AccessKey) => ({
  user_id: key.userId,
  tenant_id: key.projectId,
  access: key.access,
  secret: key.secret,
  trust_id: key.trustId,
  ...link(deps, `users/${key.userId}/credentials/OS-EC2/${encodeURIComponent(key.access)}`),
});

/** Lists leave the roles out. */
export const trustView =
  (deps: Deps, { withRoles }: { withRoles: boolean }) =>
  (row: Trust) => ({
    id: row.id,
    trustor_user_id: row.trustor_user_id,
    trustee_user_id: row.trustee_user_id,
    project_id: row.project_id,
    impersonation: row.impersonation,
    expires_at: row.expires_at,
    deleted_at: null,
    remaining_uses: row.remaining_uses,
    redelegation_count: row.redelegation_count,
    redelegated_trust_id: row.redelegated_trust_id,
    ...(withRoles ? { roles: row.roles.map(roleView(deps)), roles_links: trustRolesLinks(deps, row) } : {}),
    ...link(deps, `OS-TRUST/trusts/${row.id}`),
  });

export const trustRolesLinks = (deps: Deps, { id }: Trust) => ({
  ...{ self: `${deps.base}/v3/OS-TRUST/trusts/${id}/roles`, previous: null, next: null },
});

export const accessRuleView = (deps: Deps, userId: string) => (row: StoredAccessRule) => ({
  ...row,
  ...link(deps, `users/${userId}/access_rules/${row.id}`),
});

export const serviceView = (deps: Deps) => (row: ServiceRow) => ({
  ...row.extra,
  id: row.id,
  type: row.type,
  name: row.name,
  description: row.description,
  enabled: row.enabled,
  ...link(deps, `services/${row.id}`),
});

export const endpointView = (deps: Deps) => (row: EndpointRow) => ({
  ...row.extra,
  id: row.id,
  service_id: row.service_id,
  interface: row.interface,
  region: row.region,
  region_id: row.region,
  url: row.url,
  enabled: row.enabled,
  ...link(deps, `endpoints/${row.id}`),
});

export const regionView = (deps: Deps) => (row: RegionRow) => ({
  ...row.extra,
  id: row.name,
  description: row.description,
  parent_region_id: row.parent,
  ...link(deps, `regions/${encodeURIComponent(row.name)}`),
});

export const endpointGroupView = (deps: Deps) => (row: EndpointGroupRow) => ({
  id: row.id,
  name: row.name,
  description: row.description,
  filters: row.filters,
  ...link(deps, `OS-EP-FILTER/endpoint_groups/${row.id}`),
});

export const policyView = (deps: Deps) => (row: PolicyRow) => ({
  ...row.extra,
  id: row.id,
  type: row.type,
  blob: row.blob,
  ...link(deps, `policies/${row.id}`),
});

export const assignmentView = (deps: Deps, withNames: boolean) => (row: Assignment) => {
  const named = (one: Assignment['role']) => ({
    id: one.id,
    ...(withNames
      ? {
          name: one.name,
          ...(one.domain_id ? { domain: { id: shownDomainId(deps, one.domain_id), name: one.domain_name } } : {}),
        }
      : {}),
  });
  const actor = row.user ? { user: named(row.user) } : { group: named(row.group!) };
  const inherited = row.inherited ? { 'OS-INHERIT:inherited_to': 'projects' } : {};
  const target = row.project
    ? { project: named(row.project) }
    : row.domain
      ? { domain: { id: shownDomainId(deps, row.domain.id), ...(withNames ? { name: row.domain.name } : {}) } }
      : { system: { all: true } };
  return { role: named(row.role), ...actor, scope: { ...target, ...inherited }, links: assignmentLinks(deps, row) };
};

function assignmentLinks(deps: Deps, row: Assignment) {
  const { via } = row;
  const inherited = row.inherited || via?.projectId || via?.domainId;
  const projectId = via?.projectId ?? (via?.domainId ? null : row.project?.id);
  const place = projectId
    ? `projects/${projectId}`
    : (via?.domainId ?? row.domain)
      ? `domains/${shownDomainId(deps, via?.domainId ?? row.domain!.id)}`
      : 'system';
  const groupId = via?.groupId ?? row.group?.id;
  const actor = groupId ? `groups/${groupId}` : `users/${row.user!.id}`;
  const role = `roles/${via?.priorRoleId ?? row.role.id}`;
  const path = inherited ? `OS-INHERIT/${place}/${actor}/${role}/inherited_to_projects` : `${place}/${actor}/${role}`;
  return {
    assignment: `${deps.base}/v3/${path}`,
    ...(via?.groupId ? { membership: `${deps.base}/v3/groups/${via.groupId}/users/${row.user!.id}` } : {}),
    ...(via?.priorRoleId
      ? { prior_role: `${deps.base}/v3/prior_role/${via.priorRoleId}/implied_role/${row.role.id}` }
      : {}),
  };
}

/** The document of a token, as text: made once for each token, since it is what services ask for most. */
export async function tokenDocument(deps: Deps, entry: TokenEntry): Promise<string> {
  entry.document ??= JSON.stringify({ token: await tokenView(deps, entry) });
  return entry.document;
}

export async function tokenView(deps: Deps, { claims, authorization, caller }: TokenEntry, withCatalogue = true) {
  const { user, project, domain, roles, scope, applicationCredential, trust } = authorization;
  const scoped = scope.type !== 'unscoped';
  return {
    methods: claims.methods,
    user: {
      ...{ id: user.id, name: user.name, domain: domainName(deps)(user.domain) },
      password_expires_at: user.passwordExpiresAt,
    },
    audit_ids: claims.auditIds,
    issued_at: tokenTime(claims.issuedAt),
    expires_at: tokenTime(claims.expiresAt),
    ...(project ? { project: { ...project, domain: domainName(deps)(project.domain) }, is_domain: false } : {}),
    ...(domain ? { domain: domainName(deps)(domain) } : {}),
    ...(scope.type === 'system' ? { system: { all: true } } : {}),
    ...(scoped ? { roles } : {}),
    ...(scoped && withCatalogue ? { catalog: await deps.identity.catalogue.document(caller) } : {}),
    ...(trust
      ? {
          'OS-TRUST:trust': {
            ...{ id: trust.id, impersonation: trust.impersonation },
            ...{ trustor_user: { id: trust.trustorId }, trustee_user: { id: trust.trusteeId } },
          },
        }
      : {}),
    ...(applicationCredential
      ? {
          application_credential: {
            id: applicationCredential.id,
            name: applicationCredential.name,
            restricted: !applicationCredential.unrestricted,
            ...(applicationCredential.accessRules ? { access_rules: applicationCredential.accessRules } : {}),
          },
        }
      : {}),
  };
}
