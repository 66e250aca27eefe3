/**
 * Turns hosts off that are lost, so that it is certain that their guests do not run any more: asks the BMC, and looks until it says that the machine is off. What is looked at
 * later than it was asked for is what counts, not what was said to it.
 *
 * A power-off is a row (host_power_off) of one silence, written down before anything is asked; any control process goes on with one whose turn has come, so none is lost with a process. Before each
 * request it is decided anew, in a transaction, that the host is still silent since then: one that came back meanwhile is left alone, one that is silent on purpose is never asked, and so is every
 * host where more than half of them are lost at once. Owns what is under way in this process; if that dies, another takes the row up when its turn comes, and may ask again: a machine that is off stays off.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { newId } from '../../../contract/ids.ts';
import { BmcError, type BmcSystem, type ServiceProcessor } from '../../../protocols/bmc/index.ts';
import type { Sealer } from '../../identity/index.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { isHeld } from './at-once.ts';
import { accessColumns, type BmcAccess, isSameMachine, isTheHost, openBmc } from './opening.ts';

export interface PowerOffTiming {
  /** A host that is silent for less may only be restarting its process. */
  graceMs: number;
  /** See at-once.ts. */
  atOnceMs: number;
  /** For one request to a BMC. */
  requestMs: number;
  /** Between two looks while the machine goes off. */
  lookMs: number;
  /** One that was asked and is still on is asked again after this. */
  againMs: number;
  /** Nothing is sent on a decision that is older. */
  decisionMs: number;
  /** Whoever works at one is left alone for so long. */
  turnMs: number;
  /** One of no use now is tried again after this. */
  retryMs: number;
  /** One that does not take the password: few attempts more, and many lock the user out. */
  deniedMs: number;
}

const defaults: PowerOffTiming = {
  ...{ graceMs: 10_000, atOnceMs: 600_000, requestMs: 5000, lookMs: 500, againMs: 15_000 },
  ...{ decisionMs: 2000, turnMs: 20_000, retryMs: 3000, deniedMs: 60_000 },
};

export interface PowerOffsOptions {
  database: Database;
  sealer: Pick<Sealer, 'open'>;
  log: Logger;
  /** For tests. */
  timing?: Partial<PowerOffTiming> | undefined;
}

interface PowerOff extends BmcAccess {
  id: string;
}

/** Of a host that is there again. */
interface Heard {
  id: string;
  host_id: string;
  host: string;
  was_off: boolean;
  before: Date | null;
  /** As the host tells it: what is no time there is nobody's fault but its own, and shall not stop the others. */
  booted_at: string | null;
}

/** It runs since before it was asked to go off. */
const isContradicted = ({ was_off, before, booted_at }: Heard): boolean =>
  was_off && before !== null && booted_at !== null && Date.parse(booted_at) < before.getTime();

/** At work at the same time in this process. */
const together = 16;

const ago = (ms: number) => sql`clock_timestamp() - ${ms}::double precision * interval '1 millisecond'`;
const later = (ms: number) => sql`clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`;

/**
 * Of `host h`: its silence is a loss. Not where it was meant: said by an administrator (down, maintenance), or by the host itself, whose process ended in order. One that the cloud empties to save power was meant to
 * be silent only without servers, and of such a one nobody wishes it.
 */
const isLost = sql`not h.connected and not h.forced_down and (h.maintenance is null or h.maintenance ->> 'cause' = 'consolidation')
  and h.left_at is null`;

/** Of `host_power_off p` and `host h`: the host was not heard since. */
const stillSilent = sql`p.ended is null and not h.connected and h.last_seen_at = p.silent_since`;

export class PowerOffs {
  readonly #options: PowerOffsOptions;
  readonly #timing: PowerOffTiming;
  readonly #working = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(options: PowerOffsOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
  }

  /**
   * Of these hosts the ones that are silent for long enough and have a BMC that may turn them off shall be off. Begins what is due, and does not wait for it.
   * @param hostIds servers of theirs shall be restarted elsewhere
   */
  async wish(hostIds: readonly string[]): Promise<void> {
    if (this.#stopped) return;
    await this.#settleHeard();
    if (hostIds.length === 0) return;
    const { database } = this.#options;
    const { graceMs, atOnceMs } = this.#timing;
    const ids = sql`${[...hostIds]}::uuid[]`;
    await sql`insert into host_power_off (id, host_id, silent_since)
      select w.id, h.id, h.last_seen_at from unnest(${hostIds.map(() => newId())}::uuid[], ${ids}) as w (id, host_id)
        join host h on h.id = w.host_id join host_bmc b on b.host_id = h.id
      where b.fences and b.contradicted_at is null and ${isLost} and h.last_seen_at < ${ago(graceMs)}
        and not ${isHeld(atOnceMs)}
      on conflict (host_id, silent_since) do nothing`.execute(database.query);
    for (const { id } of await this.#due(ids)) {
      const work = this.#work(id)
        .catch((error: unknown) =>
          this.#options.log.warn({ err: error, powerOffId: id }, 'turning a host off failed, will be tried again'),
        )
        .finally(() => this.#working.delete(id));
      this.#working.set(id, work);
    }
  }

  /** Begins nothing any more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#working.values());
  }

  async #due(ids: ReturnType<typeof sql>): Promise<{ id: string }[]> {
    const room = together - this.#working.size;
    if (room <= 0) return [];
    const { rows } = await sql<{ id: string }>`
      select p.id from host_power_off p join host h on h.id = p.host_id
      where p.host_id = any(${ids}) and ${stillSilent} and p.next_at <= clock_timestamp()
      order by p.next_at limit ${room}`.execute(this.#options.database.query);
    return rows.filter(({ id }) => !this.#working.has(id));
  }

  /** A host that is there again ends it; one that was never off although it was said to be shows what its BMC's word is worth. */
  async #settleHeard(): Promise<void> {
    const { rows } = await sql<Heard>`
      select p.id, p.host_id, h.name as host, p.off_at is not null and h.last_seen_at > p.off_at as was_off,
        coalesce(p.asked_at, p.off_at) - interval '30 seconds' as before, h.facts ->> 'bootedAt' as booted_at
      from host_power_off p join host h on h.id = p.host_id
      where p.ended is null and h.connected`.execute(this.#options.database.query);
    if (rows.length === 0) return;
    const heard = rows.map((row) => ({ ...row, contradicted: isContradicted(row) }));
    await sql`
      with heard as (select * from jsonb_to_recordset(${json(heard)}::jsonb) as s (id uuid, host_id uuid, contradicted boolean)),
      ended as (update host_power_off p set ended = case when heard.contradicted then 'contradicted' else 'heard' end, updated_at = now()
        from heard where p.id = heard.id and p.ended is null returning p.id)
      update host_bmc b set contradicted_at = now(), generation = generation + 1, updated_at = now()
        from heard join ended on ended.id = heard.id where heard.contradicted and b.host_id = heard.host_id`.execute(
      this.#options.database.query,
    );
    for (const { host, contradicted } of heard)
      if (contradicted)
        this.#options.log.error(
          { host },
          'its BMC said that the host was off, and it was not: the BMC is not believed until an administrator sets it anew',
        );
  }

  async #work(id: string): Promise<void> {
    const { sealer, log } = this.#options;
    const access = await this.#take(id);
    if (!access) return;
    try {
      await using bmc = openBmc(access, sealer, this.#timing.requestMs);
      await this.#turnOff(access, bmc);
    } catch (error) {
      const why = (error as Error).message.slice(0, 500);
      log.warn({ host: access.host_name, why }, 'the BMC of a host that is lost is of no use now');
      const denied = error instanceof BmcError && error.kind === 'denied';
      await this.#note(id, why, denied ? this.#timing.deniedMs : this.#timing.retryMs);
    }
  }

  /** Undefined: it is another one's turn, or nobody's any more. */
  async #take(id: string): Promise<PowerOff | undefined> {
    const { rows } = await sql<PowerOff>`
      with mine as (update host_power_off p set next_at = ${later(this.#timing.turnMs)} from host h
        where p.id = ${id} and h.id = p.host_id and p.next_at <= clock_timestamp() and ${stillSilent} returning p.id, p.host_id)
      select mine.id, ${accessColumns} from mine join host h on h.id = mine.host_id
        join host_bmc b on b.host_id = h.id and b.fences and b.contradicted_at is null`.execute(
      this.#options.database.query,
    );
    return rows[0];
  }

  async #turnOff(access: PowerOff, bmc: ServiceProcessor): Promise<void> {
    const began = performance.now();
    for (;;) {
      const system = await bmc.system();
      requireSameMachine(access, system);
      if (system.power === 'off') return this.#seenOff(access, system);
      await this.#ask(access, bmc, system);
      // The rest is another turn's.
      if (performance.now() - began > this.#timing.turnMs / 2) return this.#note(access.id, null, this.#timing.retryMs);
      await new Promise((resolve) => setTimeout(resolve, this.#timing.lookMs));
    }
  }

  /** Where it was not asked a moment ago, and its host is still silent. */
  async #ask(access: PowerOff, bmc: ServiceProcessor, system: BmcSystem): Promise<void> {
    const decided = performance.now();
    const { againMs, atOnceMs, decisionMs } = this.#timing;
    const { rows } = await this.#options.database.transaction(cloudActor, async (tx) => {
      await sql`select from host where id = ${access.host_id} for share`.execute(tx);
      return sql<{
        asked: number;
      }>`update host_power_off p set asked = asked + 1, asked_at = clock_timestamp(), said = null, error = null,
          system = ${system.path}, label = ${system.label}, updated_at = now()
        from host h where p.id = ${access.id} and h.id = p.host_id and ${stillSilent} and ${isLost} and not ${isHeld(atOnceMs)}
          and (p.asked_at is null or p.asked_at < ${ago(againMs)}) returning p.asked`.execute(tx);
    });
    // Whoever stood still in between knows nothing of the host any more.
    const withinMs = decisionMs - (performance.now() - decided);
    if (!rows[0] || withinMs <= 0) return;
    this.#options.log.warn({ host: access.host_name, asked: rows[0].asked }, 'a host that is lost is turned off');
    const said = await bmc.reset('ForceOff', { system, withinMs }).catch((error: Error) => error.message);
    await sql`update host_power_off set said = ${said.slice(0, 500)}, updated_at = now() where id = ${access.id}`.execute(
      this.#options.database.query,
    );
  }

  /** It was so when it was asked for, which is the latest moment of which that is known. */
  async #seenOff({ id, host_id, host_name }: PowerOff, system: BmcSystem): Promise<void> {
    const seen = await this.#options.database.transaction(cloudActor, async (tx) => {
      await sql`select from host where id = ${host_id} for no key update`.execute(tx);
      const elapsedMs = performance.now() - system.askedAt;
      const { rows } = await sql<{ first: boolean }>`
        with noted as (update host_power_off p set off_at = ${ago(elapsedMs)}, error = null, system = ${system.path}, label = ${system.label},
            next_at = ${later(this.#timing.retryMs)}, updated_at = now()
          from host h where p.id = ${id} and h.id = p.host_id and ${stillSilent} returning h.id, h.powered_off_at is null as first),
        marked as (update host h set powered_off_at = noted_at.at, updated_at = now()
          from noted, (select ${ago(elapsedMs)} as at) noted_at where h.id = noted.id and noted.first)
        select first from noted`.execute(tx);
      return rows[0];
    });
    if (seen?.first) this.#options.log.warn({ host: host_name, system: system.label }, 'a host that is lost is off');
  }

  async #note(id: string, error: string | null, nextMs: number): Promise<void> {
    await sql`update host_power_off set error = ${error}, next_at = ${later(nextMs)}, updated_at = now() where id = ${id}`.execute(
      this.#options.database.query,
    );
  }
}

/** A wrong address turns the wrong machine off, and its `Off` would be evidence of another one's: so what nothing shows is refused too. */
function requireSameMachine(access: PowerOff, system: BmcSystem): void {
  const { url, host_name: host, machine_uuid: own } = access;
  if (isTheHost(system, access)) return;
  const same = isSameMachine(system, own);
  if (same === undefined)
    throw new Error(
      `nothing shows that the machine behind ${url} is ${host}: ${own === null ? 'the host' : 'the BMC'} says no UUID of its own, and nobody has accepted it`,
    );
  throw new Error(`behind ${url} is another machine than ${host}: its UUID is ${system.uuid}`);
}
