/**
 * Brings an image to rest: takes back uploads that nobody carries on, removes bytes that shall not be, then the row.
 * Level-driven: reads the whole state of one image and takes the steps that are possible now. A host that is away
 * delays only the last trace of an image that no one can see.
 */
import type { Logger } from 'pino';
import type { HostId, ImageId } from '../../contract/ids.ts';
import type { HostClient } from '../host/index.ts';
import type { ChangeFeed } from '../kit/change-log/changes.ts';
import { cloudActor, type Database } from '../kit/database/database.ts';
import { endOperations, passOperation } from '../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../kit/queue/queue.ts';
import {
  forgetLocation,
  imagesToClean,
  type Location,
  locationsOf,
  type UploadState,
  undoSaving,
  uploadState,
} from './store.ts';

/** A host's return wakes us; this is the timer behind that signal. */
const lookAgainMs = 60_000;
const deleteMs = 5000;

export interface ImageTaskOptions {
  database: Database;
  feed: ChangeFeed;
  client: Pick<HostClient, 'deleteImage'>;
  log: Logger;
}

export class ImageController {
  readonly #options: ImageTaskOptions;
  #unsubscribe: (() => void) | undefined;

  constructor(options: ImageTaskOptions) {
    this.#options = options;
  }

  /** For the WorkQueue. */
  get tasks(): { image: Reconcile } {
    return { image: (id) => this.#reconcile(id) };
  }

  /** Looks at what waits for a host when that host is back. */
  start(): void {
    this.#unsubscribe = this.#options.feed.subscribe((changes) => {
      const back = changes.filter(({ resource_type, body }) => resource_type === 'host' && body.connected === true);
      for (const hostId of new Set(back.map((change) => change.resource_id))) void this.#hostIsBack(hostId);
    });
  }

  stop(): void {
    this.#unsubscribe?.();
  }

  async #hostIsBack(hostId: string): Promise<void> {
    const { database, log } = this.#options;
    try {
      for (const id of await imagesToClean(database.query, hostId)) await enqueue(database.query, 'image', id);
    } catch (error) {
      log.warn({ err: error, hostId }, 'image: could not look at what waits for a host; the timer will');
    }
  }

  async #reconcile(id: string): Promise<void> {
    const { database } = this.#options;
    const state = await uploadState(database.query, id);
    if (!state) return;
    if (state.status === 'saving' && !state.expired) {
      // Its process carries on, or the lease runs out.
      await enqueue(database.query, 'image', id, { at: new Date(state.deadline!.getTime() + 1000) });
    } else if (state.desired_presence === 'absent') await this.#remove(state);
    else if (state.status === 'saving') await this.#takeBack(state);
    else if (state.status === 'queued') await this.#clean(state);
  }

  async #remove(state: UploadState): Promise<void> {
    const { database, log } = this.#options;
    const left: Location[] = [];
    for (const location of await locationsOf(database.query, state.id)) {
      if (await this.#deleteBytes(state.id, location)) await forgetLocation(database.query, state.id, location.id);
      else left.push(location);
    }
    if (left.length > 0) {
      const waitingFor = `host ${left.map((location) => location.id).join(', ')} to remove the bytes`;
      await passOperation(database.query, state.id, { owner: 'control', waitingFor });
      await enqueue(database.query, 'image', state.id, { at: new Date(Date.now() + lookAgainMs) });
      return;
    }
    await database.transaction(cloudActor, async (tx) => {
      await tx.deleteFrom('image').where('id', '=', state.id).where('desired_presence', '=', 'absent').execute();
      await endOperations(tx, state.id, state.generation, { state: 'succeeded' });
    });
    log.info({ imageId: state.id }, 'image: deleted');
  }

  /** The process that relayed the upload is gone. Under the row's lock, so that no next upload starts meanwhile. */
  async #takeBack(seen: UploadState): Promise<void> {
    const { database, log } = this.#options;
    await database.transaction(cloudActor, async (tx) => {
      const state = await uploadState(tx, seen.id, { lock: true });
      if (state?.status !== 'saving' || !state.expired || state.upload_id !== seen.upload_id) return;
      const clean: HostId[] = [];
      for (const location of await locationsOf(tx, state.id)) {
        if (await this.#deleteBytes(state.id, location)) clean.push(location.id);
      }
      await undoSaving(tx, state.id, state.upload_id!, clean);
      await endOperations(tx, state.id, state.generation, {
        state: 'failed',
        code: 'unavailable',
        message: 'the upload was cut off: the control process that relayed it ended',
      });
      await enqueue(tx, 'image', state.id);
    });
    log.info({ imageId: seen.id }, 'image: an abandoned upload was taken back');
  }

  /** Bytes that an earlier upload left on a host that was away then. */
  async #clean(seen: UploadState): Promise<void> {
    const { database } = this.#options;
    if ((await locationsOf(database.query, seen.id)).length === 0) return;
    await database.transaction(cloudActor, async (tx) => {
      const state = await uploadState(tx, seen.id, { lock: true });
      if (state?.status !== 'queued' || state.desired_presence !== 'present') return;
      let left = false;
      for (const location of await locationsOf(tx, state.id)) {
        if (await this.#deleteBytes(state.id, location)) await forgetLocation(tx, state.id, location.id);
        else left = true;
      }
      if (left) await enqueue(tx, 'image', state.id, { at: new Date(Date.now() + lookAgainMs) });
    });
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
