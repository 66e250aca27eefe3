/** What the identity service is made of, and what a login asks for. */

import type { Logger } from 'pino';
import type { Secret } from '../../contract/secret.ts';
import type { ChangeFeed } from '../kit/change-log/changes.ts';
import type { Database } from '../kit/database/database.ts';
import type { ResourceDescriptor } from '../kit/resource.ts';
import type { CatalogueEntry } from './catalogue.ts';
import type { Proof } from './login.ts';
import type { PasswordHasher } from './password.ts';
import type { PasswordPolicy } from './password-policy.ts';
import type { WantedScope } from './token-scope.ts';

export interface IdentityOptions {
  database: Database;
  feed: Pick<ChangeFeed, 'subscribe' | 'onTurn' | 'listening'>;
  log: Logger;
  region: string;
  /** Without a slash at the end, e.g. https://cloud.example:8443 */
  publicUrl: string;
  catalogue: readonly CatalogueEntry[];
  /** All of the cloud: some keep their project from being deleted. */
  resources: readonly ResourceDescriptor[];
  tokenLifetimeMs?: number;
  passwords?: PasswordHasher;
  /** What seals credentials at rest, the newest first; without one there are none. */
  sealingKeys: readonly Secret<Buffer>[];
  /** Absent: Keystone's defaults, which ask for nothing. */
  passwordPolicy?: PasswordPolicy;
  /** The pages that tokens of browsers' log-ins are taken to (Keystone's trusted_dashboard). */
  trustedDashboards?: readonly string[];
}

export interface LoginRequest {
  proofs: Proof[];
  /** Null: the user's default project, or else unscoped. */
  scope: WantedScope | null;
  /** What an earlier request has proven, as `receipt` gave it. */
  receipt?: string | undefined;
  /** Of the connection: whose share of the dear computations it is. */
  address?: string;
}
