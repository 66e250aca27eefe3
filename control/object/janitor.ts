/**
 * What nobody waits for, again and again: intents that ran out are closed, objects expire, blobs that no object names go, what lies under closed intents is swept, disks
 * that shall be empty are emptied. Each step is safe to stop, to repeat, and to do beside another process. Owns a timer.
 */
import type { Logger } from 'pino';
import type { HostClient } from '../host/index.ts';
import type { Database } from '../kit/database/database.ts';
import { Sweep } from '../kit/queue/sweep.ts';
import type { Commits } from './commit.ts';
import type { Disk, Disks } from './disks.ts';
import { drainDisk } from './drain.ts';
import { expireObjects } from './expire.ts';
import { closeExpired, type Intents } from './intents.ts';
import { removeBlobs } from './removal.ts';
import { repairDisk } from './repair.ts';
import { sweepIntents } from './sweep.ts';

export interface JanitorOptions {
  database: Database;
  client: Pick<HostClient, 'objects'>;
  disks: Disks;
  intents: Intents;
  commits: Commits;
  log: Logger;
  everyMs?: number;
  /** How long whoever has found an object may take to begin to read it. */
  graceMs?: number;
}

const [everyMs, graceMs] = [10_000, 60_000];
/** Of one kind in a look: the other kinds have their turn. */
const rounds = 20;

export class Janitor {
  readonly #options: JanitorOptions;
  readonly #sweep: Sweep;
  /** What was told to be lost. */
  readonly #lost = new Set<string>();

  constructor(options: JanitorOptions) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.look(), {
      ...{ everyMs: options.everyMs ?? everyMs, log: options.log, what: 'objects: the janitor' },
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** All that can be done now. One kind that fails holds up no other. */
  async look(): Promise<void> {
    const { database, client, disks, log } = this.#options;
    await closeExpired(database);
    const well = new Map((await disks.all()).filter(isWell).map((disk) => [disk.id, disk]));
    const grace = this.#options.graceMs ?? graceMs;
    const kinds: Record<string, () => Promise<number>> = {
      expire: () => expireObjects(this.#options),
      remove: () => removeBlobs({ database, client, graceMs: grace }, well),
      sweep: () => sweepIntents(this.#options, well),
      drain: () => this.#drain(well),
      repair: () => this.#repair(well),
    };
    for (const [kind, work] of Object.entries(kinds)) {
      try {
        for (let round = 0; round < rounds && !this.#sweep.stopped && (await work()) > 0; round++);
      } catch (error) {
        log.warn({ err: error, kind }, 'objects: the janitor could not do a kind of work, will be tried again');
      }
    }
  }

  async #repair(well: ReadonlyMap<string, Disk>): Promise<number> {
    let repaired = 0;
    for (const disk of well.values()) {
      if (disk.faults === 0) continue;
      try {
        repaired += await repairDisk(this.#options, this.#options.disks, disk, this.#lost);
      } catch (error) {
        this.#options.log.warn(
          { err: error, diskId: disk.id },
          'objects: a disk was not repaired, will be tried again',
        );
      }
    }
    if (repaired > 0) await this.#options.disks.look();
    return 0;
  }

  async #drain(well: ReadonlyMap<string, Disk>): Promise<number> {
    const { disks } = this.#options;
    let moved = 0;
    for (const disk of well.values()) {
      if (disk.state === 'draining') moved += await drainDisk(this.#options, disks, disk);
    }
    return moved;
  }
}

const isWell = (disk: Disk): boolean => disk.connected && disk.problem === null && disk.state !== 'gone';
