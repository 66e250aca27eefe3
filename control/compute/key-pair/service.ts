/**
 * Key pairs: public keys that belong to a user, copied into a server when it is made. Private keys are never stored.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Secret } from '../../../contract/secret.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { Gate, Gates } from '../../kit/gate.ts';
import { type GeneratedKey, generateSshKey, readSshKey } from './ssh-key.ts';
import { generateX509Key, readCertificate } from './x509-key.ts';

export interface KeyPairRow {
  id: string;
  user_id: string;
  name: string;
  type: 'ssh' | 'x509';
  public_key: string;
  fingerprint: string;
  created_at: Date;
  updated_at: Date;
  /** Position among the user's keys by age: Nova's integer id. */
  number: number;
}

export interface KeyPairWish {
  name: string;
  type: 'ssh' | 'x509';
  /** Null: a pair is made. */
  publicKey: string | null;
  userId?: string;
}

/** Of a kind of pairs, for a user. */
type Generate = (type: KeyPairWish['type'], userId: string) => Promise<GeneratedKey>;

export class KeyPairService {
  readonly #database: Database;
  readonly #generate: Generate;
  /** Of one caller at a time, and of all: to find primes takes a core for a while, and log-ins wait for the same threads. */
  readonly #turns = new Gates(1);
  readonly #generating = new Gate(1);

  /** @param options.generate absent: as Nova does it */
  constructor(options: { database: Database; generate?: Generate }) {
    this.#database = options.database;
    this.#generate =
      options.generate ?? ((type, userId) => (type === 'ssh' ? generateSshKey() : generateX509Key(userId)));
  }

  /** Imports a public key; or makes a pair where none is given, and answers the private key this once. */
  async create(caller: Caller, wish: KeyPairWish): Promise<{ keyPair: KeyPairRow; privateKey: Secret | null }> {
    if (wish.publicKey !== null) return this.#create(caller, wish);
    return this.#turns.run(caller.userId, () => this.#create(caller, wish));
  }

  async #create(caller: Caller, wish: KeyPairWish): Promise<{ keyPair: KeyPairRow; privateKey: Secret | null }> {
    const userId = this.#owner(caller, wish.userId, 'create');
    const made = wish.publicKey === null ? await this.#make(caller, wish.type, userId) : null;
    const key = made ?? (wish.type === 'ssh' ? readSshKey(wish.publicKey!) : readCertificate(wish.publicKey!));
    const keyPair = await this.#database.transaction(actorOf(caller), async (tx) => {
      await requireQuota(tx, userId, caller.projectId);
      const id = newOrderedId();
      try {
        const { rows } = await sql<KeyPairRow>`insert into key_pair (id, user_id, name, type, public_key, fingerprint)
          values (${id}, ${userId}, ${wish.name}, ${wish.type}, ${key.publicKey}, ${key.fingerprint})
          returning *, 0 as number`.execute(tx);
        return rows[0]!;
      } catch (error) {
        const constraint = violatedConstraint(error);
        if (constraint === 'key_pair_user_id_fkey')
          throw new CloudError('invalid', 'key_pair_user_gone', { user: userId }, { cause: error });
        if (constraint !== 'key_pair_user_id_name_key') throw error;
        throw new CloudError('conflict', 'key_pair_name_taken', { name: wish.name }, { cause: error });
      }
    });
    return { keyPair, privateKey: made?.privateKey ?? null };
  }

  /** Only where there is room for it. @throws CloudError `quota_exceeded` */
  async #make({ projectId }: Caller, type: KeyPairWish['type'], userId: string): Promise<GeneratedKey> {
    await this.#database.transaction(cloudActor, (tx) => requireQuota(tx, userId, projectId));
    return this.#generating.run(() => this.#generate(type, userId));
  }

  async list(
    caller: Caller,
    options: { userId?: string; limit?: number; marker?: string } = {},
  ): Promise<KeyPairRow[]> {
    const userId = this.#owner(caller, options.userId, 'list');
    if (options.marker !== undefined && !(await this.#find(userId, options.marker))) {
      throw new CloudError('invalid', 'key_pair_marker_not_found', { marker: options.marker });
    }
    const { rows } = await sql<KeyPairRow>`select *, 0 as number from key_pair where user_id = ${userId}
      and (${options.marker ?? null}::text is null or name > ${options.marker ?? null}::text)
      order by name limit ${options.limit ?? null}::bigint`.execute(this.#database.query);
    return rows;
  }

  /** @throws CloudError `not_found` */
  async get(caller: Caller, name: string, options: { userId?: string } = {}): Promise<KeyPairRow> {
    const userId = this.#owner(caller, options.userId, 'show');
    const keyPair = await this.#find(userId, name);
    if (!keyPair) throw notFound(name, userId);
    return keyPair;
  }

  /** @throws CloudError `not_found` */
  async delete(caller: Caller, name: string, options: { userId?: string } = {}): Promise<void> {
    const userId = this.#owner(caller, options.userId, 'delete');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } = await sql`delete from key_pair where user_id = ${userId} and name = ${name}`.execute(
        tx,
      );
      if (numAffectedRows !== 1n) throw notFound(name, userId);
    });
  }

  async #find(userId: string, name: string): Promise<KeyPairRow | undefined> {
    const { rows } = await sql<KeyPairRow>`select *, (select count(*) from key_pair o
        where o.user_id = k.user_id and o.id <= k.id)::integer as number
      from key_pair k where user_id = ${userId} and name = ${name}`.execute(this.#database.query);
    return rows[0];
  }

  /** Whose key pairs: the caller's own; administrators may name another user. */
  #owner(caller: Caller, userId: string | undefined, verb: string): string {
    if (userId === undefined || userId === caller.userId) return caller.userId;
    if (!isAdmin(caller)) {
      throw new CloudError('forbidden', 'key_pair_of_another_user', { verb });
    }
    return userId;
  }
}

const notFound = (name: string, userId: string): CloudError =>
  new CloudError('not_found', 'key_pair_not_found', { name, user: userId });

/** Key pairs count per user, as in Nova; the limit is the one that the project is shown in which one is asked for. */
async function requireQuota(tx: Tx, userId: string, projectId: string | null): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`quota key_pairs ${userId}`}, 0))`.execute(tx);
  const { rows } = await sql<{ used: number; maximum: number | null }>`select
    (select count(*) from key_pair where user_id = ${userId}) as used,
    (select maximum from quota where resource = 'key_pairs' and (project_id = ${projectId}::uuid or project_id is null)
      order by project_id nulls last limit 1) as maximum`.execute(tx);
  const { used, maximum } = rows[0]!;
  if (maximum !== null && maximum >= 0 && used >= maximum) {
    throw new CloudError('quota_exceeded', 'quota_exceeded', {
      resource: 'key_pairs',
      limit: maximum,
      used,
      wanted: 1,
    });
  }
}
