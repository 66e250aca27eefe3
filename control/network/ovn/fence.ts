/**
 * Fences the northbound database: no write of a projector whose lease another has gained meanwhile, however long it was
 * frozen between its question and the write. The global row bears the epoch of the lease that writes there; every
 * transaction begins with a `wait` (RFC 7047, 5.2.6) for just that, so the server itself refuses one of another epoch.
 *
 * A term takes the row before its first write, and again when the row has lost the mark. What it finds there is compared:
 * a higher epoch is either a newer leader's (then the lease is not ours, and raising it fails), or of a database whose
 * lease has gone back (a restored dump): then ours is raised above, and holders from before stay out.
 *
 * If the process dies after it took the row, the next leader takes it under its own epoch.
 */
import { type Operation, type OperationResult, Transaction, TransactionError } from '../../../protocols/ovsdb/index.ts';
import { TargetLost } from '../../kit/projection/index.ts';
import { stamp } from './actual.ts';
import { stamps } from './desired.ts';
import { ensureGlobal, type Northbound } from './northbound.ts';

/** The lease under which is written, see kit/leadership. */
export interface Lease {
  readonly epoch: number | undefined;
  /** Gives the present lease an epoch above this one; where another has gained it, it is lost. */
  raise(above: number): Promise<void>;
}

/**
 * From here on a mark is somebody's hand, which is not followed but replaced, unless a hand has brought the lease so far as well. By
 * itself no lease comes here; and one that is raised above a mark just below has as many epochs before it until numbers end.
 */
const highest = 2 ** 52;

export class Fence implements Northbound {
  readonly #client: Northbound;
  readonly #lease: Lease;
  readonly #mayWrite: () => boolean;
  /** The epoch that this term wrote into the row. */
  #taken: number | undefined;
  #taking: Promise<void> | undefined;

  constructor(client: Northbound, lease: Lease, mayWrite: () => boolean) {
    this.#client = client;
    this.#lease = lease;
    this.#mayWrite = mayWrite;
  }

  get schema() {
    return this.#client.schema;
  }
  get replica() {
    return this.#client.replica;
  }
  transaction(prefix?: string): Transaction {
    return this.#client.transaction(prefix);
  }

  /** @throws TargetLost where the epoch is not ours any more: nothing was written */
  async transact(work: Transaction | readonly Operation[]): Promise<OperationResult[]> {
    await this.take();
    const operations = work instanceof Transaction ? work.operations : work;
    const guard = this.#client.transaction();
    guard.wait('NB_Global', marked(this.#taken), '!=', [], ['name']);
    this.#check();
    try {
      const [, ...results] = await this.#client.transact([...guard.operations, ...operations]);
      return results;
    } catch (error) {
      if (!(error instanceof TransactionError && error.operation === 0)) throw error;
      this.#taken = undefined;
      throw new TargetLost('OVN: the northbound database is written under another epoch', { cause: error });
    }
  }

  /** Marks the global row with our epoch, unless it is; where there is no such row it is made. */
  async take(): Promise<void> {
    this.#check();
    if (this.#taken !== undefined && this.#taken === this.#lease.epoch && this.#present() === this.#taken) return;
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
    });
    await this.#taking;
  }

  async #take(): Promise<void> {
    this.#taken = undefined;
    await ensureGlobal(this.#client);
    const present = this.#present();
    const above = present !== undefined && (present < highest || this.#epoch >= highest) ? present : -1;
    // One that is equal is not of this term: leaders of two histories of the database may have come to the same number.
    if (above >= this.#epoch) await this.#lease.raise(above);
    this.#check();
    const epoch = this.#epoch;
    const [row] = this.#client.replica.rows('NB_Global').values();
    if (!row || this.#present() !== present || above >= epoch)
      throw new TargetLost('OVN: the global row changed meanwhile');
    const transaction = this.#client.transaction();
    // Just as it was read: of two that take it at once one is refused.
    transaction.wait('NB_Global', [], '==', [{ external_ids: row.external_ids! }], ['external_ids']);
    transaction.mutate('NB_Global', [], [['external_ids', 'delete', [stamps.epoch]]]);
    transaction.mutate('NB_Global', [], [['external_ids', 'insert', { [stamps.epoch]: String(epoch) }]]);
    await this.#client.transact(transaction).catch((error: unknown) => {
      throw error instanceof TransactionError ? new TargetLost(error.message, { cause: error }) : error;
    });
    await this.#client.replica.until('our own epoch', () => this.#present() === epoch, { timeoutMs: 10_000 });
    this.#taken = epoch;
  }

  /** Of the copy; undefined where nobody has marked it, or with what is no epoch. */
  #present(): number | undefined {
    for (const row of this.#client.replica.rows('NB_Global').values()) {
      const epoch = Number(stamp(row, stamps.epoch) ?? Number.NaN);
      return Number.isSafeInteger(epoch) && epoch >= 0 ? epoch : undefined;
    }
    return undefined;
  }

  get #epoch(): number {
    const { epoch } = this.#lease;
    if (epoch === undefined) throw leaseOver();
    return epoch;
  }

  #check(): void {
    if (!this.#mayWrite() || this.#lease.epoch === undefined) throw leaseOver();
  }
}

const marked = (epoch: number | undefined) =>
  [['external_ids', 'includes', { [stamps.epoch]: String(epoch) }]] as const;
const leaseOver = () => new TargetLost('OVN: the lease of the projection has run out');
