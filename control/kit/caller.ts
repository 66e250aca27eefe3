/**
 * Who calls, with which rights: made from a token by the identity service, handed to every service operation.
 * Services decide with these functions; lists put the same rights into their WHERE.
 */

import { CloudError } from '../../contract/errors.ts';
import type { DomainId, ProjectId, UserId } from '../../contract/ids.ts';
import type { Actor } from './database/database.ts';

/** A request that an application credential's rules allow (Keystone's access rules). */
export interface AccessRule {
  /** Catalogue type, e.g. 'compute'. */
  service: string;
  method: string;
  /** `*` and `{name}` stand for one segment, `**` for any number. */
  path: string;
}

export interface Caller {
  requestId: string;
  userId: UserId;
  userName: string;
  userDomainId: DomainId;
  /** Exactly one scope: a project, a domain, the system, or none (unscoped token: all four empty). */
  projectId: ProjectId | null;
  projectName: string | null;
  projectDomainId: DomainId | null;
  domainId: DomainId | null;
  system: boolean;
  /** Effective role names in that scope, implied roles included. */
  roles: ReadonlySet<string>;
  /** Set when the token came from an application credential: it may not manage credentials unless unrestricted. */
  applicationCredential: { id: string; unrestricted: boolean } | null;
  /** Set when the token came from a trust. */
  trustId?: string;
  /** Set when the application credential names the only requests that it is good for. */
  accessRules?: readonly AccessRule[];
  /** The one revision of a row that the caller means to change; see `lockOwn`. */
  onlyAt?: { noun: string; id: string; generation: number };
  /** When the token ends by itself, by this process's monotonic clock (`performance.now()`): its own time is the database's. */
  endsAt?: number;
}

/** A project as its own reader: for what is looked at on its behalf while nobody calls. It may change nothing. */
export const projectItself = (projectId: string): Caller => ({
  ...{ requestId: '', userId: '' as UserId, userName: '', userDomainId: '' as DomainId },
  ...{ projectId: projectId as ProjectId, projectName: null, projectDomainId: null, domainId: null, system: false },
  ...{ roles: new Set<string>(), applicationCredential: null },
});

/** Who works on the machine of control, as root, past the APIs. No user: what it does is recorded as the cloud's own. */
export const operator: Caller = {
  ...projectItself(''),
  ...{ userName: 'root', projectId: null, system: true, roles: new Set(['admin']) },
};

export const actorOf = (caller: Caller): Actor => ({
  actorId: caller.userId || null,
  requestId: caller.requestId || null,
});

/** Role `admin` in whatever scope: may see and do everything (OpenStack's long-standing default). */
export const isAdmin = (caller: Caller): boolean => caller.roles.has('admin');

/** @throws CloudError `forbidden` */
export function requireAdmin(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) {
    throw new CloudError('forbidden', 'role_required', { operation, needs: 'admin' });
  }
}

/** @throws CloudError `forbidden` for whoever is no manager of the project that the token is for */
export function requireManager(caller: Caller, operation: string): void {
  if (isAdmin(caller) || (caller.projectId !== null && caller.roles.has('manager'))) return;
  throw new CloudError('forbidden', 'role_required', { operation, needs: 'manager' });
}

/**
 * The project that the caller acts in, with a right to change things there (roles member, manager or admin).
 * @throws CloudError `forbidden`
 */
export function requireProjectMember(caller: Caller, operation: string): ProjectId {
  const projectId = requireProject(caller, operation);
  if (!['member', 'manager', 'admin'].some((role) => caller.roles.has(role))) {
    throw new CloudError('forbidden', 'role_required', { operation, needs: 'member' });
  }
  return projectId;
}

/**
 * The project that the caller acts in; any role there will do.
 * @throws CloudError `forbidden`
 */
export function requireProject(caller: Caller, operation: string): ProjectId {
  if (!caller.projectId) {
    throw new CloudError('forbidden', 'project_scope_required', { operation });
  }
  return caller.projectId;
}
