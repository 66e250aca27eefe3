/**
 * Which history of the database the hosts are told from: with each snapshot and update go the incarnation and the last change that
 * was seen. A host that remembers a change of this incarnation that the database has never made proves that it went back: a new
 * incarnation begins. Owns nothing that outlives the process.
 */
import type { Logger } from 'pino';
import type { HostMessage } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { Change } from '../kit/change-log/changes.ts';
import { latestWitness, mayHaveHappened, witnessOf } from '../kit/change-log/witness.ts';
import type { Database } from '../kit/database/database.ts';
import { renewIncarnation, settleIncarnation } from '../kit/database/incarnation.ts';

export type Remembered = (HostMessage & { type: 'hello' })['remembers'];

interface Place {
  incarnation: string;
  position: string;
}

const sharedMs = 250;

/** Hosts are not trusted with the peace of all watchers: of their proofs one a minute counts. */
const renewalMs = 60_000;

export class DatabaseHistory {
  readonly #database: Database;
  readonly #log: Logger;
  #last: string | undefined;
  #place: { read: Promise<Place>; at: number } | undefined;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  saw(changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (last) this.#last = witnessOf(last);
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
    return { incarnation: id, position: (await latestWitness(this.#database.query)) ?? '' };
  }

  async check(hostId: HostId, remembers: Remembered): Promise<void> {
    if (!remembers || (await mayHaveHappened(this.#database.query, remembers.position))) return;
    const current = await settleIncarnation(this.#database);
    if (current.id !== remembers.incarnation || Date.now() - current.at.getTime() < renewalMs) return;
    const reason = 'the database went back: a host remembers what it has not done';
    const { id } = await renewIncarnation(this.#database, current.id, reason);
    this.#log.warn({ incarnation: id, hostId, remembers }, `a new incarnation of the database begins: ${reason}`);
  }
}
