/**
 * The second copies of volumes to which guests of other hosts write: a storage daemon for each, at a port of its own. Owns the daemons, their users, run directories and records, and
 * one connection to each. Layer tasks say what shall be (../steps/receiving.ts), and ask what is.
 *
 * A daemon outlives this process; the next one finds it by its record (`adopt`). One that has ended is begun anew at a port by chance: at another one, by which control sees that what comes there is not
 * what came before; or at the same one, where its mirror finds it again and sends anew what was not answered. Nothing is lacking then: what was answered is on the disk.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DesiredLayer, ObservedLayer } from '../../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../../contract/ids.ts';
import type { GuestUser, GuestUsers } from '../../guest/users.ts';
import { HostFault } from '../../host-error.ts';
import type { HostLogger } from '../../logger.ts';
import type { MigrationPlace } from '../../ports-for-hosts.ts';
import type { LayerChain } from '../chain.ts';
import type { LayerFiles } from '../layer-files.ts';
import { type ReceiverRecord, receiverRecords } from './record.ts';

/** A daemon that runs. */
export interface ReceiverProcess {
  readonly closed: Promise<void>;
  execute<T>(command: string, args?: Record<string, unknown>): Promise<T>;
  /** It goes on. */
  release(): void;
}

export interface ReceiverLaunch {
  record: ReceiverRecord;
  user: GuestUser | undefined;
  /** By the names that the user opens. */
  chain: LayerChain;
  key: string;
  place: MigrationPlace;
  /** Made anew. */
  runDirectory: string;
}

/** How daemons are begun and found; simulated hosts have another. */
export interface ReceiverEngine {
  /** @throws HostFault */
  launch(launch: ReceiverLaunch): Promise<{ process: ReceiverProcess; port: number }>;
  /** @throws where none answers */
  reach(record: ReceiverRecord, runDirectory: string): Promise<ReceiverProcess>;
  /** Nothing runs for it any more when this resolves. */
  end(record: ReceiverRecord): Promise<void>;
}

export interface ReceiversOptions {
  engine: ReceiverEngine;
  /** Undefined (tests): as this process. */
  users: GuestUsers | undefined;
  files: LayerFiles;
  place(): MigrationPlace;
  dataDirectory: string;
  runDirectory: string;
  log: HostLogger;
}

interface Running {
  record: ReceiverRecord;
  process: ReceiverProcess;
}

/** It has nothing in memory that was answered: one that stands still is ended. */
const closingMs = 5_000;

export class Receivers {
  readonly #options: ReceiversOptions;
  readonly #running = new Map<LayerId, Running>();
  #closed = false;

  constructor(options: ReceiversOptions) {
    this.#options = options;
  }

  has(layerId: LayerId): boolean {
    return this.#running.has(layerId);
  }

  /** As a report says it. */
  observed(layerId: LayerId): ObservedLayer['receiver'] {
    const record = this.#running.get(layerId)?.record;
    return record?.port ? { address: record.address, port: record.port } : undefined;
  }

  /** After a start of this process, before it is said that all is known: what runs goes on, what was begun only ends. */
  async adopt(): Promise<void> {
    const { engine, dataDirectory, log } = this.#options;
    for (const record of receiverRecords.read(dataDirectory)) {
      const reached = record.port === null ? undefined : engine.reach(record, this.#runOf(record.layerId));
      const process = await reached?.catch(() => undefined);
      if (process) this.#keep(record, process);
      else {
        log.warn({ layerId: record.layerId }, 'what took writes to a second copy does not answer, and is ended');
        await this.#sweep(record);
      }
    }
  }

  /** Takes writes from now on. The layer's lock is held, nobody else has it open. @throws HostFault */
  async start(desired: DesiredLayer, key: string, chain: LayerChain): Promise<void> {
    const { engine, users, files, dataDirectory, log } = this.#options;
    const { id: layerId, volumeId } = desired;
    const place = this.#options.place();
    const uid = users ? users.claim(layerId as unknown as ServerId, null) : null;
    const record: ReceiverRecord = { layerId, volumeId, uid, address: place.address, port: null };
    await receiverRecords.write(dataDirectory, record);
    files.open.opened(this.#openLayer(record, undefined));
    try {
      const user = uid === null ? undefined : users!.user(uid);
      const prepared = await files.prepareFor(user, chain, { volumeId });
      const runDirectory = this.#runOf(layerId);
      const { process, port } = await engine.launch({ record, user, chain: prepared, key, place, runDirectory });
      await receiverRecords.write(dataDirectory, { ...record, port });
      this.#keep({ ...record, port }, process);
      log.info({ layerId, volumeId, port }, 'writes to a second copy are taken');
    } catch (error) {
      await this.#sweep(record);
      throw error;
    }
  }

  /** Nobody writes to the layer any more when this resolves. Safe to repeat. */
  async end(layerId: LayerId): Promise<void> {
    const running = this.#running.get(layerId);
    if (!running) return;
    const { record, process } = running;
    // Its end is none by itself.
    this.#running.delete(layerId);
    const quit = process.execute('quit').catch(() => {});
    await Promise.race([Promise.all([quit, process.closed]), sleep(closingMs, undefined, { ref: false })]);
    await this.#sweep(record);
    this.#options.log.info({ layerId }, 'writes to a second copy are taken no more');
  }

  /** Lets go of all; they go on. */
  close(): void {
    this.#closed = true;
    for (const { process } of this.#running.values()) process.release();
  }

  #keep(record: ReceiverRecord, process: ReceiverProcess): void {
    const { files, log } = this.#options;
    this.#running.set(record.layerId, { record, process });
    files.open.opened(this.#openLayer(record, process));
    void process.closed.then(async () => {
      if (this.#closed || this.#running.get(record.layerId)?.process !== process) return;
      log.warn({ layerId: record.layerId }, 'what took writes to a second copy has ended by itself');
      this.#running.delete(record.layerId);
      await this.#sweep(record).catch((err) => log.error({ err }, 'what is left of a second copy’s daemon stays'));
    });
  }

  /** It has the layer open as a guest would, and is told by the same orders. */
  #openLayer({ volumeId, layerId }: ReceiverRecord, process: ReceiverProcess | undefined) {
    return {
      ...{ serverId: layerId as unknown as ServerId, volumeId, layerId },
      execute<T>(command: string, args?: Record<string, unknown>): Promise<T> {
        if (!process) throw new HostFault('layer_not_ready', 'the second copy is just being opened');
        return process.execute<T>(command, args);
      },
    };
  }

  async #sweep(record: ReceiverRecord): Promise<void> {
    const { engine, users, files, dataDirectory } = this.#options;
    const { layerId, volumeId } = record;
    await engine.end(record);
    await rm(this.#runOf(layerId), { recursive: true, force: true });
    await receiverRecords.remove(dataDirectory, layerId);
    users?.release(layerId as unknown as ServerId);
    files.open.closed({ serverId: layerId as unknown as ServerId, volumeId });
  }

  #runOf(layerId: LayerId): string {
    return join(this.#options.runDirectory, 'receivers', layerId);
  }
}
