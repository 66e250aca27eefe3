/**
 * The keys that sign tokens, as this process knows them. The truth is table token_key; the newest key signs, every key
 * verifies. A key signs for `signForMs`, by the database's clock, and lives for one token's lifetime more. A process meets a key
 * that another one made when a token names it: then it reads the table again, at most once a second, so that
 * forged key ids cost nothing.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { newOrderedId } from '../../contract/ids.ts';
import { cloudActor, type Database } from '../kit/database/database.ts';
import type { TokenKey } from './token.ts';

interface KnownKey extends TokenKey {
  /** By the database's clock, when the keys were read. */
  ageMs: number;
}

const secretBytes = 32;
const reloadAtMostEveryMs = 1000;

export class TokenKeys {
  readonly #database: Database;
  readonly #lifetimeMs: number;
  readonly #signForMs: number;
  #keys = new Map<string, KnownKey>();
  #newest: KnownKey | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  /** @param options.lifetimeMs the longest that a token lives */
  constructor(options: { database: Database; lifetimeMs: number; signForMs?: number }) {
    this.#database = options.database;
    this.#lifetimeMs = options.lifetimeMs;
    this.#signForMs = options.signForMs ?? 7 * 24 * 3600 * 1000;
  }

  /** The key to sign with; makes a new one when there is none or the newest is old. */
  async signing(): Promise<TokenKey> {
    if (!this.#isFresh()) await this.#load();
    if (!this.#isFresh()) await this.rotate({ unlessFresh: true });
    return this.#newest!;
  }

  /** The key of that id, unless nobody made it. What it has signed ends before the key does, and says when. */
  async find(id: string): Promise<TokenKey | undefined> {
    if (!this.#keys.has(id) && performance.now() - this.#loadedAt >= reloadAtMostEveryMs) await this.#load();
    return this.#keys.get(id);
  }

  /** Makes a new key that signs from now on, and forgets the expired ones. */
  async rotate(options: { unlessFresh?: boolean } = {}): Promise<void> {
    const unlessFresh = options.unlessFresh ?? false;
    await this.#database.transaction(cloudActor, async (tx) => {
      // Several processes find at once that there is no fresh key: one makes it.
      await sql`lock table token_key in share row exclusive mode`.execute(tx);
      await sql`delete from token_key where expires_at < now()`.execute(tx);
      await sql`insert into token_key (id, secret, created_at, expires_at)
        select ${newOrderedId()}, ${randomBytes(secretBytes)}, clock_timestamp(),
          clock_timestamp() + ${this.#signForMs + this.#lifetimeMs}::double precision * interval '1 millisecond'
        where not (${unlessFresh} and exists (select from token_key
          where created_at > now() - ${this.#signForMs}::double precision * interval '1 millisecond'))`.execute(tx);
    });
    await this.#load();
  }

  #isFresh(): boolean {
    return this.#newest !== undefined && this.#newest.ageMs + performance.now() - this.#loadedAt < this.#signForMs;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const asked = performance.now();
    const { rows } = await sql<KnownKey>`select id, secret,
        (extract(epoch from clock_timestamp() - created_at) * 1000)::double precision as "ageMs"
      from token_key order by created_at`.execute(this.#database.query);
    this.#keys = new Map(rows.map((key) => [key.id, key]));
    this.#newest = rows.at(-1);
    this.#loadedAt = asked;
  }
}
