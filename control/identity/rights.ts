/** Who may read and change the directory: Keystone's defaults. Administrators all, readers of the system may read all, users themselves. */
import { CloudError } from '../../contract/errors.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { IdentityReasons } from './reasons.ts';

export const isSystemReader = (caller: Caller): boolean => caller.system && caller.roles.has('reader');

/** Services judge other callers, so they may ask what administrators may of them. */
export const isService = (caller: Caller): boolean => isAdmin(caller) || caller.roles.has('service');

/** @throws CloudError `forbidden` */
export function refuse(operation: string): never {
  throw new CloudError('forbidden', 'role_required', { operation, needs: 'admin' });
}

/** @throws CloudError `forbidden` */
export function requireAdministrator(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) refuse(operation);
}

/** @throws CloudError `forbidden` */
export function requireReader(caller: Caller, operation: string): void {
  if (!isAdmin(caller) && !isSystemReader(caller)) refuse(operation);
}

/** @throws CloudError `forbidden`, also where the user does not exist: who asks may not learn that */
export function requireSelfOrReader(caller: Caller, userId: string, operation: string): void {
  if (caller.userId !== userId) requireReader(caller, operation);
}

/** @throws CloudError `forbidden` */
export function requireSelfOrAdministrator(caller: Caller, userId: string, operation: string): void {
  if (caller.userId !== userId) requireAdministrator(caller, operation);
}

/** What a trust lends is a project's roles, not its trustor's keys. @throws CloudError `forbidden` */
export function requireNoTrust(
  caller: Caller,
  operation: IdentityReasons['application_credential_restricted']['operation'],
): void {
  if (caller.trustId !== undefined) throw new CloudError('forbidden', 'trust_restricted', { operation });
}

/**
 * Application credentials that are not unrestricted may not make or remove credentials: a leaked one could renew itself.
 * @throws CloudError `forbidden`
 */
export function requireUnrestricted(
  caller: Caller,
  operation: IdentityReasons['application_credential_restricted']['operation'],
): void {
  if (caller.applicationCredential && !caller.applicationCredential.unrestricted) {
    throw new CloudError('forbidden', 'application_credential_restricted', { operation });
  }
}
