/**
 * One watcher of the change log, as server-sent events (HTML Standard, section 9.2). Reads pages of its own from the
 * log and writes them as fast as the client reads: nothing queues up for a slow one, and one that stops reading is
 * cut off. One that keeps up, as most do, takes what the change feed has just read (news.ts). Ends when the token does, when the rights do, or when the server stops; the
 * client carries on elsewhere with the last id.
 */
import type { ServerResponse } from 'node:http';
import { isCloudError } from '../../contract/errors.ts';
import type { Caller } from '../../control/kit/caller.ts';
import {
  type Change,
  type ChangeFeed,
  formatPosition,
  type Position,
  readChanges,
} from '../../control/kit/change-log/changes.ts';
import type { Database } from '../../control/kit/database/database.ts';
import type { NativeAuthenticator } from './caller.ts';
import { type ChangeFilter, type ChangeRequest, changeDocument, filterFor } from './change-query.ts';
import { News } from './news.ts';

export interface WatchOptions {
  database: Database;
  feed: Pick<ChangeFeed, 'subscribe'>;
  authenticator: NativeAuthenticator;
  token: string;
  requestId: string;
  request: ChangeRequest;
  after: Position;
  response: ServerResponse;
  keepaliveMs?: number;
  stalledMs?: number;
}

type EndReason = 'stopping' | 'unauthenticated' | 'forbidden' | 'expired' | 'unavailable';

const pageSize = 100;
/** The longest that a timer of Node's can run. */
const maxTimerMs = 2 ** 31 - 1;

export class ChangeWatch {
  readonly #options: WatchOptions;
  readonly #response: ServerResponse;
  #position: Position;
  readonly #news = new News();
  #ended = false;
  #dirty = true;
  #wakeUp: () => void = () => {};

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#response = options.response;
    this.#position = options.after;
  }

  /** Serves until the end; never throws. */
  async run(): Promise<void> {
    const { feed, authenticator, keepaliveMs = 15_000 } = this.#options;
    const response = this.#response;
    response.on('close', () => this.#finish());
    response.on('error', () => this.#finish());
    let filter: ChangeFilter = {};
    const unsubscribe = feed.subscribe((changes, stretch) => {
      this.#news.put(changes, stretch);
      if (changes.some((change) => concerns(filter, change))) this.#wake();
    });
    const stopHearing = authenticator.onRightsChange(() => this.#wake());
    const keepalive = setInterval(() => this.#keepAlive(), keepaliveMs);
    let expiry: NodeJS.Timeout | undefined;
    try {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-openstack-request-id': this.#options.requestId,
      });
      await this.#write(`retry: 2000\n${this.#idLine()}\n`);
      while (!this.#ended) {
        this.#dirty = false;
        // From memory, as a rule: rights are asked for before each page, so that none is sent without.
        const caller = await authenticator.authenticate(this.#options.token, this.#options.requestId);
        filter = filterFor(caller, this.#options.request);
        expiry ??= this.#atExpiry(caller);
        const full = await this.#sendPage(caller, filter);
        if (!full && !this.#dirty) await this.#sleep();
      }
    } catch (error) {
      await this.end(reasonOf(error));
    } finally {
      clearInterval(keepalive);
      clearTimeout(expiry);
      unsubscribe();
      stopHearing();
    }
  }

  /** Tells the client why, and closes. */
  async end(reason: EndReason): Promise<void> {
    if (this.#ended) return;
    this.#finish();
    if (!this.#response.destroyed)
      this.#response.end(`event: end\n${this.#idLine()}data: ${JSON.stringify({ reason })}\n\n`);
  }

  async #sendPage(caller: Caller, filter: ChangeFilter): Promise<boolean> {
    const news = this.#news.take(this.#position);
    const page = news
      ? { changes: news.changes.filter((change) => concerns(filter, change)), position: news.end }
      : await readChanges(this.#options.database.query, { ...filter, after: this.#position, limit: pageSize });
    for (const change of page.changes) {
      if (this.#ended) return false;
      this.#position = change.position;
      const data = JSON.stringify(changeDocument(caller, change));
      await this.#write(`event: change\n${this.#idLine()}data: ${data}\n\n`);
    }
    this.#position = page.position;
    // What the feed brings later wakes it: after news the log has nothing more.
    return news ? this.#news.waiting : page.changes.length === pageSize;
  }

  /** Writes; where the client does not keep up, waits for it, but not for ever. */
  async #write(text: string): Promise<void> {
    if (this.#ended || this.#response.write(text)) return;
    const response = this.#response;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        response.off('drain', done).off('close', done);
        resolve();
      };
      const timer = setTimeout(() => response.destroy(), this.#options.stalledMs ?? 30_000);
      response.on('drain', done).on('close', done);
      if (response.destroyed) done();
    });
  }

  /** A comment, so that proxies keep the connection, and the place that was reached without an event. */
  #keepAlive(): void {
    if (!this.#ended && !this.#response.writableNeedDrain) this.#response.write(`: keepalive\n${this.#idLine()}\n`);
    this.#wake();
  }

  #atExpiry({ endsAt }: Caller): NodeJS.Timeout | undefined {
    if (endsAt === undefined) return undefined;
    return setTimeout(() => void this.end('unauthenticated'), Math.min(endsAt - performance.now(), maxTimerMs));
  }

  #idLine(): string {
    return `id: ${formatPosition(this.#position)}\n`;
  }

  #wake(): void {
    this.#dirty = true;
    this.#wakeUp();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
      if (this.#ended || this.#dirty) resolve();
    });
  }

  #finish(): void {
    this.#ended = true;
    this.#wakeUp();
  }
}

const concerns = ({ projectId, resourceTypes }: ChangeFilter, change: Change): boolean =>
  (projectId === undefined || change.project_id === projectId) &&
  (resourceTypes === undefined || resourceTypes.includes(change.resource_type));

function reasonOf(error: unknown): EndReason {
  if (isCloudError(error, 'unauthenticated', 'expired')) return error.code as EndReason;
  return isCloudError(error, 'forbidden', 'invalid') ? 'forbidden' : 'unavailable';
}
