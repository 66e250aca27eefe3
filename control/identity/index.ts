/** Identity's public face. */
export { bootstrapIdentity } from './bootstrap.ts';
export type { IdentityOptions, LoginRequest } from './options.ts';
export { PasswordHasher } from './password.ts';
export type { PasswordPolicy } from './password-policy.ts';
export { Sealer } from './sealing.ts';
export { IdentityService } from './service.ts';
export type { ChunkSignatures, SignedRequests, Visit } from './signed-requests.ts';
export { webSsoMinutes } from './websso.ts';
