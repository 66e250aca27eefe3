/**
 * The control side of every host stream of this process: tells each connected host what shall be on it, records what
 * is. Owns the streams and the host rows' connection columns. Never decides where a server runs.
 *
 * A change wakes, never informs: what it may concern is read anew and sent if its content differs from what the host
 * was last told. One query serves all servers of all hosts that a burst of changes touched. A slow timer looks at
 * everything again, as if each server had changed. If the process dies, hosts connect to another or to the next one and start from
 * a snapshot; the host row's `connected` then falls by the sweep of liveness.ts.
 */
import type { Logger } from 'pino';
import { hostProtocol, type ProtocolRange } from '../../contract/host/index.ts';
import type { HostId, ImageId, ServerId } from '../../contract/ids.ts';
import type { Sealer } from '../identity/index.ts';
import { Batch } from '../kit/batch.ts';
import type { Change, ChangeFeed } from '../kit/change-log/changes.ts';
import type { Presence } from '../kit/control-process/index.ts';
import type { Database } from '../kit/database/database.ts';
import { Gate } from '../kit/gate.ts';
import type { ResourceDescriptor } from '../kit/resource.ts';
import { Accounts, type HostConnection } from './connection.ts';
import { Endings } from './endings.ts';
import { DatabaseHistory } from './history.ts';
import type { HostedLayers, HostedMeters, HostedNetworks, HostedServers, ReportOptions } from './hosted.ts';
import { looksOf, Marks, markDirty, onlyOf } from './interest.ts';
import { endOldestSilent, Liveness } from './liveness.ts';
import { closeCodes } from './messages.ts';
import { Missed } from './missed.ts';
import { giveBackMarks, isDirty, readNews, takeMarks, updateFor } from './news.ts';
import type { Forgettable, Reported } from './pending.ts';
import { recordQuarantine } from './quarantine.ts';
import { Resync } from './resync.ts';
import { type HostHello, HostSession, type HostSnapshot, type SessionOwner } from './session.ts';
import { readWhereOpen, type SnapshotSources } from './snapshot.ts';
import {
  confirmAbsences,
  connectHost,
  disconnectHosts,
  findHost,
  placesOf,
  recordBandwidths,
  requireCurrent,
} from './store.ts';
import { Told } from './told.ts';
import { recordTunnels } from './tunnels.ts';

export interface HostStreamsOptions {
  database: Database;
  feed: ChangeFeed;
  servers: HostedServers;
  layers: HostedLayers;
  networks: HostedNetworks;
  meters: HostedMeters;
  /** By which the cloud knows again what it has told hosts. */
  sealer: Pick<Sealer, 'mark' | 'isMarked'>;
  log: Logger;
  cloudId: string;
  /** All of the cloud: each says which changes of it hosts must hear of. */
  resources: readonly ResourceDescriptor[];
  /** Where hosts find control processes, this one first; absent: they are told nothing of it. */
  controls?: Pick<Presence, 'addresses' | 'onAddresses'>;
  /** For tests: how often streams are pinged, after which silence they end, how often all is looked at again. */
  timing?: Partial<Timing>;
  /** For tests of peers of other versions. */
  protocol?: ProtocolRange;
}

interface Timing {
  pingMs: number;
  silentMs: number;
  resyncMs: number;
  /** For how long hosts are lent what is theirs, from when they asked. */
  leaseMs: number;
}

const defaults: Timing = { pingMs: 3000, silentMs: 15_000, resyncMs: 60_000, leaseMs: 15_000 };
const retryMs = 100;
/** Streams that are opened, or whose whole word is recorded, at a time: a thousand that come back at once leave the database to the API. */
const opening = 2;
/** Streams whose snapshots are read together, where that many wait. */
const openedTogether = 10;
/** What is read, compared and sent at a time; then whoever else wants something comes. */
const oneRound = { documents: 200, hosts: 20 };

export class HostStreams {
  readonly #database: Database;
  readonly #feed: ChangeFeed;
  readonly #servers: HostedServers;
  readonly #layers: HostedLayers;
  readonly #looks: ReturnType<typeof looksOf>;
  readonly #log: Logger;
  readonly #timing: Timing;
  readonly #history: DatabaseHistory;
  readonly #sources: SnapshotSources;
  readonly #endings: Endings;
  readonly #owner: SessionOwner;
  /** Every stream, greeted or not. */
  readonly #all = new Set<HostSession>();
  /** Streams that speak for their host. */
  readonly #byHost = new Map<string, HostSession>();
  /** The newest of each host's that are not open yet. */
  readonly #beginning = new Map<string, HostSession>();
  readonly #told = new Told<HostSession>();
  readonly #gate = new Gate(opening);
  readonly #snapshots = new Batch(
    (wanted: readonly { session: HostSession; hello: HostHello }[]) => this.#gate.run(() => this.#read(wanted)),
    { most: openedTogether, atOnce: opening },
    ({ session }) => session.hostId,
  );
  readonly #missed = new Missed<HostSession>();
  readonly #resync: Resync;
  readonly #liveness: Liveness;
  #unsubscribe: (() => void) | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #flushing = false;
  #wanted = false;
  /** Images whose places may have changed. */
  #changedImages = new Set<ImageId>();

  constructor(options: HostStreamsOptions) {
    this.#database = options.database;
    this.#feed = options.feed;
    this.#servers = options.servers;
    this.#layers = options.layers;
    this.#looks = looksOf(options.resources);
    this.#log = options.log;
    this.#timing = { ...defaults, ...options.timing };
    this.#history = new DatabaseHistory(options);
    this.#sources = { ...options, history: this.#history };
    this.#endings = new Endings(options);
    this.#owner = {
      cloudId: options.cloudId,
      leaseMs: this.#timing.leaseMs,
      protocol: options.protocol ?? hostProtocol,
      log: options.log,
      told: this.#told,
      connect: (session, hello) => {
        this.#begins(session);
        return this.#gate.run(async () => !session.closed && this.#connect(session, hello));
      },
      readSnapshot: (session, hello) => this.#snapshots.ask({ session, hello }),
      record: (session, reported) =>
        reported.complete ? this.#gate.run(() => this.#record(session, reported)) : this.#record(session, reported),
      quarantined: async ({ hostId, connectionId }, message) => {
        await requireCurrent(this.#database.query, hostId, connectionId);
        await recordQuarantine(this.#database, hostId, message);
      },
      metered: (hostId, { readings }) => options.meters.recordReadings(hostId, readings),
      handOutKeys: (hostId, ids) => this.#layers.handOutKeys(hostId, ids),
      controls: () => options.controls?.addresses ?? [],
      accounts: new Accounts(),
      opened: (session) => this.#opened(session),
      ended: (session) => this.#ended(session),
    };
    options.controls?.onAddresses(() => {
      for (const session of this.#all) session.tellControls();
    });
    this.#liveness = new Liveness({
      ...{ database: options.database, log: options.log, timing: this.#timing, greeted: this.#byHost },
      ...{ leaseMs: this.#timing.leaseMs, sessions: () => this.#all },
    });
    this.#resync = new Resync({
      ...{ database: options.database, servers: options.servers, layers: options.layers, log: options.log },
      everyMs: this.#timing.resyncMs,
      sessions: () => this.#byHost.values(),
      marked: (images) => {
        for (const id of images) this.#changedImages.add(id);
        this.#flushSoon();
      },
    });
  }

  start(): void {
    const subscribed = [this.#feed.subscribe((changes) => this.#look(changes)), this.#feed.onTurn(() => this.#turn())];
    this.#unsubscribe = () => {
      for (const end of subscribed) end();
    };
    this.#liveness.start();
    this.#resync.start();
  }

  /** Ends every stream; hosts will look for another control process. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#liveness.stop();
    this.#resync.stop();
    clearTimeout(this.#retryTimer);
    for (const session of [...this.#all]) session.end(closeCodes.goingAway, 'control is stopping');
    await this.#endings.stop();
  }

  /** Hosts may have acted on what the database has never made: each is told all that it has, and says what it has beyond that. */
  #turn(): void {
    this.#history.turn();
    for (const session of [...this.#all]) session.end(closeCodes.tryAgainLater, 'the database has another history');
  }

  /** Takes a connection whose peer has proven to be this host. */
  open(hostId: HostId, connection: HostConnection): HostSession {
    endOldestSilent(this.#all, hostId);
    const session = new HostSession(hostId, connection, this.#owner);
    this.#all.add(session);
    return session;
  }

  /** Hosts whose streams this process holds. */
  get connectedHosts(): HostId[] {
    return [...this.#byHost.values()].filter((session) => session.open).map((session) => session.hostId);
  }

  /** The clocks of those hosts beside this machine's. */
  get clocks(): { hostName: string; offsetMs: number }[] {
    const open = [...this.#byHost.values()].filter((session) => session.open);
    return open.flatMap(({ hostName, clockOffsetMs: offsetMs }) =>
      offsetMs === undefined ? [] : { hostName, offsetMs },
    );
  }

  /** All hosts that come wait in one queue, and each has one place in it: one that dials again and again waits behind itself alone. */
  #begins(session: HostSession): void {
    const before = this.#beginning.get(session.hostId);
    this.#beginning.set(session.hostId, session);
    before?.end(closeCodes.replaced, 'a newer connection of this host took over');
  }

  async #connect(session: HostSession, { facts, remembers }: HostHello): Promise<boolean> {
    await this.#history.check(session.hostId, remembers);
    const known = await connectHost(
      this.#database.query,
      session.hostId,
      session.connectionId,
      facts,
      session.asksForLeases ? this.#timing.leaseMs : null,
    );
    if (!known) return false;
    await recordBandwidths(this.#database.query, session.hostId, facts.bandwidths ?? []);
    await this.#layers.recordPools(this.#database.query, session.hostId, facts.pools ?? []);
    if (session.closed) {
      await disconnectHosts(this.#database.query, [session]);
      return true;
    }
    const before = this.#byHost.get(session.hostId);
    this.#byHost.set(session.hostId, session);
    before?.end(closeCodes.replaced, 'a newer connection of this host took over');
    this.#log.info({ hostId: session.hostId, connectionId: session.connectionId }, 'host stream: host connected');
    return true;
  }

  async #record(
    { hostId, connectionId }: HostSession,
    { servers, layers, pools, tunnels, complete }: Reported,
  ): Promise<Forgettable> {
    const options = { complete, connectionId };
    if (pools.length > 0 || tunnels) await requireCurrent(this.#database.query, hostId, connectionId);
    const [forgotten, forgottenLayers] = await Promise.all([
      this.#recordServers(hostId, servers, options),
      layers.length > 0 ? this.#layers.recordReports(hostId, layers, options) : [],
      pools.length > 0 ? this.#layers.recordLevels(this.#database.query, hostId, pools) : undefined,
      tunnels && recordTunnels(this.#database.query, hostId, tunnels),
    ]);
    return { servers: forgotten, layers: forgottenLayers };
  }

  async #recordServers(hostId: HostId, observed: Reported['servers'], options: ReportOptions): Promise<ServerId[]> {
    if (observed.length === 0 && !options.complete) return [];
    const recorded = await this.#servers.recordReports(hostId, observed, options);
    const absent = observed.filter(({ state }) => state === 'absent');
    if (absent.length === 0) return recorded;
    // Gone from the database, or someone else's by now: the host's word ends what it had to hear of them.
    const confirmed = await confirmAbsences(this.#database.query, hostId, absent);
    return [...new Set([...recorded, ...confirmed])];
  }

  /** What was committed before this moment the snapshots show; of what comes until they are out nobody knows. */
  #read(wanted: readonly { session: HostSession; hello: HostHello }[]): Promise<HostSnapshot[]> {
    for (const { session } of wanted) if (!session.closed) this.#missed.begin(session);
    return readWhereOpen(this.#sources, wanted);
  }

  #opened(session: HostSession): void {
    if (this.#beginning.get(session.hostId) === session) this.#beginning.delete(session.hostId);
    const changes = this.#missed.end(session);
    if (changes === 'many') void this.#resync.one(session);
    else markDirty(this.#looks, new Marks(onlyOf(session, this.#told), this.#changedImages), changes);
    this.#flushSoon();
  }

  #ended(session: HostSession): void {
    this.#all.delete(session);
    if (this.#beginning.get(session.hostId) === session) this.#beginning.delete(session.hostId);
    this.#missed.end(session);
    if (this.#byHost.get(session.hostId) !== session) return;
    this.#byHost.delete(session.hostId);
    this.#log.info({ hostId: session.hostId, connectionId: session.connectionId }, 'host stream: host disconnected');
    this.#endings.add({ connectionId: session.connectionId, left: session.left });
  }

  #look(changes: readonly Change[]): void {
    this.#history.saw(changes);
    for (const change of changes) {
      if (change.resource_type !== 'host') continue;
      // Another control process has the host now.
      const session = this.#byHost.get(change.resource_id);
      const { connection_id: connectionId } = change.body;
      if (change.action === 'deleted') session?.end(closeCodes.unknownHost, 'the host was removed from the cloud');
      else if (session && connectionId !== session.connectionId) void this.#checkStillCurrent(session);
    }
    this.#missed.saw(changes.filter(({ resource_type: type }) => this.#looks.has(type)));
    const marks = new Marks({ byHost: this.#byHost, told: this.#told }, this.#changedImages);
    if (markDirty(this.#looks, marks, changes) || this.#changedImages.size > 0) this.#flushSoon();
  }

  /** The change may be an old one, from before this session: the row decides. */
  async #checkStillCurrent(session: HostSession): Promise<void> {
    const host = await findHost(this.#database.query, session.hostId).catch(() => undefined);
    if (host?.connection_id && host.connection_id !== session.connectionId)
      session.end(closeCodes.replaced, 'a newer connection of this host took over');
  }

  #flushSoon(): void {
    this.#wanted = true;
    if (!this.#flushing) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    try {
      await this.#flushAll();
    } catch (error) {
      // A defect: what it left undone waits for the next change or the timer, and those must not find the way barred.
      this.#log.error({ err: error }, 'host stream: telling hosts what changed failed');
    } finally {
      this.#flushing = false;
    }
  }

  async #flushAll(): Promise<void> {
    while (this.#wanted) {
      this.#wanted = false;
      if (this.#changedImages.size > 0) await this.#lookAtImages();
      const ready = [...this.#byHost.values()].filter((session) => session.open && isDirty(session));
      const work = ready.filter((session) => !session.congested);
      if (work.length < ready.length) this.#retrySoon();
      if (work.length > oneRound.hosts) this.#wanted = true;
      if (work.length > 0) await this.#deliver(work.slice(0, oneRound.hosts));
    }
  }

  async #lookAtImages(): Promise<void> {
    const ids = [...this.#changedImages];
    this.#changedImages.clear();
    try {
      const places = await placesOf(this.#database.query, ids);
      for (const session of this.#byHost.values()) {
        if (!session.open) continue;
        for (const id of ids) {
          if (session.view.tellImage(id, places.has(`${id} ${session.hostId}`))) session.dirtyImages = true;
        }
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'host stream: reading the places of images failed, will try again');
      for (const id of ids) this.#changedImages.add(id);
      this.#retrySoon();
    }
  }

  async #deliver(sessions: HostSession[]): Promise<void> {
    for (const session of sessions) {
      // Whom nothing was said to for longest comes first: the order of the map is the order of the rounds.
      this.#byHost.delete(session.hostId);
      this.#byHost.set(session.hostId, session);
    }
    const taken = takeMarks(sessions, oneRound.documents);
    try {
      const newsOf = await this.#database.together((db) => readNews(this.#sources, db, taken));
      for (const work of taken) {
        const { session } = work;
        if (session.closed) continue;
        const { dirtyImages: images } = session;
        session.dirtyImages = false;
        const news = newsOf(work);
        if (news.pools && session.view.tellPools(news.pools)) session.send({ type: 'pools', pools: [...news.pools] });
        const update = updateFor(session.view, news, { images });
        if (update) session.send({ ...update, ...this.#history.position });
        if (isDirty(session)) this.#wanted = true;
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'host stream: reading desired state failed, will try again');
      taken.forEach(giveBackMarks);
      this.#retrySoon();
    }
  }

  #retrySoon(): void {
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#flushSoon();
    }, retryMs).unref();
  }
}
