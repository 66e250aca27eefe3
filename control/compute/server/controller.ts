/**
 * The server controller: brings each server a step nearer to what is desired. Takes nothing but an id; reads the whole
 * state; every step is one transaction and may be repeated.
 *
 *   not placed      → place: host, epoch + 1, ports bound, decision row, in one transaction
 *   placed          → the host's stream hands it over; reports close the operation (reports.ts)
 *   its host is gone before it said a word of the server → place again, under the next epoch
 *   deadline passed → ERROR, saying what was waited for; a volume without which it can't start has failed → so at once
 *   on its way to another host → called off when the deadline has passed; hosts' reports do the rest (migration-reports.ts)
 *   resized         → confirmed after a while, where the cloud is set so
 *   shelved         → it leaves its host; then it has none, and nothing is to be done
 *   soft-deleted   → at the end of its time it shall be absent
 *   shall be absent → wait for the host's word, on its way with volumes for the other's, too, or for the deadline when the host is gone; then ports and row go
 *
 * If the process dies after any step, the durable job or the sweep finds the server where it was.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database, type Queryable } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { beginOperation, endOperations, passOperation } from '../../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../../kit/queue/queue.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import type { Placement } from '../placement/index.ts';
import { cardLimits } from './binding.ts';
import { giveUpCapture } from './captures.ts';
import { confirmResizeOfDeleted, confirmWhenDue } from './confirming.ts';
import type { ServerPorts } from './dependencies.ts';
import { callOffExpired, forsaken, hostCarriedTo, settleMigration } from './migration-end.ts';
import { Placing } from './placing.ts';
import { removeServer } from './removal.ts';
import { deleteDeadlineMs, faultOf, hostAwayMs, stubbornHostMs } from './server.ts';
import { leaveHost, offloadWhenDue } from './shelving.ts';
import { isSatisfied, type ServerState } from './states.ts';
import { stateColumns } from './states-sql.ts';
import { updateDesired } from './store.ts';
import {
  cameFromAnother,
  diskImage,
  type FailedVolume,
  failedVolume,
  isAwaited,
  type Unplaced,
  volumeHost,
} from './waiting.ts';

/** The steps after which a test may kill the controller. */
export type ControllerStep =
  | 'looked'
  | 'placed'
  | 'not placed'
  | 'expired'
  | 'capture given up'
  | 'confirmed'
  | 'to be offloaded'
  | 'offloaded'
  | 'reclaimed'
  | 'removed';

export interface ServerControllerOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts' | 'unbindServerPorts' | 'releaseServerPorts'>;
  log: Logger;
  /** Nova's reclaim_instance_interval: how long a deleted server can be restored; 0: such as there are stay. */
  reclaimSeconds?: number;
  /** Nova's resize_confirm_window: after how long a resize is confirmed by itself; 0: never. */
  confirmSeconds?: number;
  /** For tests: see {@link hostAwayMs}. */
  hostAwayMs?: number;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: ControllerStep, serverId: string) => void;
}

interface Look extends ServerState, Unplaced {
  host_id: string | null;
  generation: number;
  resized_at: Date | null;
  host_connected: boolean | null;
  /** When the host was last known to be there: now, while it is connected. */
  host_seen_at: Date | null;
  failed_volume: FailedVolume | null;
  came_from_another: boolean;
  operation_started: Date | null;
  waiting_for: string | null;
  verb: string | null;
}

/** For which one waits; 0: for ever. */
const after = (seconds = 0) => (seconds > 0 ? sql`${seconds} * interval '1 second'` : sql`interval '1000 years'`);

const isClean = ({ host_id, observed_state }: Look): boolean => host_id === null || observed_state === 'absent';

/** It shall run and does not, and a volume that it needs for that has come to nothing: no more is heard of it by waiting. */
const awaitsFailed = (server: Look): server is Look & { failed_volume: FailedVolume } =>
  server.failed_volume !== null && server.desired_power === 'on' && !/^(running|paused)$/.test(server.observed_state);

const failedMessage = ({ id, message }: FailedVolume): string => `Its volume ${id} has failed: ${message}`;

const sweepMs = 30_000;
const awayRetryMs = 1000;

export class ServerController {
  readonly #options: ServerControllerOptions;
  readonly #awayMs: number;
  readonly #placing: Placing;
  readonly #sweep: Sweep;

  constructor(options: ServerControllerOptions) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, log: options.log, what: 'server sweep' });
    this.#awayMs = options.hostAwayMs ?? hostAwayMs;
    this.#placing = new Placing({
      ...{ ...options, awayMs: this.#awayMs },
      decided: (server, found) => this.#decided(server, found),
    });
  }

  /** For the work queue. */
  tasks(): { server: Reconcile } {
    return { server: (id) => this.reconcile(id) };
  }

  /**
   * What was made a moment ago is placed at once. The queue is the long way: a notice, the job taken, a look, the job ended. Its job
   * is due a little later, and is put off once there is a host.
   */
  hurry(servers: readonly Unplaced[]): void {
    for (const server of servers) {
      this.#place(server, { jobWaits: true }).catch((error) => {
        this.#options.log.warn({ err: error, serverId: server.id }, 'placing failed, its job will try again');
      });
    }
  }

  /** Starts the timer that finds what no job knows of (a job lost to 25 failures, a restored database). */
  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** Gives a job to every server that is unplaced, unwanted, to be reclaimed, or past its operation's deadline. */
  async sweep(): Promise<void> {
    // Each part from an index of the few that it is about: what is in order is not read.
    await sql`
        select enqueue('server', id::text, now()) from (
          select id from server s where host_id is null and fault is null and ${isAwaited}
          union select id from server where desired_presence = 'absent'
          union select id from server where desired_shelve ->> 'state' in ('saved', 'offloading') and desired_shelve is not null
          union select server_id from (${forsaken}) m
          union select id from server where resized_at < now() - ${after(this.#options.confirmSeconds)}
          union select id from server where soft_deleted_at < now() - ${this.#reclaimAfter()}
          union select resource_id from operation o where state = 'running' and deadline < now() and resource_type = 'server'
            and exists (select from server where id = o.resource_id)) due`.execute(this.#options.database.query);
  }

  async reconcile(id: string): Promise<void> {
    const server = await this.#look(id);
    if (!server) return;
    this.#options.afterStep?.('looked', id);
    if (server.desired_presence === 'absent') return this.#towardsAbsent(server);
    if (server.host_id === null) return this.#withoutHost(server);
    if (server.desired_shelve?.state === 'offloading') return this.#offload(server);
    if (await offloadWhenDue(this.#options.database, server)) {
      this.#options.afterStep?.('to be offloaded', id);
      return;
    }
    if (server.desired_capture && !(await this.#captureWanted(server))) return;
    if (server.soft_deleted_at && (await this.#reclaim(server))) return;
    if (server.desired_move && (await settleMigration(this.#options.database, this.#options, id))) return;
    if (await confirmWhenDue(this.#options.database, server, this.#options.confirmSeconds ?? 0)) {
      this.#options.afterStep?.('confirmed', id);
      return;
    }
    if (isSatisfied(server) || server.deadline === null) return;
    if (awaitsFailed(server)) return this.#giveUp(server, 'host', failedMessage(server.failed_volume));
    if (server.deadline.getTime() <= server.now.getTime()) return this.#expire(server);
    const lookAt = this.#mayMoveAt(server);
    if (lookAt !== undefined && lookAt <= server.now.getTime()) return this.#place(server);
    await this.#lookAgain(this.#options.database.query, server, lookAt);
  }

  /** Somebody may have deleted the image meanwhile. */
  async #captureWanted(server: Look): Promise<boolean> {
    const { rows } = await sql`select from image where id = ${server.desired_capture!.image_id}
      and desired_presence = 'present'`.execute(this.#options.database.query);
    if (rows.length > 0) return true;
    await this.#giveUpCapture(server, 'The image was deleted while it was made.');
    return false;
  }

  async #giveUpCapture(server: Look, message: string): Promise<void> {
    const { database, log } = this.#options;
    await database.transaction(cloudActor, (tx) => giveUpCapture(tx, server, message));
    log.info({ serverId: server.id, imageId: server.desired_capture!.image_id, message }, 'server capture given up');
    this.#options.afterStep?.('capture given up', server.id);
  }

  /** One that is offloaded waits for nobody. */
  async #withoutHost(server: Look): Promise<void> {
    if (server.desired_shelve?.state !== 'offloaded') return server.fault ? undefined : this.#place(server);
    if (server.soft_deleted_at && (await this.#reclaim(server))) return;
    if (server.deadline === null) return;
    await endOperations(this.#options.database.query, server.id, server.generation, { state: 'succeeded' });
  }

  async #offload(server: Look): Promise<void> {
    const since = new Date(server.desired_shelve?.offload_at ?? 0).getTime();
    if (!(await this.#hostIsDone(server, { since, deadline: since + deleteDeadlineMs }))) return;
    const { database, ports, log } = this.#options;
    await database.transaction(cloudActor, (tx) => leaveHost(tx, server.id, ports));
    log.info({ serverId: server.id, hostId: server.host_id, state: server.observed_state }, 'server offloaded');
    this.#options.afterStep?.('offloaded', server.id);
  }

  #reclaimAfter() {
    return after(this.#options.reclaimSeconds);
  }

  /** A delete like any other, in nobody's name. @returns false where its time has not come; it is looked at then */
  async #reclaim({ id, soft_deleted_at, now, ...server }: Look): Promise<boolean> {
    const { database, reclaimSeconds = 0, log } = this.#options;
    const dueMs = soft_deleted_at!.getTime() + reclaimSeconds * 1000;
    if (reclaimSeconds <= 0) return false;
    if (dueMs > now.getTime()) {
      await enqueue(database.query, 'server', id, { at: new Date(dueMs) });
      return false;
    }
    await database.transaction(cloudActor, async (tx) => {
      // Unless somebody has restored it meanwhile.
      const { rows } = await sql<
        Pick<ServerState, 'desired_resize' | 'desired_move'>
      >`select desired_resize, desired_move from server
        where id = ${id} and desired_presence = 'present' and soft_deleted_at <= now() - ${this.#reclaimAfter()} for update`.execute(
        tx,
      );
      if (!rows[0]) return;
      await confirmResizeOfDeleted(tx, { id, ...rows[0] });
      const generation = await updateDesired(tx, id, 'delete', { presence: 'absent' });
      await beginOperation(tx, cloudActor, {
        ...{ projectId: server.project_id, resourceType: 'server', resourceId: id, verb: 'delete', generation },
        ...{
          owner: server.host_id === null ? 'control' : `host ${server.host_id}`,
          waitingFor: 'the host to remove the server',
          deadlineMs: deleteDeadlineMs,
        },
      });
      await enqueue(tx, 'server', id);
    });
    log.info({ serverId: id }, 'server reclaimed');
    this.#options.afterStep?.('reclaimed', id);
    return true;
  }

  /**
   * When a server whose host has not said a word of it may be given to another: once the host has been away for too long. Nobody
   * has seen this server run, and if the host had begun all the same, its ports are bound elsewhere by then.
   */
  #mayMoveAt(server: Look): number | undefined {
    if (server.observed_state !== 'none' || server.came_from_another) return undefined;
    if (server.fault || server.host_seen_at === null) return undefined;
    return server.host_seen_at.getTime() + this.#awayMs;
  }

  /** At the deadline at the latest. */
  async #lookAgain(
    db: Queryable,
    server: Pick<Unplaced, 'id' | 'deadline'>,
    at = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const time = Math.min(at, server.deadline?.getTime() ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(time)) await enqueue(db, 'server', server.id, { at: new Date(time) });
  }

  async #look(id: string): Promise<Look | undefined> {
    const { rows } = await sql<Look>`
      select ${stateColumns}, s.id, s.project_id, s.resized_at, ${diskImage} as image_id, s.epoch, s.vcpus, s.memory_mib, s.disk_gib, s.local_gib,
        ${cardLimits} as card_limits, s.availability_zone, s.requested_host_id, s.server_group_id, ${volumeHost} as volume_host_id, ${failedVolume} as failed_volume, ${cameFromAnother} as came_from_another, h.connected as host_connected,
        case when h.connected then now() else coalesce(h.last_seen_at, h.created_at) end as host_seen_at, o.deadline, o.created_at as operation_started, o.waiting_for,
        o.verb, now() as now
      from server s left join host h on h.id = s.host_id
      left join lateral (select * from operation where resource_id = s.id and state = 'running'
        order by created_at desc limit 1) o on true
      where s.id = ${id}`.execute(this.#options.database.query);
    return rows[0];
  }

  async #place(server: Unplaced, options: { jobWaits: boolean } = { jobWaits: false }): Promise<void> {
    const placement = await this.#placing.place(server, options);
    if (!placement && options.jobWaits) return;
    if (!placement) return this.#lookAgain(this.#options.database.query, server, server.now.getTime() + this.#awayMs);
    if (!placement.soon) this.#options.afterStep?.(placement.host ? 'placed' : 'not placed', server.id);
  }

  /** A tenant's request, or what one brought along. */
  #decided({ id, host_id: before }: Unplaced, { host, hosts, soon, refusals, fix }: Placement): void {
    const { log } = this.#options;
    if (soon) this.#lookAgainSoon(id);
    else if (host) log.info({ serverId: id, hostId: host.id, before, hosts }, 'server placed');
    else log.warn({ serverId: id, refusals, fix }, 'server not placed');
  }

  /** The durable job comes with the queue's next poll; this is sooner, and nothing is lost if the process dies. */
  #lookAgainSoon(id: string): void {
    const again = () => enqueue(this.#options.database.query, 'server', id).catch(() => {});
    setTimeout(() => void again(), awayRetryMs).unref();
  }

  async #expire(server: Look): Promise<void> {
    // A host says of its steps what it does, and of some that it waits.
    const awaited = (server.waiting_for ?? 'the host').replace(/^waiting for |[.?]$/g, '');
    const message = `The ${server.verb} did not finish in time; it was waiting for ${awaited}.`;
    // The server is none the worse for it.
    if (server.desired_capture) return this.#giveUpCapture(server, message);
    if (server.desired_move && server.desired_move.state !== 'moved') {
      await callOffExpired(this.#options.database, server, message);
      this.#options.afterStep?.('expired', server.id);
      return;
    }
    await this.#giveUp(server, 'deadline', message);
  }

  async #giveUp(server: Look, reason: 'deadline' | 'host', message: string): Promise<void> {
    await this.#options.database.transaction(cloudActor, async (tx) => {
      // Only if nothing has moved since the look: the host's report may have come in between.
      const { numAffectedRows } = await sql`
        update server set fault = ${json(faultOf(reason, message, server.generation))}::jsonb, updated_at = now()
        where id = ${server.id} and generation = ${server.generation}
          and exists (select from operation o where o.resource_id = server.id and o.state = 'running'
            and (o.deadline <= now() or ${reason === 'host'}::boolean))`.execute(tx);
      if (numAffectedRows !== 1n) return;
      await endOperations(tx, server.id, server.generation, { state: 'failed', code: 'unavailable', message });
    });
    this.#options.log.warn(
      { serverId: server.id, verb: server.verb, waitingFor: server.waiting_for, message },
      reason === 'deadline' ? 'deadline passed' : 'given up',
    );
    this.#options.afterStep?.('expired', server.id);
  }

  async #towardsAbsent(server: Look): Promise<void> {
    const times = { since: server.operation_started?.getTime() ?? 0, deadline: server.deadline?.getTime() ?? 0 };
    if (!(await this.#hostIsDone(server, times))) return;
    const other = await hostCarriedTo(this.#options.database.query, server.id);
    if (other && !(await this.#isGivenUp({ ...server, ...other }, times))) return;
    if (!(await removeServer(this.#options, server))) return;
    const hosts = { serverId: server.id, hostId: server.host_id, ...(other && { otherHostId: other.host_id }) };
    if (isClean(server) && !other) this.#options.log.info({ serverId: server.id }, 'server removed');
    else this.#options.log.warn(hosts, 'server removed without its host’s word');
    this.#options.afterStep?.('removed', server.id);
  }

  /** It has nothing of the server any more, or is waited for no longer; else it is looked at again. */
  async #hostIsDone(server: Look, times: { since: number; deadline: number }): Promise<boolean> {
    return isClean(server) || (await this.#isGivenUp(server, times));
  }

  async #isGivenUp(server: Look, { since, deadline }: { since: number; deadline: number }): Promise<boolean> {
    const now = server.now.getTime();
    // A connected host is given longer: it may still run the guest. Either way it hears of the server's absence until it confirms it.
    if (server.host_connected ? now >= since + stubbornHostMs : now >= deadline) return true;
    const { query } = this.#options.database;
    await passOperation(query, server.id, {
      owner: `host ${server.host_id}`,
      waitingFor: server.host_connected ? 'the host to remove the server' : 'the host to come back, or the deadline',
    });
    const at = new Date(server.host_connected ? Math.max(deadline, now + 10_000) : deadline);
    await enqueue(query, 'server', server.id, { at });
    return false;
  }
}
