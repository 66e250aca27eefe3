/** Identity's public face. */
export { bootstrapIdentity } from './bootstrap.ts';
export { PasswordHasher } from './password.ts';
export type { PasswordPolicy } from './password-policy.ts';
export { Sealer } from './sealing.ts';
export { type IdentityOptions, IdentityService, type LoginRequest } from './service.ts';
export { webSsoMinutes } from './websso.ts';
