/**
 * The snapshot controller: writes down that a snapshot's content is final, or why it is not. Takes nothing but an id; reads the whole
 * state; each step is one transaction and may be repeated. A snapshot is shown as available from when that is written down, and stays so
 * (../volume/snapshot-states.ts). If the process dies, the durable job or the sweep finds the snapshot where it was.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { hasReason } from '../../../contract/errors.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../../kit/queue/queue.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { findLayer, hasFailed, isLost, type LayerRow } from '../layer/index.ts';
import { faultOf, recordLoss } from '../volume/index.ts';
import type { ListedSnapshot } from './snapshot.ts';
import { isContentFinal, lockSnapshot, noteSnapshot } from './store.ts';

/** The steps after which a test may kill the controller. */
export type SnapshotStep = 'looked' | 'ready' | 'failed' | 'mended' | 'expired';

export interface SnapshotControllerOptions {
  database: Database;
  log: Logger;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: SnapshotStep, snapshotId: string) => void;
}

const sweepMs = 30_000;

export class SnapshotController {
  readonly #options: SnapshotControllerOptions;
  readonly #sweep: Sweep;

  constructor(options: SnapshotControllerOptions) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, log: options.log, what: 'snapshot sweep' });
  }

  /** For the work queue. */
  tasks(): { volume_snapshot: Reconcile } {
    return { volume_snapshot: (id) => this.reconcile(id) };
  }

  /** Starts the timer that finds what no job knows of. */
  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** Gives a job to every snapshot that is not final. */
  async sweep(): Promise<void> {
    await sql`select enqueue('volume_snapshot', id::text, now()) from volume_snapshot where ready_at is null`.execute(
      this.#options.database.query,
    );
  }

  async reconcile(id: string): Promise<void> {
    const step = await this.#options.database.transaction(cloudActor, async (tx) => {
      const snapshot = await lockSnapshot(tx, 'all', id).catch((error) => {
        if (hasReason(error, 'volume_snapshot_not_found')) return undefined;
        throw error;
      });
      if (!snapshot) return undefined;
      this.#options.afterStep?.('looked', id);
      return takeStep(tx, snapshot);
    });
    if (!step) return;
    this.#options.log.info({ snapshotId: id, step }, 'snapshot step');
    this.#options.afterStep?.(step, id);
  }
}

async function takeStep(tx: Tx, snapshot: ListedSnapshot): Promise<SnapshotStep | undefined> {
  const { id, generation, fault, layer_id } = snapshot;
  const byHost = fault?.code === 'host';
  if (snapshot.ready_at === null && (await isContentFinal(tx, id))) {
    await sql`update volume_snapshot set ready_at = now() where id = ${id}`.execute(tx);
    if (byHost) await noteSnapshot(tx, id, { fault: null });
    await endOperations(tx, id, generation, { state: 'succeeded' });
    return 'ready';
  }
  const layer = layer_id === null ? undefined : await findLayer(tx, layer_id);
  const failure = failureOf(layer);
  if (failure && !fault) return fail(tx, snapshot, failure, 'failed');
  if (byHost && !failure && snapshot.ready_at !== null) {
    await noteSnapshot(tx, id, { fault: null });
    return 'mended';
  }
  return fault || snapshot.ready_at !== null ? undefined : expire(tx, snapshot);
}

function failureOf(layer: LayerRow | undefined): string | undefined {
  if (!layer || isLost(layer)) return 'Its host has the snapshot’s file no more.';
  return hasFailed(layer) ? (layer.observed_error?.message ?? 'The host could not make the snapshot.') : undefined;
}

async function fail<Step>(tx: Tx, snapshot: ListedSnapshot, message: string, step: Step): Promise<Step> {
  const { id, generation, ready_at } = snapshot;
  const failure = { state: 'failed', code: 'unavailable', message } as const;
  await noteSnapshot(tx, id, { fault: faultOf('host', message, generation) });
  await endOperations(tx, id, generation, failure);
  // Once it was ready nobody waits for anything of it.
  if (ready_at !== null) await recordLoss(tx, 'volume_snapshot', snapshot, failure);
  return step;
}

/** What took too long is told; should it be done in the end, it counts all the same. */
async function expire(tx: Tx, snapshot: ListedSnapshot): Promise<SnapshotStep | undefined> {
  const { rows } = await sql<{ deadline: Date; late: boolean; waiting_for: string | null }>`
    select deadline, deadline <= now() as late, waiting_for from operation
    where resource_id = ${snapshot.id} and state = 'running' order by created_at desc limit 1`.execute(tx);
  const [operation] = rows;
  if (!operation) return undefined;
  if (!operation.late) {
    await enqueue(tx, 'volume_snapshot', snapshot.id, { at: operation.deadline });
    return undefined;
  }
  const message = `The snapshot was not made in time; it was waiting for ${operation.waiting_for ?? 'the host'}.`;
  return fail(tx, snapshot, message, 'expired');
}
