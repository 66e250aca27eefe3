/**
 * Tends replicas: a task of the queue by the volume's id, begun by what hosts say of its layers (../layer/reports.ts), by a look each second at those of which
 * something is due, and by a slower one at all for what no job knows of. A replica that is older than it shall be is told as a message of its volume, a line in
 * the log and by `bothy doctor`, once, until it is not.
 *
 * Owns its two timers. What a step is, and what is left if the process dies after it, is in rounds.ts.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import type { Reconcile } from '../../kit/queue/queue.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { isApartSql } from './companions.ts';
import { tellLate } from './late.ts';
import { type ReplicaStep, tendReplica } from './rounds.ts';

export interface ReplicaControllerOptions {
  database: Database;
  log: Logger;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: ReplicaStep, volumeId: string) => void;
}

const dueMs = 1_000;
const sweepMs = 15_000;
const atATime = 100;

export class ReplicaController {
  readonly #options: ReplicaControllerOptions;
  readonly #due: Sweep;
  readonly #sweep: Sweep;

  constructor(options: ReplicaControllerOptions) {
    this.#options = options;
    const looking = { log: options.log, what: 'looking for replicas to bring up to date' };
    this.#due = new Sweep(() => this.wakeDue(), { everyMs: dueMs, ...looking });
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, ...looking });
  }

  /** For the work queue. */
  tasks(): { volume_replica: Reconcile } {
    return { volume_replica: (id) => this.reconcile(id) };
  }

  start(): void {
    this.#due.start();
    this.#sweep.start();
  }

  stop(): void {
    this.#due.stop();
    this.#sweep.stop();
  }

  async reconcile(id: string): Promise<void> {
    const { database, log, afterStep } = this.#options;
    const step = await database.transaction(cloudActor, (tx) => tendReplica(tx, id));
    if (!step) return;
    log.info({ volumeId: id, step }, 'replica step');
    afterStep?.(step, id);
    // There may be another.
    await this.reconcile(id);
  }

  /** Gives a job to those of which something is due. */
  async wakeDue(): Promise<void> {
    await sql`select enqueue('volume_replica', volume_id::text, now()) from (
      select volume_id from volume_replica where next_at <= now() order by next_at limit ${atATime}) due`.execute(
      this.#options.database.query,
    );
  }

  /** Gives a job to those of which something was written or that shall lie elsewhere, and tells of those that are late. */
  async sweep(): Promise<void> {
    const { database, log } = this.#options;
    await sql`select enqueue('volume_replica', r.volume_id::text, now())
      from volume_replica r join volume v on v.id = r.volume_id join volume_layer l on l.id = v.layer_id
      where r.next_at is null and (r.round_began_at is not null or l.parent_id is distinct from r.source_layer_id
        or l.observed_written is distinct from false or ${isApartSql})`.execute(database.query);
    await tellLate(database, log);
  }
}
