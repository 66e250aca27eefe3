/**
 * The keys that sign tokens, as this process knows them. The truth is table token_key; the newest key signs, every key
 * verifies. A key signs for `signForMs`, by the database's clock, and lives for one token's lifetime more. A process meets a key
 * that another one made when a token names it: then it reads the table again, at most once a second, so that
 * forged key ids cost nothing. In the table they are sealed (sealing.ts): a copy of the database alone signs nothing. One that can't be opened is
 * nobody's, and another one is made. While a control of a release that did not seal them lives beside, they are left as it knows them.
 */
import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { newOrderedId } from '../../contract/ids.ts';
import { cloudActor, type Database } from '../kit/database/database.ts';
import type { Sealer } from './sealing.ts';
import type { TokenKeyTable } from './tables.ts';
import type { TokenKey } from './token.ts';

interface KnownKey extends TokenKey {
  /** By the database's clock, when the keys were read. */
  ageMs: number;
}

const secretBytes = 32;
const reloadAtMostEveryMs = 1000;
const sealAgainMs = 60_000;
/** Came with the release that seals. Controls that were started before take what is sealed for the key itself, and can't be started again. */
const sealedSince = '1120-quarantine-bytes';
const olderLives = sql<boolean>`exists (select from control_process p, migration m
  where m.name = ${sealedSince} and p.started_at < m.at and p.seen_at > clock_timestamp() - interval '1 minute')`;
const rowName = (id: string): string => `token_key ${id}`;

type Row = Pick<Selectable<TokenKeyTable>, 'id' | 'secret'>;

export class TokenKeys {
  readonly #database: Database;
  readonly #sealer: Sealer;
  readonly #lifetimeMs: number;
  readonly #signForMs: number;
  #keys = new Map<string, KnownKey>();
  #newest: KnownKey | undefined;
  /** Some are still to be sealed. */
  #inTheClear = false;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  /** @param options.lifetimeMs the longest that a token lives */
  constructor(options: { database: Database; sealer: Sealer; lifetimeMs: number; signForMs?: number }) {
    this.#database = options.database;
    this.#sealer = options.sealer;
    this.#lifetimeMs = options.lifetimeMs;
    this.#signForMs = options.signForMs ?? 7 * 24 * 3600 * 1000;
  }

  /** The key to sign with; makes a new one when there is none or the newest is old. */
  async signing(): Promise<TokenKey> {
    if (!this.#isFresh() || (this.#inTheClear && performance.now() - this.#loadedAt >= sealAgainMs)) await this.#load();
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
    const [id, signFor] = [newOrderedId(), sql`${this.#signForMs}::double precision * interval '1 millisecond'`];
    const clear = randomBytes(secretBytes);
    await this.#database.transaction(cloudActor, async (tx) => {
      // Several processes find at once that there is no fresh key: one makes it.
      await sql`lock table token_key in share row exclusive mode`.execute(tx);
      await sql`delete from token_key where expires_at < now()`.execute(tx);
      const { rows } = await sql<Row>`select id, secret from token_key where created_at > now() - ${signFor}`.execute(
        tx,
      );
      if (options.unlessFresh && rows.some((row) => this.#opened(row) !== undefined)) return;
      const older = (await sql<{ older: boolean }>`select ${olderLives} as older`.execute(tx)).rows[0]!.older;
      const secret = older ? clear : this.#sealed({ id, secret: clear });
      await sql`insert into token_key (id, secret, created_at, expires_at) values (${id}, ${secret}, clock_timestamp(),
        clock_timestamp() + ${signFor} + ${this.#lifetimeMs}::double precision * interval '1 millisecond')`.execute(tx);
    });
    await this.#load();
  }

  /** A cloud without sealing keys has them in the clear. */
  #sealed({ id, secret }: Row): Buffer {
    return this.#sealer.hasKey ? this.#sealer.seal(secret.toString('hex'), rowName(id)) : secret;
  }

  /** Undefined where what seals it is not here. */
  #opened({ id, secret }: Row): Buffer | undefined {
    if (secret.length === secretBytes) return secret;
    try {
      return Buffer.from(this.#sealer.open(secret, rowName(id)), 'hex');
    } catch {
      return undefined;
    }
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
    const { rows } = await sql<KnownKey & { older: boolean }>`select id, secret, ${olderLives} as older,
        (extract(epoch from clock_timestamp() - created_at) * 1000)::double precision as "ageMs"
      from token_key order by created_at`.execute(this.#database.query);
    const keys = rows.flatMap(({ id, ageMs, ...row }) => {
      const secret = this.#opened({ id, ...row });
      return secret ? [{ id, ageMs, secret }] : [];
    });
    // Those of a release that did not seal them.
    const clear = rows.filter(({ secret }) => this.#sealer.hasKey && secret.length === secretBytes);
    this.#inTheClear = clear.some(({ older }) => older);
    for (const row of clear.filter(({ older }) => !older))
      await sql`update token_key set secret = ${this.#sealed(row)} where id = ${row.id} and secret = ${row.secret}`.execute(
        this.#database.query,
      );
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#newest = keys.at(-1);
    this.#loadedAt = asked;
  }
}
