/**
 * Gives servers that wait their hosts: those that came while the last transaction ran go together into the next one, so that the lock,
 * the look at all hosts and the commit are paid once for all of them. Each still has a decision and a why-record of its own, and sees
 * what those before it took. Owns the order of placements in this process; what a host carries is counted in the database
 * (control/compute/placement). If the process dies, the transaction did nothing and the durable jobs come again.
 */
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { endOperations, passOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import {
  type HostSnapshot,
  lockPlacement,
  type Placement,
  type PlacementRequest,
  place,
  placementSnapshot,
} from '../placement/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { faultOf, type ServerFault } from './server.ts';

/** A server to place, as a look found it. */
export interface Unplaced extends PlacementRequest {
  id: string;
  project_id: string;
  image_id: string | null;
  /** The one it was given to, which is away and has not said a word of it. */
  host_id: string | null;
  epoch: number;
  generation: number;
  /** The database's time at the look. */
  now: Date;
  /** Of what was asked for; it is looked at then at the latest. */
  deadline: Date | null;
}

export interface PlacingOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  /** See hostAwayMs in server.ts. */
  awayMs: number;
}

/** Of one transaction: as many as the queue works on at once, and more where several wait. */
const together = 32;
const soonMs = 5000;

/** Undefined: nothing is to be placed any more; something has moved since the look. */
type Outcome = Placement | undefined;

interface Waiting {
  server: Unplaced;
  done: PromiseWithResolvers<Outcome>;
}

interface Given {
  server: Unplaced;
  hostId: HostId;
}

export class Placing {
  readonly #options: PlacingOptions;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  /** The lock in the database would do alone; but there each that waits would hold a connection that the API needs. */
  place(server: Unplaced): Promise<Outcome> {
    const done = Promise.withResolvers<Outcome>();
    this.#waiting.push({ server, done });
    if (!this.#running) void this.#run();
    return done.promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) await this.#settle(this.#waiting.splice(0, together));
    this.#running = false;
  }

  async #settle(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#placeAll(batch.map(({ server }) => server));
      for (const { server, done } of batch) done.resolve(outcomes.get(server.id));
    } catch (error) {
      // One server's trouble is not its neighbours': each alone.
      if (batch.length > 1) for (const one of batch) await this.#settle([one]);
      else batch[0]!.done.reject(error);
    }
  }

  #placeAll(servers: readonly Unplaced[]): Promise<Map<string, Outcome>> {
    const imageIds = servers.flatMap((server) => server.image_id ?? []);
    return this.#options.database.transaction(cloudActor, async (tx) => {
      // One round trip; each statement sees what was committed before it could begin, the snapshot thus what the lock guards.
      const [unchanged, , hosts] = await Promise.all([
        stillToPlace(tx, servers),
        lockPlacement(tx),
        placementSnapshot(tx, { imageIds, awayMs: this.#options.awayMs }),
      ]);
      const outcomes = new Map<string, Outcome>();
      const given: Given[] = [];
      const decided: { server: Unplaced; found: Placement }[] = [];
      const alone: Promise<unknown>[] = [];
      for (const server of servers) {
        const returned = hosts.some((host) => host.id === server.host_id && host.seen_lately);
        // Two jobs may look at one server at once, where one was taken back from a connection that was lost.
        if (!unchanged.has(server.id) || returned || outcomes.has(server.id)) continue;
        const found = placeOn(hosts, server);
        outcomes.set(server.id, found);
        if (!found.host && (found.soon || server.host_id !== null)) {
          alone.push(this.#waitForHost(tx, server, found));
          continue;
        }
        decided.push({ server, found });
        if (found.host) given.push({ server, hostId: found.host.id as HostId });
        else alone.push(refuse(tx, server, found));
      }
      if (given.length > 0) alone.push(this.#give(tx, given));
      if (decided.length > 0) alone.push(recordDecisions(tx, decided));
      await Promise.all(alone);
      return outcomes;
    });
  }

  /**
   * A restart of a host's process, or of ours, is no reason to refuse a server; and one that has a host keeps it until there is
   * a better one.
   */
  async #waitForHost(tx: Tx, server: Unplaced, found: Placement): Promise<void> {
    const { awayMs } = this.#options;
    const [waitingFor, waitMs] =
      server.host_id === null
        ? ['a host that is away for the moment', soonMs]
        : [`its host, which is away, to come back, or another that fits: ${found.message}`, awayMs];
    await passOperation(tx, server.id, { owner: 'control', waitingFor });
    await enqueue(tx, 'server', server.id, { at: lookAt(server, waitMs) });
  }

  /** A new epoch: what the host before may have of the server it removes when it is back, and its reports count no more. */
  async #give(tx: Tx, all: readonly Given[]): Promise<void> {
    const rows = json(
      all.map(({ server, hostId }) => ({
        id: server.id,
        host_id: hostId,
        waiting_for:
          server.host_id === null
            ? 'the host to take the server'
            : 'another host to take the server: the first went away before it did',
        look_at: lookAt(server, this.#options.awayMs),
      })),
    );
    const given = sql`jsonb_to_recordset(${rows}::jsonb) as g(id uuid, host_id uuid, waiting_for text, look_at timestamptz)`;
    await Promise.all([
      sql`with passed as (
          update operation o set owner = 'host ' || g.host_id, waiting_for = g.waiting_for, updated_at = now()
          from ${given} where o.resource_id = g.id and o.state = 'running')
        update server s set host_id = g.host_id, epoch = epoch + 1, updated_at = now() from ${given} where s.id = g.id`.execute(
        tx,
      ),
      this.#options.ports.bindServerPorts(
        tx,
        all.map(({ server, hostId }) => ({ serverId: server.id as ServerId, hostId })),
      ),
      // Until a word of the host: then it is looked at again, in case the host goes away without one.
      sql`select enqueue('server', g.id::text, g.look_at) from ${given}`.execute(tx),
    ]);
  }
}

const lookAt = ({ now, deadline }: Unplaced, waitMs: number): Date =>
  new Date(Math.min(now.getTime() + waitMs, deadline?.getTime() ?? Number.POSITIVE_INFINITY));

/** Of these, those of which nothing has moved since the look: no other placement, no word of the host, no wish to delete. */
async function stillToPlace(tx: Tx, servers: readonly Unplaced[]): Promise<Set<string>> {
  const [ids, epochs] = [servers.map(({ id }) => id), servers.map(({ epoch }) => epoch)];
  const { rows } = await sql<{ id: string }>`
    select s.id from server s join unnest(${ids}::uuid[], ${epochs}::bigint[]) as w (id, epoch) on w.id = s.id and w.epoch = s.epoch
    where s.observed_state = 'none' and s.fault is null and s.desired_presence = 'present'
    order by s.id for update of s`.execute(tx);
  return new Set(rows.map(({ id }) => id));
}

/** Decides one and takes what it needs from the snapshot, for those that come behind it. */
function placeOn(hosts: HostSnapshot[], server: Unplaced): Placement {
  for (const host of hosts) host.holds_image = server.image_id !== null && host.images.includes(server.image_id);
  const found = place(requestOf(server), hosts);
  const taken = found.host;
  if (taken) {
    taken.used_vcpus += server.vcpus;
    taken.used_memory_mib += server.memory_mib;
    taken.used_disk_gib += server.disk_gib;
  }
  return found;
}

const requestOf = (server: Unplaced): PlacementRequest => ({
  vcpus: server.vcpus,
  memory_mib: server.memory_mib,
  disk_gib: server.disk_gib,
  availability_zone: server.availability_zone,
  requested_host_id: server.requested_host_id,
});

/** No host: ERROR, with why, and what would help. */
async function refuse(tx: Tx, server: Unplaced, found: Placement): Promise<void> {
  const message = `${sentence(found.message)} ${sentence(found.fix)}`.trim();
  const fault: ServerFault = {
    ...faultOf('no_capacity', message, server.generation),
    details: found.verdicts.map(({ name, refusals }) => `${name}: ${refusals.join(', ')}`).join('\n'),
  };
  await sql`update server set fault = ${json(fault)}::jsonb, updated_at = now() where id = ${server.id}`.execute(tx);
  await endOperations(tx, server.id, server.generation, { state: 'failed', code: 'no_capacity', message });
}

const sentence = (text: string): string => (text === '' ? '' : `${text[0]!.toUpperCase()}${text.slice(1)}.`);

async function recordDecisions(tx: Tx, decided: readonly { server: Unplaced; found: Placement }[]): Promise<void> {
  await tx
    .insertInto('decision')
    .values(
      decided.map(({ server, found }) => ({
        id: newId(),
        project_id: server.project_id,
        resource_type: 'server',
        resource_id: server.id,
        kind: 'placement',
        outcome: found.host ? 'placed' : 'no_capacity',
        inputs: json({
          request: requestOf(server),
          hosts: found.hosts,
          chosen: found.host?.id ?? null,
          verdicts: found.verdicts,
        }),
        explanation: json({ message: found.message, refusals: found.refusals, fix: found.fix }),
      })),
    )
    .execute();
}
