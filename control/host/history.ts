/**
 * Which history of the database the hosts are told from: with each snapshot and update go the incarnation and the last change that
 * was seen. A host that remembers a change of this incarnation that the database has never made proves that it went back: a new
 * incarnation begins, for all hosts and watchers. So a host must not be able to invent one: what it is told is marked (identity/sealing.ts), with
 * keys that no copy of the database takes back. Owns nothing that outlives the process.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { HostMessage } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Sealer } from '../identity/index.ts';
import type { Change } from '../kit/change-log/changes.ts';
import { shortOf } from '../kit/change-log/position.ts';
import { latestWitness, mayHaveHappened, witnessOf } from '../kit/change-log/witness.ts';
import type { Database } from '../kit/database/database.ts';
import { renewIncarnation, settleIncarnation } from '../kit/database/incarnation.ts';

export type Remembered = (HostMessage & { type: 'hello' })['remembers'];

interface Place {
  incarnation: string;
  position: string;
}

const sharedMs = 250;

/** Of true proofs, too, one a minute counts. */
const renewalMs = 60_000;

const purpose = 'what hosts remember of the change log';

export class DatabaseHistory {
  readonly #database: Database;
  readonly #sealer: Pick<Sealer, 'mark' | 'isMarked'>;
  readonly #log: Logger;
  #last: string | undefined;
  #place: { read: Promise<Place>; at: number } | undefined;

  constructor(options: { database: Database; sealer: Pick<Sealer, 'mark' | 'isMarked'>; log: Logger }) {
    this.#database = options.database;
    this.#sealer = options.sealer;
    this.#log = options.log;
  }

  saw(changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (last) this.#last = this.#marked(last.position.incarnation, witnessOf(last));
  }

  /** What was seen is of another history than what comes now. */
  turn(): void {
    this.#last = undefined;
    this.#place = undefined;
  }

  /** The last change that this process has seen; for updates. */
  get position(): { position?: string } {
    return this.#last === undefined ? {} : { position: this.#last };
  }

  /** For a snapshot; read before it, so that it is not ahead of it. Many that begin at once share one reading. */
  place(): Promise<Place> {
    const { read, at } = this.#place ?? {};
    if (read && performance.now() - at! < sharedMs) return read;
    const now = this.#readPlace();
    this.#place = { read: now, at: performance.now() };
    now.catch(() => {
      this.#place = undefined;
    });
    return now;
  }

  async #readPlace(): Promise<Place> {
    const { id, begun, reason } = await settleIncarnation(this.#database);
    if (begun) this.#log.warn({ incarnation: id, reason }, 'a new incarnation of the database begins');
    const witness = await latestWitness(this.#database.query);
    return { incarnation: id, position: witness === undefined ? '' : this.#marked(shortOf(id), witness) };
  }

  async check(hostId: HostId, remembers: Remembered): Promise<void> {
    if (!remembers) return;
    const witness = this.#witnessIn(remembers);
    if (witness === undefined || (await mayHaveHappened(this.#database.query, witness))) return;
    const current = await settleIncarnation(this.#database);
    if (current.id !== remembers.incarnation || (await this.#hasJustBegun())) return;
    const reason = 'the database went back: a host remembers what it has not done';
    const { id } = await renewIncarnation(this.#database, current.id, reason);
    this.#log.warn({ incarnation: id, hostId, remembers }, `a new incarnation of the database begins: ${reason}`);
  }

  async #hasJustBegun(): Promise<boolean> {
    const { rows } = await sql<{ just: boolean }>`
      select incarnation_at > now() - ${renewalMs}::integer * interval '1 millisecond' as just from cloud`.execute(
      this.#database.query,
    );
    return rows[0]!.just;
  }

  #marked(incarnation: string, witness: string): string {
    return `${witness}.${this.#sealer.mark(`${incarnation} ${witness}`, purpose)}`;
  }

  /** Undefined where it was not told so by this cloud, of this incarnation. */
  #witnessIn({ incarnation, position }: NonNullable<Remembered>): string | undefined {
    const [, witness, mark] = /^(\d+\.\d+\.\d+)\.([\w-]+)$/.exec(position) ?? [];
    const own = mark !== undefined && this.#sealer.isMarked(`${shortOf(incarnation)} ${witness}`, mark, purpose);
    return own ? witness : undefined;
  }
}
