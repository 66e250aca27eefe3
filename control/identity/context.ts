/** What the parts of identity share: the database, and the one way in which they write. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId } from '../../contract/ids.ts';
import { type Actor, type Database, type Queryable, type Tx, violatedConstraint } from '../kit/database/database.ts';
import type { ResourceDescriptor } from '../kit/resource.ts';
import type { PasswordHasher } from './password.ts';
import { noPolicy, type PasswordPolicy, PasswordRules } from './password-policy.ts';
import type { Sealer } from './sealing.ts';
import type { IdentityChange, TokenCache } from './token-cache.ts';

export class IdentityContext {
  readonly database: Database;
  readonly passwords: PasswordHasher;
  readonly passwordRules: PasswordRules;
  readonly cache: TokenCache;
  readonly sealer: Sealer;
  readonly resources: readonly ResourceDescriptor[];
  #defaultDomainId: DomainId | undefined;

  constructor(options: {
    database: Database;
    passwords: PasswordHasher;
    passwordPolicy?: PasswordPolicy | undefined;
    cache: TokenCache;
    sealer: Sealer;
    resources: readonly ResourceDescriptor[];
  }) {
    this.database = options.database;
    this.passwords = options.passwords;
    this.passwordRules = new PasswordRules(options.passwordPolicy ?? noPolicy, options.passwords);
    this.cache = options.cache;
    this.sealer = options.sealer;
    this.resources = options.resources;
  }

  get query(): Queryable {
    return this.database.query;
  }

  /**
   * One transaction, then the cache forgets what it changed before anyone is answered: who has been told that a right
   * is gone finds it gone. Other processes learn it from the change feed.
   */
  async write<T>(actor: Actor, work: (tx: Tx) => Promise<T>): Promise<T> {
    let changes: IdentityChange[] = [];
    try {
      return await this.database.transaction(actor, async (tx) => {
        const result = await work(tx);
        ({ rows: changes } = await sql<IdentityChange>`select resource_type, resource_id, action, body from change
          where transaction_id = pg_current_xact_id_if_assigned() and at >= now() - interval '1 hour' order by sequence`.execute(
          tx,
        ));
        return result;
      });
    } catch (error) {
      // A commit whose answer was lost may have happened.
      if (!(error instanceof CloudError) && violatedConstraint(error) === undefined) this.cache.clear();
      throw error;
    } finally {
      this.cache.apply(changes);
    }
  }

  /** The default domain is never deleted, so it is read once. @throws CloudError `unavailable` before the bootstrap */
  async start(): Promise<void> {
    const row = await this.query.selectFrom('domain').select('id').where('is_default', '=', true).executeTakeFirst();
    if (!row) throw new CloudError('unavailable', 'identity_not_set_up', {});
    this.#defaultDomainId = row.id;
  }

  /** The domain that Keystone's callers know as `default`. */
  get defaultDomainId(): DomainId {
    if (this.#defaultDomainId === undefined) throw new CloudError('unavailable', 'identity_not_set_up', {});
    return this.#defaultDomainId;
  }
}

/** Runs a write; a violated constraint of the table becomes what `refusals` says of it. */
export async function refusing<T>(
  refusals: Readonly<Record<string, () => CloudError>>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const refusal = refusals[violatedConstraint(error) ?? ''];
    throw refusal ? refusal() : error;
  }
}
