/**
 * The timer behind the signals: everything that a host was told is compared again, by its stamp, and sent where it differs. One host
 * after the other, spread over the period. Marks only; what is marked goes the way of all news.
 */
import type { Logger } from 'pino';
import { isCloudError } from '../../contract/errors.ts';
import type { ImageId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import type { DocumentStamp, HostedLayers, HostedServers } from './hosted.ts';
import type { HostSession } from './session.ts';
import { absencesFor, imagesOn } from './store.ts';

/** Of the time. */
const share = 0.04;

export interface ResyncOptions {
  database: Database;
  servers: Pick<HostedServers, 'serverStamps'>;
  layers: Pick<HostedLayers, 'layerStamps'>;
  log: Logger;
  /** In this time everything has been looked at once, where that costs little. */
  everyMs: number;
  sessions(): Iterable<HostSession>;
  /** The session's marks are set; these images' places are to be looked at too. */
  marked(images: readonly ImageId[]): void;
}

export class Resync {
  readonly #options: ResyncOptions;
  #round: HostSession[] = [];
  #paceMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ResyncOptions) {
    this.#options = options;
  }

  start(): void {
    this.#later(this.#options.everyMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #later(ms: number): void {
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#next(), ms).unref();
  }

  async #next(): Promise<void> {
    if (this.#round.length === 0) {
      this.#round = [...this.#options.sessions()];
      this.#paceMs = this.#options.everyMs / Math.max(this.#round.length, 1);
    }
    const session = this.#round.pop();
    const started = performance.now();
    if (session) await this.one(session);
    // In a cloud of any size it is this share of the work and no more: the round takes longer then, up to ten times.
    const took = performance.now() - started;
    this.#later(Math.max(this.#paceMs, Math.min(took / share, 10 * this.#paceMs)));
  }

  async one(session: HostSession): Promise<void> {
    if (!session.open) return;
    const { database, servers, layers, log, marked } = this.#options;
    const { hostId, view } = session;
    try {
      const [serverStamps, layerStamps, absences, images] = await Promise.all([
        servers.serverStamps(database.query, [hostId]),
        layers.layerStamps(database.query, [hostId]),
        absencesFor(database.query, [hostId]),
        imagesOn(database.query, [hostId]),
      ]);
      markOthers(view.servers, session.dirtyServers, serverStamps.get(hostId) ?? []);
      for (const { id } of absences(hostId)) session.dirtyServers.add(id);
      markOthers(view.layers, session.dirtyLayers, layerStamps.get(hostId) ?? []);
      session.dirtyNetworks = true;
      session.dirtyPools = true;
      // Only what to look at: the host may have been told newer things since this was read.
      marked([...images(hostId), ...view.images()]);
    } catch (error) {
      if (!isCloudError(error)) log.warn({ err: error, hostId }, 'host stream: resync failed');
    }
  }
}

/** Marks what the host was told otherwise, and what it was told that is no more. */
function markOthers<Id extends string>(
  view: { ids(): Id[]; isNews(stamp: DocumentStamp<Id>): boolean },
  marks: Set<Id>,
  stamps: readonly DocumentStamp<Id>[],
): void {
  const inOrder = new Set(stamps.flatMap((each) => (view.isNews(each) ? [] : [each.id])));
  for (const id of [...stamps.map((each) => each.id), ...view.ids()]) if (!inOrder.has(id)) marks.add(id);
}
