/**
 * Who may do what in a container. Its project's members do everything, readers read; others what its access control lists (Swift's texts), what S3's
 * words in its settings and what a signature gave. Pure.
 */
import { CloudError } from '../../contract/errors.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { Right, Visit, Visitor } from './object.ts';
import { visitOf } from './object.ts';

export interface Guarded {
  /** Absent: there is no such container. */
  id?: string;
  projectId: string;
  readAcl: string;
  writeAcl: string;
  settings: Record<string, unknown>;
}

const writers = ['member', 'manager', 'admin'];
/** Swift's role that may act in every account. */
const resellers = 'ResellerAdmin';

/** Of everything in the account. */
export function ownsAccount(caller: Caller | null, projectId: string): boolean {
  if (caller === null) return false;
  if (isAdmin(caller) || caller.roles.has(resellers)) return true;
  return caller.projectId === projectId && writers.some((role) => caller.roles.has(role));
}

function readsAccount(caller: Caller | null, projectId: string): boolean {
  return ownsAccount(caller, projectId) || (caller?.projectId === projectId && caller.roles.has('reader'));
}

/** May the visitor do it? Of a container that does not exist only its account's own people may know. */
export function mayAccess(visitor: Visitor, container: Guarded, right: Right): boolean {
  const visit = visitOf(visitor);
  if (isGranted(visit, container, right)) return true;
  if (ownsAccount(visit.caller, container.projectId)) return true;
  if (right === 'own') return false;
  if (right !== 'write' && readsAccount(visit.caller, container.projectId)) return true;
  return listAllows(container, visit, right);
}

function isGranted({ granted, grantedIn }: Visit, place: Pick<Guarded, 'id' | 'projectId'>, right: Right): boolean {
  if (!granted?.includes(right)) return false;
  if (grantedIn === undefined) return true;
  return 'projectId' in grantedIn ? grantedIn.projectId === place.projectId : grantedIn.containerId === place.id;
}

/** @throws CloudError `unauthenticated` to who has not logged in, `forbidden` */
export function requireAccess(visitor: Visitor, container: Guarded, right: Right): void {
  if (!mayAccess(visitor, container, right)) throw denied(visitor, right);
}

/** @throws CloudError `unauthenticated` to who has not logged in, `forbidden` */
export function requireAccount(visitor: Visitor, projectId: string, right: 'list' | 'own'): void {
  const visit = visitOf(visitor);
  const { caller } = visit;
  if (isGranted(visit, { projectId }, right)) return;
  if (right === 'own' ? ownsAccount(caller, projectId) : readsAccount(caller, projectId)) return;
  throw denied(visitor, right);
}

export const denied = (visitor: Visitor, right: Right): CloudError =>
  visitOf(visitor).caller === null
    ? new CloudError('unauthenticated', 'authentication_required', {})
    : new CloudError('forbidden', 'object_access_denied', { right });

/** Of a container's settings: the domain whose names its lists mean. Kept by whoever keeps the lists. */
export const aclDomain = 'aclDomain';

/**
 * Swift's texts: `.r:*`, `.r:host`, `.r:.domain`, `.r:-host`, `.rlistings`, `project:user`, `project:*`, `*:user`, `*:*`, a role. Projects and users by id, or
 * by name where both are of the domain of the container's project: another domain may have the same names.
 */
function listAllows(container: Guarded, { caller, referrer }: Visit, right: Right): boolean {
  const acl = right === 'write' ? container.writeAcl : container.readAcl;
  if (acl === '') return false;
  const domain = container.settings[aclDomain];
  const entries = acl.split(',').map((entry) => entry.trim());
  const referrers = entries.filter((entry) => entry.startsWith('.r:')).map((entry) => entry.slice(3));
  if (referrers.length > 0 && right !== 'write' && referrerAllowed(referrer, referrers)) {
    if (right === 'read' || entries.includes('.rlistings')) return true;
  }
  return caller !== null && entries.some((entry) => !entry.startsWith('.r') && namesCaller(entry, caller, domain));
}

function namesCaller(entry: string, caller: Caller, domain: unknown): boolean {
  const cut = entry.indexOf(':');
  if (cut < 0) return [...caller.roles].some((role) => role.toLowerCase() === entry.toLowerCase());
  const [project, user] = [entry.slice(0, cut), entry.slice(cut + 1)];
  const named = caller.userDomainId === domain && caller.projectDomainId === domain;
  const projects = ['*', caller.projectId, caller.projectId?.replaceAll('-', ''), named && caller.projectName];
  const users = ['*', caller.userId, caller.userId.replaceAll('-', ''), named && caller.userName];
  return projects.includes(project) && users.includes(user);
}

/** The last word that fits counts, as in Swift (swift/common/middleware/acl.py, `referrer_allowed`). */
function referrerAllowed(referrer: string | undefined, words: readonly string[]): boolean {
  const host = hostOf(referrer);
  let allowed = false;
  for (const word of words) {
    const [refuses, name] = word.startsWith('-') ? [true, word.slice(1)] : [false, word];
    if (name === '*' || name === host || (name.startsWith('.') && host.endsWith(name))) allowed = !refuses;
  }
  return allowed;
}

const hostOf = (referrer: string | undefined): string =>
  referrer !== undefined && URL.canParse(referrer) ? new URL(referrer).hostname || 'unknown' : 'unknown';
