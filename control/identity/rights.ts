/** Who may read and change the directory: Keystone's defaults. Administrators all, readers of the system may read all, users themselves. */
import { LegacyError } from '../../contract/legacy-error.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';

export const isSystemReader = (caller: Caller): boolean => caller.system && caller.roles.has('reader');

const refuse = (operation: string): never => {
  throw new LegacyError('forbidden', `You are not authorized to perform the requested action: ${operation}.`, {
    details: { operation, needs: 'admin' },
  });
};

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

/**
 * Application credentials that are not unrestricted may not make or remove credentials: a leaked one could renew itself.
 * @throws CloudError `forbidden`
 */
export function requireUnrestricted(caller: Caller, operation: string): void {
  if (caller.applicationCredential && !caller.applicationCredential.unrestricted) {
    throw new LegacyError('forbidden', `${operation} is not allowed with a restricted application credential`);
  }
}
