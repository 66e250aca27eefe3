/** Callers for tests of dialects and services: a token is the name of a caller. */
import type { Authenticator } from '../../api/openstack/common/authenticate.ts';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newId, type ProjectId, type UserId } from '../../contract/ids.ts';
import type { Caller } from '../../control/kit/caller.ts';

export function testCaller(roles: readonly string[], projectId: ProjectId | null = newId<ProjectId>()): Caller {
  return {
    requestId: 'req-test',
    userId: newId<UserId>(),
    userName: 'user 小屋',
    userDomainId: newId<DomainId>(),
    projectId,
    projectName: projectId && 'project',
    projectDomainId: projectId && newId<DomainId>(),
    domainId: null,
    system: projectId === null,
    roles: new Set(roles),
    applicationCredential: null,
  };
}

/** `X-Auth-Token: alice` is alice. */
export const testAuthenticator = (callers: Readonly<Record<string, Caller>>): Authenticator => ({
  async authenticate(token, requestId) {
    const caller = callers[token];
    if (!caller) throw new CloudError('unauthenticated', 'authentication_required', {});
    return { ...caller, requestId };
  },
});
