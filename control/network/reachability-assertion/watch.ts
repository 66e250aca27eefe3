/**
 * Decides assertions anew when something changed that they were decided by, whosever it is: by the change log, and all of them now and then,
 * for what a process missed that was not there. Refuses nothing: what it finds is the assertion's state, a change that can be watched. If the
 * process dies nothing is lost; the next one begins with all.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Change, ChangeFeed } from '../../kit/change-log/changes.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { Turn } from '../../kit/projection/turn.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { decide, isNews, readTogether, record } from './decide.ts';
import type { ReachabilityAssertionRow } from './reachability-assertion.ts';

const nouns: ReadonlySet<string> = new Set([
  ...['network', 'subnet', 'subnet_pool', 'port', 'port_ip', 'port_security_group', 'router', 'floating_ip'],
  ...['security_group', 'security_group_rule', 'address_group', 'segment', 'port_forwarding'],
  ...['local_ip', 'local_ip_association'],
]);
/** Columns by which such a row is of a network, a router or a group. */
const belongings = ['network_id', 'floating_network_id', 'router_id', 'security_group_id', 'port_id', 'device_id'];
const everyMs = 10 * 60_000;
/** Of a whole cloud's, read at once. */
const together = 100;

export class AssertionWatch {
  readonly #database: Database;
  readonly #feed: Pick<ChangeFeed, 'subscribe'>;
  readonly #log: Logger;
  readonly #sweep: Sweep;
  #unsubscribe: (() => void) | undefined;
  #touched = new Set<string>();
  /** Of hosts that have changed since this one looks: what they carry. */
  readonly #carried = new Map<string, string>();
  #hostsMoved = false;
  #work: Promise<void> | undefined;
  #running = false;

  constructor(options: { database: Database; feed: Pick<ChangeFeed, 'subscribe'>; log: Logger }) {
    this.#database = options.database;
    this.#feed = options.feed;
    this.#log = options.log;
    this.#sweep = new Sweep(() => this.#decideWhere(sql`true`), {
      ...{ everyMs, log: options.log, what: 'deciding reachability assertions' },
    });
  }

  start(): void {
    this.#running = true;
    this.#unsubscribe = this.#feed.subscribe((changes) => this.#notice(changes));
    this.#sweep.start();
  }

  /** What was begun may end. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#unsubscribe?.();
    this.#sweep.stop();
    await this.#work;
  }

  #notice(changes: readonly Change[]): void {
    for (const change of changes) {
      const { resource_type, resource_id, project_id, body, observed_only } = change;
      if (resource_type === 'host') this.#noticeHost(change);
      if (observed_only || !nouns.has(resource_type)) continue;
      this.#touched.add(resource_id);
      if (project_id !== null) this.#touched.add(project_id);
      for (const column of belongings) {
        const id = body[column];
        if (typeof id === 'string' && id.length === 36) this.#touched.add(id);
      }
    }
    if (this.#isTouched()) this.#work ??= this.#run();
  }

  /** Hosts change often, what they carry seldom: physical networks, and by them segments and gateways. */
  #noticeHost({ resource_id, action, body }: Change): void {
    const carried = action === 'deleted' ? '' : JSON.stringify(body.physical_networks);
    if (this.#carried.get(resource_id) === carried) return;
    this.#carried.set(resource_id, carried);
    this.#hostsMoved = true;
  }

  #isTouched = (): boolean => this.#touched.size > 0 || this.#hostsMoved;

  async #run(): Promise<void> {
    try {
      while (this.#isTouched() && this.#running) {
        const ids = [...this.#touched];
        const carried = this.#hostsMoved
          ? sql`or ground && array(select network_id from segment where physical_network is not null)`
          : sql``;
        this.#touched = new Set();
        this.#hostsMoved = false;
        await this.#decideWhere(sql`project_id = any(${ids}::uuid[]) or ground && ${ids}::uuid[] ${carried}`);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'reachability assertions: could not be decided; the next look will');
    } finally {
      this.#work = undefined;
    }
  }

  async #decideWhere(condition: ReturnType<typeof sql>): Promise<void> {
    const { rows } = await sql<ReachabilityAssertionRow>`
      select * from reachability_assertion where ${condition} order by id`.execute(this.#database.query);
    for (let n = 0; n < rows.length; n += together) {
      for (const id of await this.#newsOf(rows.slice(n, n + together))) {
        if (!this.#running) return;
        // One that can't be decided keeps no other one from it.
        await this.#decide(id).catch((error: unknown) => {
          this.#log.warn(
            { err: error, assertionId: id },
            'reachability assertion: could not be decided; the next look will',
          );
        });
      }
    }
  }

  /**
   * Of most a change makes nothing new, and it is not for them to wait for whoever holds them: a change that comes meanwhile is noticed by itself.
   * @returns those that are to be decided with nobody else at them
   */
  #newsOf(rows: readonly ReachabilityAssertionRow[]): Promise<string[]> {
    return this.#database.together(async (db) => {
      const news: string[] = [];
      const turn = new Turn();
      for (const [n, decided] of (await readTogether(db, rows)).entries()) {
        if (!this.#running) return [];
        const isNew = await decided().then(
          (decision) => isNews(rows[n]!, decision),
          () => true,
        );
        if (isNew) news.push(rows[n]!.id);
        if (turn.over) await turn.rest();
      }
      return news;
    });
  }

  #decide(id: string): Promise<void> {
    return this.#database.transaction(cloudActor, async (tx) => {
      const { rows: held } = await sql<ReachabilityAssertionRow>`
        select * from reachability_assertion where id = ${id} for update`.execute(tx);
      if (held[0]) await record(tx, held[0], await decide(tx, held[0]));
    });
  }
}
