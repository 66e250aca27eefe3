/**
 * Gives servers that wait their hosts, many in one transaction: the lock, the look at the hosts and the commit are paid once for all of
 * them. A job that asks for one brings along whoever else waits and whose turn has come (waiting.ts), since the queue works on few at
 * a time. Each still has a decision and a why-record of its own, and sees what those before it took. Owns the order of placements in
 * this process; what a host carries is counted in the database (control/compute/placement). If the process dies, the transaction did
 * nothing and the durable jobs come again.
 */
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { cloudActor, type Database, type Tx, withCommit } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { passOperation } from '../../kit/operation/operations.ts';
import { enqueue, putOff } from '../../kit/queue/queue.ts';
import { freeBandwidth } from '../../network/bandwidth/bandwidth.ts';
import {
  HintedHosts,
  type HostCapacity,
  HostPicture,
  imageHolders,
  inNumbers,
  lockPlacement,
  type Placement,
  type PlacementRequest,
  PlacementRound,
  placementGroups,
  wakeHosts,
  withTunnels,
} from '../placement/index.ts';
import { nextEpoch } from '../server-migration/index.ts';
import { recordDecisions } from './decisions.ts';
import type { ServerPorts } from './dependencies.ts';
import { keepRefuges, withoutRefuge } from './refuges.ts';
import { refuseServer, sentences } from './refuse.ts';
import { othersWaiting, requestFor, stillToPlace, type Unplaced } from './waiting.ts';

export interface PlacingOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  /** See hostAwayMs in server.ts. */
  awayMs: number;
  /** Hears of each decision once it is made, those that no call asked for among them. */
  decided(server: Unplaced, found: Placement): void;
}

/** Of one transaction: few enough that nobody notices how long it works, here or in the database. */
const together = 100;
/** Decided in one go, before whatever else waits for the event loop has its turn. */
const turnMs = 8;
const soonMs = 5000;

/** Undefined: nothing is to be placed any more; something has moved since the look. */
type Outcome = Placement | undefined;

interface Waiting {
  server: Unplaced;
  jobWaits: boolean;
  done: PromiseWithResolvers<Outcome>;
}

interface Decided {
  server: Unplaced;
  found: Placement;
}

interface Given {
  server: Unplaced;
  hostId: HostId;
}

export class Placing {
  readonly #options: PlacingOptions;
  readonly #picture = new HostPicture();
  #waiting: Waiting[] = [];
  #running = false;

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  /**
   * The lock in the database would do alone; but there each that waits would hold a connection that the API needs.
   * @param options.jobWaits it is not its job that asks: that one waits, and would find nothing to do
   */
  place(server: Unplaced, { jobWaits }: { jobWaits: boolean } = { jobWaits: false }): Promise<Outcome> {
    const done = Promise.withResolvers<Outcome>();
    this.#waiting.push({ server, jobWaits, done });
    if (!this.#running) void this.#run();
    return done.promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) await this.#settle(this.#waiting.splice(0, together));
    this.#running = false;
  }

  async #settle(batch: readonly Waiting[], options: { alone: boolean } = { alone: false }): Promise<void> {
    try {
      const outcomes = await this.#placeAll(batch, options);
      for (const { server, found } of outcomes.values()) this.#options.decided(server, found);
      for (const { server, done } of batch) done.resolve(outcomes.get(server.id)?.found);
    } catch (error) {
      // One server's trouble is not its neighbours': each alone.
      if (!options.alone) for (const one of batch) await this.#settle([one], { alone: true });
      else batch[0]!.done.reject(error);
    }
  }

  #placeAll(batch: readonly Waiting[], { alone }: { alone: boolean }): Promise<Map<string, Decided>> {
    const asked = batch.map(({ server }) => server);
    const unasked = batch.filter(({ jobWaits }) => jobWaits).map(({ server }) => server.id);
    return this.#options.database.transaction(cloudActor, async (tx) => {
      // One round trip; each statement sees what was committed before it could begin, the picture thus what the lock guards.
      const [unchanged, , others, hosts, holders] = await Promise.all([
        stillToPlace(tx, asked),
        lockPlacement(tx),
        alone ? [] : othersWaiting(tx, asked, together - asked.length),
        this.#picture.read(tx, { awayMs: this.#options.awayMs }),
        imageHolders(tx, imagesOf(asked)),
      ]);
      const more = imagesOf(others).difference(imagesOf(asked));
      for (const [image, where] of more.size > 0 ? await imageHolders(tx, more) : []) holders.set(image, where);
      const groups = groupsOf([...asked, ...others]);
      const { hosts: promising, servers: waiting } = await withTunnels(
        tx,
        await withBandwidth(tx, hosts, [...unchanged, ...others]),
        [...unchanged, ...others],
      );
      const hints = await HintedHosts.read(tx, waiting);
      const round = new PlacementRound(
        promising,
        holders,
        groups.size > 0 ? await placementGroups(tx, groups) : undefined,
      );
      const returned = ({ host_id: id }: Unplaced) => id !== null && round.host(id)?.seen_lately === true;
      const outcomes = new Map<string, Decided>();
      let since = performance.now();
      for (const one of inOrder(waiting)) {
        const server = hints.of(one);
        // Two jobs may look at one server at once, where one was taken back from a connection that was lost.
        if (returned(server) || outcomes.has(server.id)) continue;
        const found = hints.isAwaited(server) ? hintedFirst : round.place(requestFor(server), server.image_id);
        outcomes.set(server.id, { server, found });
        if (found.host) hints.came(server, found.host.id);
        if (performance.now() - since < turnMs) continue;
        await turnOfOthers();
        since = performance.now();
      }
      if (this.#picture.survive !== 'none') await this.#keepRefuges(tx, outcomes, round);
      const last = await this.#record(tx, [...outcomes.values()], new Set([...unasked, ...others.map(({ id }) => id)]));
      return withCommit(Promise.all(last).then(() => outcomes));
    });
  }

  async #keepRefuges(tx: Tx, outcomes: Map<string, Decided>, round: PlacementRound): Promise<void> {
    const given = [...outcomes.values()].flatMap(({ server, found }) =>
      found.host ? [{ serverId: server.id, hostId: found.host.id }] : [],
    );
    for (const id of await keepRefuges(tx, given, round.hosts)) {
      const { server, found } = outcomes.get(id)!;
      outcomes.set(id, { server, found: withoutRefuge(found) });
    }
  }

  /**
   * @param unasked those whose job still waits: it would find nothing to do
   * @returns the statements that are under way
   */
  async #record(tx: Tx, all: readonly Decided[], unasked: ReadonlySet<string>): Promise<Promise<unknown>[]> {
    const given: Given[] = [];
    const decided: Decided[] = [];
    const written: Promise<unknown>[] = [];
    for (const { server, found } of all) {
      if (!found.host && (found.soon || server.host_id !== null)) {
        written.push(this.#waitForHost(tx, server, found));
        continue;
      }
      decided.push({ server, found });
      if (found.host) given.push({ server, hostId: found.host.id as HostId });
      else written.push(refuseServer(tx, server, refusalOf(found)));
    }
    // Addresses are looked for by several statements, and behind the last of them the commit is under way already.
    const deferred = given.filter(({ server }) => server.reach?.some((one) => one.deferred));
    if (deferred.length > 0) written.push(this.#bind(tx, deferred));
    await Promise.all(written);
    return [
      ...(given.length > 0 ? [this.#give(tx, given, unasked)] : []),
      ...(decided.length > 0
        ? [
            recordDecisions(
              tx,
              decided.map(({ server, found }) => ({
                ...{ server, request: requestFor(server), found, horizon: this.#picture.horizon },
              })),
            ),
          ]
        : []),
    ];
  }

  /**
   * A restart of a host's process, or of ours, is no reason to refuse a server; and one that has a host keeps it until there is
   * a better one.
   */
  async #waitForHost(tx: Tx, server: Unplaced, found: Placement): Promise<void> {
    const { awayMs } = this.#options;
    if (found.wake) await wakeHosts(tx, [found.wake], `server ${server.id} needs a host`);
    const [waitingFor, waitMs] =
      server.host_id === null
        ? [forNow(found), soonMs]
        : [`its host, which is away, to come back, or another that fits: ${found.message}`, awayMs];
    await passOperation(tx, server.id, { owner: 'control', waitingFor });
    await enqueue(tx, 'server', server.id, { at: lookAt(server, waitMs) });
  }

  /** Safe to repeat. */
  #bind(tx: Tx, all: readonly Given[]): Promise<unknown> {
    return this.#options.ports.bindServerPorts(
      tx,
      all.map(({ server, hostId }) => ({ serverId: server.id as ServerId, hostId, limits: server.card_limits })),
    );
  }

  /** A new epoch: what the host before may have of the server it removes when it is back, and its reports count no more. */
  async #give(tx: Tx, all: readonly Given[], unasked: ReadonlySet<string>): Promise<void> {
    const rows = json(
      all.map(({ server, hostId }) => ({
        id: server.id,
        host_id: hostId,
        waiting_for:
          server.host_id === null
            ? 'the host to take the server'
            : 'another host to take the server: the first went away before it did',
      })),
    );
    const given = sql`jsonb_to_recordset(${rows}::jsonb) as g(id uuid, host_id uuid, waiting_for text)`;
    await Promise.all([
      sql`with passed as (
          update operation o set owner = 'host ' || g.host_id, waiting_for = g.waiting_for, updated_at = now()
          from ${given} where o.resource_id = g.id and o.state = 'running')
        update server s set host_id = g.host_id, epoch = ${nextEpoch}, updated_at = now(), machine = ${firstMachine}
        from ${given} join host h on h.id = g.host_id where s.id = g.id`.execute(tx),
      this.#bind(tx, all),
      // Until a word of the host: then it is looked at again, in case the host goes away without one.
      putOff(
        tx,
        'server',
        all.map(({ server: { id, now, deadline } }) => ({
          ...{ id, at: lookAt({ now, deadline }, this.#options.awayMs), served: unasked.has(id) },
        })),
      ),
    ]);
  }
}

/** The machine that it has, or the newest of its first host, or the one that its image asks for; a host that is older than this says none. */
const firstMachine = sql`coalesce(s.machine, case when h.facts #>> '{machine,types,0}' is not null
  then jsonb_build_object('type', coalesce(s.hardware ->> 'machine_type', h.facts #>> '{machine,types,0}'),
    'cpu_model', h.facts #>> '{machine,cpuModel}', 'layout', h.facts #> '{machine,layout}') end)`;

const lookAt = ({ now, deadline }: Pick<Unplaced, 'now' | 'deadline'>, waitMs: number): Date =>
  new Date(Math.min(now.getTime() + waitMs, deadline?.getTime() ?? Number.POSITIVE_INFINITY));

/** Hosts with what they have left to promise, where one of the servers asks for any of it. */
export async function withBandwidth(
  tx: Tx,
  hosts: HostCapacity[],
  servers: readonly PlacementRequest[],
): Promise<HostCapacity[]> {
  if (!servers.some(({ bandwidth }) => bandwidth)) return hosts;
  const free = await freeBandwidth(tx);
  return hosts.map((host) => ({ ...host, bandwidth: free.get(host.id) ?? [] }));
}

/** What a server waits for that has no host yet. */
function forNow({ message, wake }: Placement): string {
  if (message === hintedFirst.message) return message;
  return wake ? 'a host in standby to be woken' : 'a host that is away for the moment';
}

const imagesOf = (servers: readonly Unplaced[]) => new Set(servers.flatMap((server) => server.image_id ?? []));

const groupsOf = (servers: readonly Unplaced[]) => new Set(servers.flatMap((server) => server.server_group_id ?? []));

/** What is said of a server that waits for others. */
const hintedFirst: Placement = {
  ...{ host: null, soon: true, verdicts: [], hosts: 0, refusals: {}, fix: '', alternatives: [] },
  message: 'a server that it names in a hint to have a host',
};

/** Whoever is named by others has a host before them. */
const inOrder = (servers: readonly Unplaced[]): Unplaced[] =>
  servers.some(({ hints }) => hints) ? servers.toSorted((a, b) => (a.id < b.id ? -1 : 1)) : [...servers];

const refusalOf = (found: Placement) => ({
  message: sentences(found),
  details: inNumbers(found),
});
