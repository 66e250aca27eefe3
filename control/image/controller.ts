/**
 * Brings an image to rest: takes back uploads that nobody carries on, removes bytes that shall not be, then the row.
 * Level-driven: reads the whole state of one image and takes the steps that are possible now. A host that is away
 * delays only the last trace of an image that no one can see.
 */
import type { Logger } from 'pino';
import type { HostId, ImageId } from '../../contract/ids.ts';
import type { HostClient } from '../host/index.ts';
import type { ChangeFeed } from '../kit/change-log/changes.ts';
import { cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import { endOperations, passOperation } from '../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../kit/queue/queue.ts';
import { type ImageCopies, imagesToCopy } from './copies.ts';
import { type ImageDigests, imagesWithoutDigests } from './digests.ts';
import {
  finishCleaning,
  forgetLocation,
  freeTask,
  imagesToClean,
  type Location,
  locationsOf,
  startCleaning,
  type UploadState,
  undoSaving,
  uploadState,
} from './store.ts';
import { purposeOf } from './values.ts';

/** A host's return wakes us; this is the timer behind that signal. */
const lookAgainMs = 60_000;
const lostEveryMs = 600_000;
const deleteMs = 5000;
const cleanLeaseMs = 30_000;
/** At images with too few copies, when a host comes; the others come after these, with the next host or look. */
const maxLooks = 1000;

export interface ImageTaskOptions {
  database: Database;
  feed: ChangeFeed;
  client: Pick<HostClient, 'deleteImage'>;
  copies: ImageCopies;
  digests: Pick<ImageDigests, 'ensure'>;
  /** On how many hosts an image shall be. */
  wantedCopies: number;
  log: Logger;
}

export class ImageController {
  readonly #options: ImageTaskOptions;
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ImageTaskOptions) {
    this.#options = options;
  }

  /** For the WorkQueue. */
  get tasks(): { image: Reconcile } {
    return { image: (id) => this.#reconcile(id) };
  }

  /** Looks at what waits for a host when that host is back, and now and then for images that lost one. */
  start(): void {
    this.#timer = setInterval(() => void this.#lookForLost(), lostEveryMs).unref();
    this.#unsubscribe = this.#options.feed.subscribe((changes) => {
      const back = changes.filter(({ resource_type, body }) => resource_type === 'host' && body.connected === true);
      for (const hostId of new Set(back.map((change) => change.resource_id))) void this.#hostIsBack(hostId);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#unsubscribe?.();
  }

  async #hostIsBack(hostId: string): Promise<void> {
    const { database, log, wantedCopies } = this.#options;
    const db = database.query;
    try {
      const few = await imagesToCopy(db, hostId as HostId, wantedCopies, maxLooks);
      const bare = await imagesWithoutDigests(db, hostId as HostId, maxLooks);
      for (const id of new Set([...(await imagesToClean(db, hostId)), ...few, ...bare])) await enqueue(db, 'image', id);
    } catch (error) {
      log.warn({ err: error, hostId }, 'image: could not look at what waits for a host; the timer will');
    }
  }

  /** A host that does not come back tells nobody. */
  async #lookForLost(): Promise<void> {
    const { database, log, wantedCopies } = this.#options;
    const db = database.query;
    try {
      const few = wantedCopies < 2 ? [] : await imagesToCopy(db, undefined, wantedCopies, maxLooks);
      for (const id of new Set([...few, ...(await imagesWithoutDigests(db, undefined, maxLooks))]))
        await enqueue(db, 'image', id);
    } catch (error) {
      log.warn({ err: error }, 'image: could not look for images that lack something; the next look will');
    }
  }

  async #reconcile(id: string): Promise<void> {
    const { database } = this.#options;
    const state = await uploadState(database.query, id);
    if (!state) return;
    if (state.upload_id !== null && !state.expired) {
      // Its process carries on, or the lease runs out.
      await enqueue(database.query, 'image', id, { at: new Date(state.deadline!.getTime() + 1000) });
    } else if (state.desired_presence === 'absent') await this.#remove(state);
    // One that a host makes has no upload; its server ends it.
    else if (state.captured_from !== null) return;
    else if (state.status === 'queued' || isAbandoned(state)) await this.#clean(state);
    else {
      const looks = [await this.#options.digests.ensure(state.id), await this.#options.copies.ensure(state.id)];
      // The earliest counts.
      for (const due of looks) if (due) await enqueue(database.query, 'image', id, due);
    }
  }

  async #remove(state: UploadState): Promise<void> {
    const { database, log, copies } = this.#options;
    copies.abandon(state.id);
    const copying = await copies.clean(state.id);
    if (copying) return enqueue(database.query, 'image', state.id, copying);
    const left: Location[] = [];
    for (const location of await locationsOf(database.query, state.id)) {
      if (await this.#deleteBytes(state.id, location)) await forgetLocation(database.query, state.id, location.id);
      else left.push(location);
    }
    if (left.length > 0) {
      // Which ones, is not for the image's owner to know.
      const waitingFor = 'hosts that are away to remove the bytes';
      await passOperation(database.query, state.id, { owner: 'control', waitingFor });
      await enqueue(database.query, 'image', state.id, { afterMs: lookAgainMs });
      return;
    }
    await database.transaction(cloudActor, async (tx) => {
      await tx.deleteFrom('image').where('id', '=', state.id).where('desired_presence', '=', 'absent').execute();
      await endOperations(tx, state.id, state.generation, { state: 'succeeded' });
    });
    log.info({ imageId: state.id }, 'image: deleted');
  }

  /**
   * Takes back an upload whose process is gone, and removes bytes that an earlier one left on a host that was away. The image is ours
   * alone meanwhile; no row is locked while hosts are asked. If this process dies its lease runs out, and another look begins anew.
   */
  async #clean(seen: UploadState): Promise<void> {
    const { database, log } = this.#options;
    if (seen.status === 'queued') {
      const left = await locationsOf(database.query, seen.id);
      if (left.length === 0) return;
      if (!left.some((location) => location.connected))
        return enqueue(database.query, 'image', seen.id, { afterMs: lookAgainMs });
    }
    const until = performance.now() + cleanLeaseMs - deleteMs;
    const id = await database.transaction(cloudActor, (tx) => startCleaning(tx, seen, cleanLeaseMs));
    if (id === undefined) return;
    const locations = await locationsOf(database.query, seen.id);
    const clean: HostId[] = [];
    for (const location of locations) {
      // Past the lease the bytes may be another upload's.
      if (performance.now() < until && (await this.#deleteBytes(seen.id, location))) clean.push(location.id);
    }
    await database.transaction(cloudActor, async (tx) => {
      const purpose = purposeOf(seen.status);
      if (purpose) await takeBack(tx, seen, { imageId: seen.id, uploadId: id, purpose }, clean);
      else await finishCleaning(tx, seen.id, id, clean);
      // Also where nothing is left: a deletion that came meanwhile waits.
      await enqueue(tx, 'image', seen.id, clean.length < locations.length ? { afterMs: lookAgainMs } : {});
    });
    if (seen.status !== 'queued') log.info({ imageId: seen.id }, 'image: an abandoned upload was taken back');
  }

  async #deleteBytes(imageId: ImageId, location: Location): Promise<boolean> {
    if (!location.connected) return false;
    try {
      await this.#options.client.deleteImage(location, imageId, { timeoutMs: deleteMs });
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, imageId, hostId: location.id }, 'image: a host could not remove the bytes');
      return false;
    }
  }
}

/** Its upload is gone; what is staged, or waits for its import, has none. */
const isAbandoned = ({ status, upload_id }: UploadState): boolean =>
  status === 'saving' || (upload_id !== null && purposeOf(status) !== undefined);

async function takeBack(
  tx: Tx,
  seen: UploadState,
  upload: Parameters<typeof undoSaving>[1],
  clean: readonly HostId[],
): Promise<void> {
  await undoSaving(tx, upload, clean);
  if (upload.purpose === 'import') return freeTask(tx, seen.id);
  await endOperations(tx, seen.id, seen.generation, {
    state: 'failed',
    code: 'unavailable',
    message: 'the upload was cut off: the control process that relayed it ended',
  });
}
