/** From proofs to a scope, and from a token's claims back to the question what it may do. Pure. */
import { CloudError } from '../../contract/errors.ts';
import type { Caller } from '../kit/caller.ts';
import type { Authorization, ScopeRequest } from './authorization.ts';
import type { Proven } from './login.ts';
import type { Claims } from './token.ts';
import type { TokenEntry } from './token-cache.ts';

/** What is asked for: a scope, or a trust that has one. */
export type WantedScope = ScopeRequest | { type: 'trust'; id: string };

/**
 * The scope that is looked for when a token is asked for.
 * @throws CloudError `forbidden` where the proof is itself a delegation, or would widen a system token
 */
export function scopeToTry(
  proven: Proven,
  wanted: WantedScope | null,
): { scope: ScopeRequest; trustId: string | null } {
  if (proven.trustId !== null) throw new CloudError('forbidden', 'trust_token_not_rescoped', {});
  if (proven.applicationCredential) {
    if (wanted) {
      throw new CloudError('forbidden', 'application_credential_has_its_scope', {});
    }
    return { scope: { type: 'project', id: proven.applicationCredential.projectId }, trustId: null };
  }
  if (wanted?.type === 'trust') return { scope: { type: 'project', ofTrust: true }, trustId: wanted.id };
  if (proven.parentScope?.type === 'system' && (wanted?.type === 'project' || wanted?.type === 'domain')) {
    throw new CloudError('forbidden', 'system_token_not_rescoped', {});
  }
  return { scope: wanted ?? { type: 'project', defaultOfUser: true }, trustId: null };
}

export function scopeOf({ scope }: Claims): ScopeRequest {
  switch (scope.type) {
    case 'project':
      return { type: 'project', id: scope.projectId };
    case 'domain':
      return { type: 'domain', domain: { id: scope.domainId } };
    default:
      return scope;
  }
}

/** @param now the database's clock as the authorization was read, in ms since 1970 */
export function toEntry(claims: Claims, authorization: Authorization, now: number): TokenEntry {
  const { user, project, domain, applicationCredential, trust } = authorization;
  const readAt = performance.now();
  const endsAt = readAt + claims.expiresAt - now;
  const caller: Caller = {
    requestId: '',
    userId: user.id,
    userName: user.name,
    userDomainId: user.domain.id,
    projectId: project?.id ?? null,
    projectName: project?.name ?? null,
    projectDomainId: project?.domain.id ?? null,
    domainId: domain?.id ?? null,
    system: claims.scope.type === 'system',
    roles: new Set(authorization.roles.map((role) => role.name)),
    applicationCredential: applicationCredential && {
      id: applicationCredential.id,
      unrestricted: applicationCredential.unrestricted,
    },
    ...(trust ? { trustId: trust.id } : {}),
    ...(applicationCredential?.accessRules ? { accessRules: applicationCredential.accessRules } : {}),
    endsAt,
  };
  return { claims, authorization, caller, readAt, endsAt };
}
