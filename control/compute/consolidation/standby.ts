/**
 * Brings hosts into standby and back, by the rows of `host_standby`: one that is empty is shut down by its BMC (`GracefulShutdown`) and looked at until it says that it is off; one that is needed is
 * turned on and looked at until it is heard. What was asked is written down before it is asked, in the transaction that decides that it may be; any control process goes on with a row whose turn has
 * come, so none is lost with a process, and a machine that is asked twice is what it was asked to be. A host is never shut down that has a server, or one on its way to it, and none whose machine is not proven to be behind its
 * BMC. Owns what is under way in this process.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { BmcError, type BmcSystem, type ResetType, type ServiceProcessor } from '../../../protocols/bmc/index.ts';
import type { Sealer } from '../../identity/index.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { leftOn } from '../maintenance/index.ts';
import { lockPlacement, wakeHosts } from '../placement/index.ts';
import { accessColumns, type BmcAccess, isTheHost, openBmc } from '../power/index.ts';
import { endStandby } from './begin-and-end.ts';
import { keepsBecause } from './read.ts';
import type { HostStandbyRow } from './tables.ts';

export interface StandbyTiming {
  everyMs: number;
  /** For one request to a BMC. */
  requestMs: number;
  /** Whoever works at a host is left alone for so long. */
  turnMs: number;
  /** Between two looks at one that is on its way, and at one that sleeps. */
  lookMs: number;
  asleepMs: number;
  /** One that was asked to shut down and is on is asked again after this, twice; then it is left in peace. */
  againMs: number;
  /** One whose servers have not left by then carries servers again. */
  emptyMs: number;
  /** One that is not heard by then is told of, and goes on being turned on. */
  overdueMs: number;
  /** Nobody sleeps longer: a host has its certificate renewed while it is awake, and one that is over opens no stream any more. */
  longestMs: number;
  /** One whose BMC does not take the password: more attempts lock the user out. */
  deniedMs: number;
}

const defaults: StandbyTiming = {
  ...{ everyMs: 1000, requestMs: 5000, turnMs: 20_000, lookMs: 3000, asleepMs: 30_000 },
  ...{ againMs: 300_000, emptyMs: 1_800_000, overdueMs: 900_000, longestMs: 7 * 24 * 3_600_000, deniedMs: 60_000 },
};

export interface StandbyOptions {
  database: Database;
  sealer: Pick<Sealer, 'open'>;
  log: Logger;
  /** A host goes nowhere now, for this reason. */
  gaveUp?(hostId: string, why: string): void;
  /** For tests. */
  timing?: Partial<StandbyTiming> | undefined;
}

/** At work at the same time in this process. */
const together = 16;
const timesAsked = 3;
const ago = (ms: number) => sql`clock_timestamp() - ${ms}::double precision * interval '1 millisecond'`;
const later = (ms: number) => sql`clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`;

interface Turn extends HostStandbyRow, Omit<BmcAccess, 'url'> {
  /** Null: it has no BMC any more. */
  url: string | null;
  connected: boolean;
  /** It was heard after it was off, or after it was asked to come. */
  came: boolean;
  cause: string | null;
  servers: number;
  /** What is there and nowhere else. */
  keeps: string | null;
  empty_in_vain: boolean;
  slept_long: boolean;
  /** The database is another one since, or a copy: what was known of the host's servers may be wrong. */
  of_another_history: boolean;
  overdue: boolean;
  /** It may be asked (again). */
  sleep_due: boolean;
  wake_due: boolean;
}

export class Standby {
  readonly #options: StandbyOptions;
  readonly #timing: StandbyTiming;
  readonly #sweep: Sweep;

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.look(), {
      ...{ everyMs: this.#timing.everyMs, log: options.log, what: 'looking after hosts in standby' },
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** One turn. */
  async look(): Promise<void> {
    const { rows } = await sql<{
      host_id: string;
    }>`select host_id from host_standby where next_at <= clock_timestamp()
      order by next_at limit ${together}`.execute(this.#options.database.query);
    await Promise.all(rows.map(({ host_id: id }) => this.#work(id)));
  }

  async #work(hostId: string): Promise<void> {
    const turn = await this.#take(hostId);
    if (!turn || this.#sweep.stopped) return;
    try {
      await (turn.desired === 'standby' ? this.#sleep(turn) : this.#wake(turn));
    } catch (error) {
      const why = (error as Error).message.slice(0, 500);
      this.#options.log.warn({ host: turn.host_name, why }, 'a host on its way to standby or back does not go on now');
      // Rather one that carries servers than one that is empty and on.
      if (turn.desired === 'standby' && turn.asked_at === null && turn.connected && turn.empty_in_vain)
        return this.#giveUp(turn, `it can not be shut down: ${why}`);
      const denied = error instanceof BmcError && error.kind === 'denied';
      await this.#note(turn, { error: why, nextMs: denied ? this.#timing.deniedMs : this.#timing.asleepMs });
    }
  }

  /** Undefined: it is another one's turn. */
  async #take(hostId: string): Promise<Turn | undefined> {
    const { turnMs, emptyMs, overdueMs, againMs, longestMs } = this.#timing;
    const { rows } = await sql<Turn>`with mine as (update host_standby set next_at = ${later(turnMs)}
        where host_id = ${hostId} and next_at <= clock_timestamp() returning *)
      select y.*, ${accessColumns}, h.id as host_id, h.connected, h.maintenance ->> 'cause' as cause,
        h.connected and h.connected_at > coalesce(y.off_at, y.wake_began_at) as came,
        (select count(*)::integer from (${leftOn(sql`h.id`)}) l) as servers, ${keepsBecause} as keeps,
        coalesce(y.asked_at < ${ago(againMs)}, true) as sleep_due, coalesce(y.wake_asked_at < ${ago(againMs)}, true) as wake_due,
        y.created_at < ${ago(emptyMs)} as empty_in_vain, coalesce(y.off_at < ${ago(longestMs)}, false) as slept_long,
        coalesce(y.created_at < (select incarnation_at from cloud), false) as of_another_history,
        y.overdue_at is not null or y.desired = 'awake' and coalesce(y.wake_began_at, y.updated_at) < ${ago(overdueMs)} as overdue
      from mine y join host h on h.id = y.host_id left join host_bmc b on b.host_id = h.id and b.contradicted_at is null`.execute(
      this.#options.database.query,
    );
    return rows[0];
  }

  async #sleep(turn: Turn): Promise<void> {
    const { lookMs, asleepMs } = this.#timing;
    if (turn.came) return this.#end(turn, 'was turned on by somebody else');
    if (turn.cause === null) return this.#shallWake(turn, 'its maintenance was ended');
    if (turn.of_another_history) return this.#shallWake(turn, 'the database is of another history since');
    // A person's word goes before ours.
    if (turn.cause !== 'consolidation')
      return turn.asked_at === null
        ? this.#end(turn, 'an administrator has taken it over')
        : this.#note(turn, { nextMs: asleepMs });
    if (turn.off_at !== null)
      return turn.slept_long
        ? this.#shallWake(turn, 'it has slept for long, and has its certificate renewed while it is awake')
        : this.#note(turn, { nextMs: asleepMs });
    if (turn.servers > 0) {
      if (turn.empty_in_vain) return this.#giveUp(turn, 'its servers did not leave it');
      return this.#note(turn, { nextMs: lookMs });
    }
    await using bmc = this.#open(turn);
    const system = await provenSystem(turn, bmc);
    if (system.power === 'off' && !turn.connected) return this.#seenOff(turn);
    const { sleep_due: due, keeps } = turn;
    // Brought to a server that was still there, say. It may leave again, and an image be copied, but not for long.
    if (due && keeps !== null) {
      if (turn.empty_in_vain || turn.asked > 0) return this.#stay(turn, `it keeps what is nowhere else (${keeps})`);
      return this.#note(turn, { nextMs: lookMs });
    }
    if (due && turn.asked >= timesAsked) return this.#stay(turn, 'it did not shut down');
    if (due) await this.#shutDown(turn, bmc, system);
    await this.#note(turn, { nextMs: lookMs });
  }

  /** Decided anew, and written down, before it is asked. The last time a machine whose host has ended is turned off as it is: nothing runs there. */
  async #shutDown(turn: Turn, bmc: ServiceProcessor, system: BmcSystem): Promise<void> {
    const { database, log } = this.#options;
    const decided = performance.now();
    const { rows } = await database.transaction(cloudActor, async (tx) => {
      await lockPlacement(tx);
      return sql<{
        asked: number;
      }>`update host_standby y set asked = asked + 1, asked_at = clock_timestamp(), error = null, updated_at = now(),
          changed_in = pg_current_xact_id()
        from host h where y.host_id = ${turn.host_id} and h.id = y.host_id and y.desired = 'standby' and h.maintenance ->> 'cause' = 'consolidation'
          and y.asked = ${turn.asked} and ${keepsBecause} is null and not exists (${leftOn(sql`h.id`)}) and not exists (select from server_claim where host_id = h.id)
        returning y.asked`.execute(tx);
    });
    const withinMs = 2000 - (performance.now() - decided);
    if (!rows[0] || withinMs <= 0) return;
    const type: ResetType = rows[0].asked >= timesAsked && !turn.connected ? 'ForceOff' : 'GracefulShutdown';
    log.info({ host: turn.host_name, type, reason: turn.reason }, 'a host that nobody needs is shut down');
    await bmc.reset(type, { system, withinMs });
  }

  async #seenOff({ host_id: id, host_name: host }: Turn): Promise<void> {
    await sql`update host_standby set off_at = clock_timestamp(), error = null, updated_at = now(), changed_in = pg_current_xact_id(),
      next_at = ${later(this.#timing.asleepMs)} where host_id = ${id} and off_at is null`.execute(
      this.#options.database.query,
    );
    this.#options.log.info({ host }, 'host is in standby');
  }

  async #wake(turn: Turn): Promise<void> {
    const { lookMs, asleepMs } = this.#timing;
    const { host_name: host } = turn;
    if (turn.came) return this.#end(turn, 'it has come back');
    // One that was not asked may have lost its power otherwise.
    if (turn.asked_at === null && turn.connected) return this.#end(turn, 'it is needed, and was not shut down yet');
    // A person's until they end that: somebody may be at work on the machine.
    if (turn.cause !== null && turn.cause !== 'consolidation') return this.#note(turn, { nextMs: asleepMs });
    if (turn.overdue && turn.overdue_at === null) await this.#tellOverdue(turn);
    await using bmc = this.#open(turn);
    const system = await provenSystem(turn, bmc);
    if (system.power === 'off') {
      if (turn.wake_due) await this.#turnOn(turn, bmc, system);
    } else if (system.power === 'on' && turn.connected && turn.off_at === null && turn.sleep_due)
      return this.#end(turn, 'it did not shut down');
    this.#options.log.debug({ host }, 'host in standby is awaited');
    await this.#note(turn, { nextMs: turn.overdue ? asleepMs : lookMs });
  }

  async #turnOn(
    { host_id: id, host_name: host, wake_reason: reason, wake_asked: asked }: Turn,
    bmc: ServiceProcessor,
    system: BmcSystem,
  ): Promise<void> {
    const { rows } =
      await sql`update host_standby set wake_began_at = coalesce(wake_began_at, clock_timestamp()), wake_asked = wake_asked + 1,
        wake_asked_at = clock_timestamp(), off_at = coalesce(off_at, clock_timestamp()), updated_at = now(), changed_in = pg_current_xact_id()
      where host_id = ${id} and desired = 'awake' and wake_asked = ${asked} returning host_id`.execute(
        this.#options.database.query,
      );
    if (rows.length === 0) return;
    this.#options.log.info({ host, reason }, 'a host in standby is turned on');
    await bmc.reset('On', { system });
  }

  /** It goes on being looked for: nobody waits for it any more, but its row says that it shall be there. */
  async #tellOverdue({ host_id: id, host_name: host }: Turn): Promise<void> {
    await sql`update host_standby set overdue_at = clock_timestamp(), updated_at = now(), changed_in = pg_current_xact_id()
      where host_id = ${id}`.execute(this.#options.database.query);
    this.#options.log.error({ host }, 'a host that was turned on does not come back from standby');
  }

  async #shallWake({ host_id: id }: Turn, reason: string): Promise<void> {
    await this.#options.database.transaction(cloudActor, (tx) => wakeHosts(tx, [id], reason));
  }

  /** It shall not sleep: it carries servers again, or where it may go off by now, or has, once it is back. */
  #stay(turn: Turn, why: string): Promise<void> {
    return turn.connected ? this.#giveUp(turn, why) : this.#shallWake(turn, why);
  }

  async #giveUp(turn: Turn, why: string): Promise<void> {
    this.#options.gaveUp?.(turn.host_id, why);
    await this.#end(turn, why);
  }

  async #end({ host_id: id, host_name: host, wake_began_at: woken }: Turn, why: string): Promise<void> {
    await this.#options.database.transaction(cloudActor, async (tx) => {
      if (woken)
        await sql`update host_bmc b set wake_seconds = least(86400, ceil(extract(epoch from h.connected_at - ${woken}::timestamptz)))
          from host h where h.id = ${id} and b.host_id = h.id and h.connected and h.connected_at > ${woken}::timestamptz`.execute(
          tx,
        );
      await endStandby(tx, id);
    });
    this.#options.log.info({ host, why }, 'host is in standby no more');
  }

  #open(turn: Turn): ServiceProcessor {
    if (turn.url === null) throw new Error('it has no BMC any more that is believed: turn the machine on by hand');
    return openBmc({ ...turn, url: turn.url }, this.#options.sealer, this.#timing.requestMs);
  }

  /** Whoever has said otherwise meanwhile is not put off. */
  async #note(
    { host_id: hostId, desired }: Turn,
    { error = null, nextMs }: { error?: string | null; nextMs: number },
  ): Promise<void> {
    await sql`update host_standby set error = ${error}, next_at = ${later(nextMs)} where host_id = ${hostId} and desired = ${desired}`.execute(
      this.#options.database.query,
    );
  }
}

/** A wrong address would turn the wrong machine off. */
async function provenSystem(turn: Turn, bmc: ServiceProcessor): Promise<BmcSystem> {
  const system = await bmc.system();
  if (!isTheHost(system, turn)) throw new Error(`nothing shows that the machine behind its BMC is ${turn.host_name}`);
  return system;
}
