/**
 * Who of several control processes does what only one may do: the holder of the role's row in `lease`.
 *
 * The database's clock says when a lease ends; nothing but time has to pass, so it ends also where the holder's machine lost its power,
 * its process was frozen or the network to it was cut without a packet. The holder renews long before that, and counts by its own
 * monotonic clock from the moment it *asked*: it takes its lease for over before the database can. `held` looks at that clock each time,
 * so a process that was frozen and goes on knows at its next question, whatever its timers do. What lies between question and act
 * remains: there the epoch tells. It rises with each gain; {@link fence} puts it into a transaction, and other stores can keep it
 * beside what they are given.
 *
 * Owns the row while it holds it. If the process dies, the lease runs out and another takes it, or at once whoever comes back under
 * its name; one that stops gives it back.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Database, Tx } from '../database/database.ts';

export interface LeadershipOptions {
  database: Pick<Database, 'urgent'>;
  /** What is done by one: 'network projection' … */
  role: string;
  /**
   * A UUID. Whoever comes back under the name of a holder takes its lease at once, so that a restart costs no lease: two processes
   * that live at the same time must never share one. A control process takes that of one before it that is proven dead
   * (`cli/process/lease-holder.ts`).
   */
  holder: string;
  /** The work may begin. */
  onGain: (epoch: number) => void;
  /** The work must end now: nothing more may be written. */
  onLose: () => void;
  timing?: Partial<LeaseTiming>;
}

export interface LeaseTiming {
  /** By the database's clock. */
  leaseMs: number;
  /** The holder takes its lease for over this much sooner. */
  marginMs: number;
  renewMs: number;
  /** How often one that does not hold it asks. */
  retryMs: number;
}

const defaults: LeaseTiming = { leaseMs: 6000, marginMs: 1500, renewMs: 1500, retryMs: 1500 };

interface Held {
  epoch: number;
  /** By performance.now(). */
  until: number;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #timing: LeaseTiming;
  #held: Held | undefined;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #endTimer: NodeJS.Timeout | undefined;
  #asking: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
  }

  /** True while this process may act. Ask before each write: a moment ago may have been long ago. */
  get held(): boolean {
    return this.#held !== undefined && performance.now() < this.#held.until;
  }

  /** Of the present lease; undefined when there is none. */
  get epoch(): number | undefined {
    return this.held ? this.#held?.epoch : undefined;
  }

  start(): void {
    this.#ask();
  }

  /** Gives the lease back, so that another need not wait for its end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#asking;
    const held = this.#held;
    this.#lose();
    if (held) await this.#giveBack(held.epoch);
  }

  /**
   * The present lease goes on under an epoch above this one, which a store that is given more than one history of the
   * database has seen. Where another has gained it, it is lost.
   */
  async raise(above: number): Promise<void> {
    const held = this.#held;
    if (!held || !this.held) return this.#lose();
    const { database, role, holder } = this.#options;
    const { rows } = await sql<{ epoch: number }>`update lease set epoch = ${above + 1}
      where role = ${role} and holder = ${holder} and epoch = ${held.epoch} and epoch <= ${above} returning epoch`.execute(
      database.urgent,
    );
    const epoch = rows[0]?.epoch;
    if (epoch === undefined) return this.#lose();
    // It ran out meanwhile, or we were asked to stop.
    if (this.#held?.epoch !== held.epoch) return this.#giveBack(epoch);
    this.#held = { ...this.#held, epoch };
  }

  #ask(): void {
    this.#asking = this.#held ? this.#renew(this.#held) : this.#gain();
    void this.#asking.then(() => {
      if (this.#stopped) return;
      const { renewMs, retryMs } = this.#timing;
      this.#timer = setTimeout(() => this.#ask(), this.#held ? renewMs : retryMs).unref();
    });
  }

  async #gain(): Promise<void> {
    const { database, role, holder } = this.#options;
    const asked = performance.now();
    const { rows } = await sql<{ epoch: number }>`
      insert into lease (role, holder, epoch, expires_at) values (${role}, ${holder}, 1, ${this.#expiry()})
      on conflict (role) do update set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = excluded.expires_at
        where lease.expires_at < clock_timestamp() or lease.holder = ${holder}
      returning epoch`
      .execute(database.urgent)
      // Whoever needs the database reports that it is away.
      .catch(() => ({ rows: [] }));
    if (!rows[0]) return;
    const { epoch } = rows[0];
    const until = asked + this.#ownMs;
    // Asked to stop meanwhile, or frozen until it was over.
    if (this.#stopped || performance.now() >= until) return this.#giveBack(epoch);
    this.#hold({ epoch, until });
    this.#options.onGain(epoch);
  }

  async #renew({ epoch }: Held): Promise<void> {
    if (!this.held) return this.#lose();
    const { database, role, holder } = this.#options;
    const asked = performance.now();
    const renewed = await sql`update lease set expires_at = ${this.#expiry()}
      where role = ${role} and holder = ${holder} and epoch = ${epoch} returning epoch`
      .execute(database.urgent)
      // Until its end it is still ours: the next question may reach the database.
      .catch(() => undefined);
    // Raised meanwhile: what the answer says of the epoch before says nothing of this one.
    if (this.held && this.#held?.epoch !== epoch) return;
    if (!this.held || renewed?.rows.length === 0) this.#lose();
    else if (renewed) this.#hold({ epoch, until: asked + this.#ownMs });
  }

  async #giveBack(epoch: number): Promise<void> {
    const { database, role, holder } = this.#options;
    await sql`update lease set expires_at = '-infinity'
      where role = ${role} and holder = ${holder} and epoch = ${epoch}`
      .execute(database.urgent)
      // No database: then it runs out.
      .catch(() => {});
  }

  get #ownMs(): number {
    return this.#timing.leaseMs - this.#timing.marginMs;
  }

  #expiry() {
    return sql`clock_timestamp() + ${this.#timing.leaseMs}::double precision * interval '1 millisecond'`;
  }

  #hold(held: Held): void {
    this.#held = held;
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => this.#lose(), held.until - performance.now()).unref();
  }

  #lose(): void {
    clearTimeout(this.#endTimer);
    if (!this.#held) return;
    this.#held = undefined;
    this.#options.onLose();
  }
}

/**
 * Makes a transaction one of this lease: it fails where another has gained the role, and none can gain it before its end (the
 * epoch is a key of the table). The holder's renewals go on beside it.
 * @throws CloudError `conflict`
 */
export async function fence(tx: Tx, lease: { role: string; epoch: number }): Promise<void> {
  const { rows } =
    await sql`select from lease where role = ${lease.role} and epoch = ${lease.epoch} for key share`.execute(tx);
  if (rows.length === 0) throw new CloudError('conflict', 'lease_lost', { role: lease.role });
}
