/**
 * The server controller: brings each server a step nearer to what is desired. Takes nothing but an id; reads the whole
 * state; every step is one transaction and may be repeated.
 *
 *   not placed      → place: host, epoch + 1, ports bound, decision row, in one transaction
 *   placed          → the host's stream hands it over; reports close the operation (reports.ts)
 *   its host is gone before it said a word of the server → place again, under the next epoch
 *   deadline passed → ERROR, saying what was waited for
 *   shall be absent → wait for the host's word, or for the deadline when the host is gone; then ports and row go
 *
 * If the process dies after any step, the durable job or the sweep finds the server where it was.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { endOperations, passOperation } from '../../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../../kit/queue/queue.ts';
import { lockPlacement, type Placement, type PlacementRequest, place, placementSnapshot } from '../placement/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { hostAwayMs, isSatisfied, type ServerFault, type ServerState, stubbornHostMs } from './server.ts';

/** The steps after which a test may kill the controller. */
export type ControllerStep = 'looked' | 'placed' | 'not placed' | 'expired' | 'removed';

export interface ServerControllerOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts' | 'releaseServerPorts'>;
  log: Logger;
  /** For tests: see {@link hostAwayMs}. */
  hostAwayMs?: number;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: ControllerStep, serverId: string) => void;
}

interface Look extends ServerState {
  id: string;
  project_id: string;
  image_id: string | null;
  epoch: number;
  host_connected: boolean | null;
  /** When the host was last known to be there: now, while it is connected. */
  host_seen_at: Date | null;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  availability_zone: string | null;
  requested_host_id: string | null;
  deadline: Date | null;
  operation_started: Date | null;
  waiting_for: string | null;
  verb: string | null;
  now: Date;
}

const sweepMs = 30_000;
const awayRetryMs = 1000;

export class ServerController {
  readonly #options: ServerControllerOptions;
  readonly #awayMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastPlacement: Promise<void> = Promise.resolve();

  constructor(options: ServerControllerOptions) {
    this.#options = options;
    this.#awayMs = options.hostAwayMs ?? hostAwayMs;
  }

  /** For the work queue. */
  tasks(): { server: Reconcile } {
    return { server: (id) => this.reconcile(id) };
  }

  /** Starts the timer that finds what no job knows of (a job lost to 25 failures, a restored database). */
  start(): void {
    const again = () => {
      this.#timer = setTimeout(() => void this.sweep().finally(again), sweepMs);
      this.#timer.unref();
    };
    void this.sweep().finally(again);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Gives a job to every server that is unplaced, unwanted or past its operation's deadline. */
  async sweep(): Promise<void> {
    try {
      await sql`
        select enqueue('server', s.id::text, now()) from server s
        where (s.host_id is null and s.fault is null) or s.desired_presence = 'absent'
          or exists (select from operation o where o.resource_id = s.id and o.state = 'running' and o.deadline < now())`.execute(
        this.#options.database.query,
      );
    } catch (error) {
      this.#options.log.warn({ err: error }, 'server sweep failed, will be tried again');
    }
  }

  async reconcile(id: string): Promise<void> {
    const server = await this.#look(id);
    if (!server) return;
    this.#options.afterStep?.('looked', id);
    if (server.desired_presence === 'absent') return this.#towardsAbsent(server);
    if (server.host_id === null) return server.fault ? undefined : this.#placeInTurn(server);
    if (isSatisfied(server) || server.deadline === null) return;
    if (server.deadline.getTime() <= server.now.getTime()) return this.#expire(server);
    const lookAt = this.#mayMoveAt(server);
    if (lookAt !== undefined && lookAt <= server.now.getTime()) return this.#placeInTurn(server);
    await this.#lookAgain(this.#options.database.query, server, lookAt);
  }

  /**
   * When a server whose host has not said a word of it may be given to another: once the host has been away for too long. Nobody
   * has seen this server run, and if the host had begun all the same, its ports are bound elsewhere by then.
   */
  #mayMoveAt(server: Look): number | undefined {
    if (server.observed_state !== 'none' || server.fault || server.host_seen_at === null) return undefined;
    return server.host_seen_at.getTime() + this.#awayMs;
  }

  /** At the deadline at the latest. */
  async #lookAgain(db: Queryable, server: Look, at = Number.POSITIVE_INFINITY): Promise<void> {
    const time = Math.min(at, server.deadline?.getTime() ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(time)) await enqueue(db, 'server', server.id, { at: new Date(time) });
  }

  async #look(id: string): Promise<Look | undefined> {
    const { rows } = await sql<Look>`
      select s.id, s.project_id, s.image_id, s.host_id, s.epoch, s.generation, s.desired_presence, s.desired_power,
        s.desired_reboot_count, s.desired_reboot_type, s.observed_generation, s.observed_state, s.observed_power,
        s.observed_reboot_count, s.fault, s.launched_at, s.vcpus, s.memory_mib, s.disk_gib, s.availability_zone,
        s.requested_host_id, h.connected as host_connected,
        case when h.connected then now() else coalesce(h.last_seen_at, h.created_at) end as host_seen_at, o.deadline, o.created_at as operation_started, o.waiting_for,
        o.verb, now() as now
      from server s left join host h on h.id = s.host_id
      left join lateral (select * from operation where resource_id = s.id and state = 'running'
        order by created_at desc limit 1) o on true
      where s.id = ${id}`.execute(this.#options.database.query);
    return rows[0];
  }

  /** The lock in the database would do alone; but there each that waits would hold a connection that the API needs. */
  #placeInTurn(server: Look): Promise<void> {
    const turn = this.#lastPlacement.then(() => this.#place(server));
    this.#lastPlacement = turn.catch(() => {});
    return turn;
  }

  async #place(server: Look): Promise<void> {
    const { database, log } = this.#options;
    const placement = await database.transaction(cloudActor, async (tx) => {
      // One round trip; each statement sees what was committed before it could begin, the snapshot thus what the lock guards.
      const [unchanged, , hosts] = await Promise.all([
        this.#stillToPlace(tx, server),
        lockPlacement(tx),
        placementSnapshot(tx, { imageId: server.image_id, awayMs: this.#awayMs }),
      ]);
      const returned = hosts.some((host) => host.id === server.host_id && host.seen_lately);
      if (!unchanged || returned) return undefined;
      const request: PlacementRequest = {
        vcpus: server.vcpus,
        memory_mib: server.memory_mib,
        disk_gib: server.disk_gib,
        availability_zone: server.availability_zone,
        requested_host_id: server.requested_host_id,
      };
      const found = place(request, hosts);
      if (!found.host && (found.soon || server.host_id !== null)) {
        await this.#waitForHost(tx, server, found);
        return found;
      }
      await Promise.all([
        found.host ? this.#give(tx, server, found.host.id as HostId) : refuse(tx, server, found),
        recordDecision(tx, server, request, found),
      ]);
      return found;
    });
    if (!placement) return this.#lookAgain(database.query, server, server.now.getTime() + this.#awayMs);
    if (placement.soon) return this.#lookAgainSoon(server.id);
    if (placement.host) {
      const fields = { serverId: server.id, hostId: placement.host.id, before: server.host_id };
      log.info({ ...fields, hosts: placement.hosts }, 'server placed');
    } else {
      log.warn({ serverId: server.id, refusals: placement.refusals, fix: placement.fix }, 'server not placed');
    }
    this.#options.afterStep?.(placement.host ? 'placed' : 'not placed', server.id);
  }

  /**
   * A restart of a host's process, or of ours, is no reason to refuse a server; and one that has a host keeps it until there is
   * a better one.
   */
  async #waitForHost(tx: Tx, server: Look, found: Placement): Promise<void> {
    const [waitingFor, waitMs] =
      server.host_id === null
        ? ['a host that is away for the moment', 5 * awayRetryMs]
        : [`its host, which is away, to come back, or another that fits: ${found.message}`, this.#awayMs];
    await passOperation(tx, server.id, { owner: 'control', waitingFor });
    await this.#lookAgain(tx, server, server.now.getTime() + waitMs);
  }

  /** The durable job comes with the queue's next poll; this is sooner, and nothing is lost if the process dies. */
  #lookAgainSoon(id: string): void {
    const again = () => enqueue(this.#options.database.query, 'server', id).catch(() => {});
    setTimeout(() => void again(), awayRetryMs).unref();
  }

  /** Nothing has moved since the look: no other placement, no word of the host, no wish to delete. */
  async #stillToPlace(tx: Tx, server: Look): Promise<boolean> {
    const { rows } = await sql`select from server where id = ${server.id} and epoch = ${server.epoch}
      and observed_state = 'none' and fault is null and desired_presence = 'present' for update`.execute(tx);
    return rows.length === 1;
  }

  /** A new epoch: what the host before may have of the server it removes when it is back, and its reports count no more. */
  async #give(tx: Tx, server: Look, hostId: HostId): Promise<void> {
    const waitingFor =
      server.host_id === null
        ? 'the host to take the server'
        : 'another host to take the server: the first went away before it did';
    const given = sql`
      with passed as (
        update operation set owner = ${`host ${hostId}`}, waiting_for = ${waitingFor}, updated_at = now()
        where resource_id = ${server.id} and state = 'running')
      update server set host_id = ${hostId}, epoch = epoch + 1, updated_at = now() where id = ${server.id}`.execute(tx);
    await Promise.all([
      given,
      this.#options.ports.bindServerPorts(tx, server.id as ServerId, hostId),
      this.#lookAgain(tx, server, server.now.getTime() + this.#awayMs),
    ]);
  }

  async #expire(server: Look): Promise<void> {
    const message = `The ${server.verb} did not finish in time; it was waiting for ${server.waiting_for ?? 'the host'}.`;
    await this.#options.database.transaction(cloudActor, async (tx) => {
      // Only if nothing has moved since the look: the host's report may have come in between.
      const { numAffectedRows } = await sql`
        update server set fault = ${json(faultOf('deadline', message, server.generation))}::jsonb, updated_at = now()
        where id = ${server.id} and generation = ${server.generation}
          and exists (select from operation o where o.resource_id = server.id and o.state = 'running' and o.deadline <= now())`.execute(
        tx,
      );
      if (numAffectedRows !== 1n) return;
      await endOperations(tx, server.id, server.generation, { state: 'failed', code: 'unavailable', message });
    });
    this.#options.log.warn(
      { serverId: server.id, verb: server.verb, waitingFor: server.waiting_for },
      'deadline passed',
    );
    this.#options.afterStep?.('expired', server.id);
  }

  async #towardsAbsent(server: Look): Promise<void> {
    const since = server.operation_started?.getTime() ?? 0;
    const deadline = server.deadline?.getTime() ?? 0;
    const now = server.now.getTime();
    const clean = server.host_id === null || server.observed_state === 'absent';
    // A connected host is given longer: it may still run the guest. Either way it hears of the server's absence until it confirms it.
    const givenUp = server.host_connected ? now >= since + stubbornHostMs : now >= deadline;
    if (!clean && !givenUp) {
      const at = new Date(server.host_connected ? Math.max(deadline, now + 10_000) : deadline);
      await passOperation(this.#options.database.query, server.id, {
        owner: `host ${server.host_id}`,
        waitingFor: server.host_connected ? 'the host to remove the server' : 'the host to come back, or the deadline',
      });
      return enqueue(this.#options.database.query, 'server', server.id, { at });
    }
    await this.#remove(server);
    if (!clean) {
      this.#options.log.warn({ serverId: server.id, hostId: server.host_id }, 'server removed without its host’s word');
    } else this.#options.log.info({ serverId: server.id }, 'server removed');
    this.#options.afterStep?.('removed', server.id);
  }

  async #remove(server: Look): Promise<void> {
    await this.#options.database.transaction(cloudActor, async (tx) => {
      const { rows } = await sql<{ generation: number }>`select generation from server
        where id = ${server.id} and desired_presence = 'absent' for update`.execute(tx);
      if (!rows[0]) return;
      await this.#options.ports.releaseServerPorts(tx, server.id as ServerId);
      await sql`delete from server where id = ${server.id}`.execute(tx);
      await endOperations(tx, server.id, rows[0].generation, { state: 'succeeded' });
    });
  }
}

const faultOf = (reason: ServerFault['reason'], message: string, generation: number): ServerFault => ({
  reason,
  message,
  at: new Date().toISOString(),
  generation,
});

/** No host: ERROR, with Nova's well-known sentence and then what it never says: why, and what would help. */
async function refuse(tx: Tx, server: Look, found: Placement): Promise<void> {
  const message = `No valid host was found. ${sentence(found.message)} ${sentence(found.fix)}`.trim();
  const fault: ServerFault = {
    ...faultOf('no_capacity', message, server.generation),
    details: found.verdicts.map(({ name, refusals }) => `${name}: ${refusals.join(', ')}`).join('\n'),
  };
  await sql`update server set fault = ${json(fault)}::jsonb, updated_at = now() where id = ${server.id}`.execute(tx);
  await endOperations(tx, server.id, server.generation, { state: 'failed', code: 'no_capacity', message });
}

const sentence = (text: string): string => (text === '' ? '' : `${text[0]!.toUpperCase()}${text.slice(1)}.`);

async function recordDecision(tx: Tx, server: Look, request: PlacementRequest, found: Placement): Promise<void> {
  await tx
    .insertInto('decision')
    .values({
      id: newId(),
      project_id: server.project_id,
      resource_type: 'server',
      resource_id: server.id,
      kind: 'placement',
      outcome: found.host ? 'placed' : 'no_capacity',
      inputs: json({ request, hosts: found.hosts, chosen: found.host?.id ?? null, verdicts: found.verdicts }),
      explanation: json({ message: found.message, refusals: found.refusals, fix: found.fix }),
    })
    .execute();
}
