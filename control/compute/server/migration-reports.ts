/**
 * What a host's report says of migrations between it and another host, recorded in the transaction of the report. From the host that is not the
 * owner nothing else of the report counts; what the owner says of it is taken after the rest of its report, which it may overrule.
 */
import type { Logger } from 'pino';
import type { ObservedServer } from '../../../contract/host/index.ts';
import type { HostId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import {
  type Heard,
  hearOther,
  hearOwner,
  type Migration,
  migrationsOf,
  recordDowntime,
  recordHeard,
  waitingForOf,
} from '../server-migration/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { calledOff, comeToNothing, goBack, takeOver } from './migrating.ts';
import { callOff } from './migration-end.ts';
import { proveAgain } from './proof.ts';
import type { ServerMove } from './states.ts';

export interface MigrationReportsDependencies {
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  log: Logger;
}

interface Owned {
  host_id: string | null;
  epoch: number;
  generation: number;
  desired_move: ServerMove | null;
}

/** Of servers whose rows the transaction holds. */
export class MigrationReports {
  readonly #deps: MigrationReportsDependencies;
  readonly #hostId: HostId;
  #migrations = new Map<string, Migration>();
  /** Servers of which this host is not the owner, but takes part in their migration. */
  readonly aside = new Set<string>();

  constructor(deps: MigrationReportsDependencies, hostId: HostId) {
    this.#deps = deps;
    this.#hostId = hostId;
  }

  /** There are migrations of these servers. */
  get any(): boolean {
    return this.#migrations.size > 0;
  }

  /** Of the host beside the owner. @returns the servers whose owner it has become by it */
  async ofOther(
    tx: Tx,
    reports: ReadonlyMap<string, ObservedServer>,
    known: ReadonlyMap<string, Owned>,
  ): Promise<string[]> {
    await this.#ofEnded(tx, reports, known);
    const moving = [...known].flatMap(([id, row]) => (row.desired_move ? id : []));
    this.#migrations = await migrationsOf(tx, moving);
    const switched: string[] = [];
    const heard: [Migration, Heard][] = [];
    for (const [id, migration] of this.#migrations) {
      const report = reports.get(id);
      if (report?.epoch !== migration.other_epoch || migration.other_host_id !== this.#hostId) continue;
      this.aside.add(id);
      heard.push([migration, hearOther(migration, report)]);
    }
    await this.#record(tx, heard);
    await this.#proveAgain(tx, heard);
    for (const [migration, { patch, then }] of heard) {
      if (then === 'came to nothing') await this.#end(tx, { ...migration, ...patch });
      if (then !== 'taken over') continue;
      // What it was promised is no more: somebody was given the server since.
      if (known.get(migration.server_id)!.epoch >= migration.other_epoch) {
        await this.#end(tx, { ...migration, ...patch, error: { code: 'unavailable', message: 'It came too late.' } });
        continue;
      }
      await takeOver(tx, this.#deps.ports, { ...migration, ...patch });
      this.#deps.log.info({ ...about(migration), hostId: this.#hostId }, 'server has changed hosts');
      this.aside.delete(migration.server_id);
      switched.push(migration.server_id);
    }
    return switched;
  }

  /** Of the owner, once the rest of its report is written. */
  async ofOwner(
    tx: Tx,
    reports: ReadonlyMap<string, ObservedServer>,
    known: ReadonlyMap<string, Owned>,
  ): Promise<void> {
    const heard: [Migration, Heard][] = [];
    for (const [id, migration] of this.#migrations) {
      const [report, row] = [reports.get(id), known.get(id)];
      if (!report || row?.host_id !== this.#hostId || row.epoch !== report.epoch) continue;
      if (migration.phase === 'reverting') {
        const off = report.state === 'stopped' || report.state === 'absent';
        if (off && report.generation === row.generation) {
          await goBack(tx, this.#deps.ports, migration);
          await enqueue(tx, 'server', id);
          this.#deps.log.info({ ...about(migration), hostId: migration.host_id }, 'server has gone back');
        }
      } else heard.push([migration, hearOwner(migration, report)]);
    }
    await this.#record(tx, heard);
    await this.#proveAgain(tx, heard);
    for (const [migration, { patch, then }] of heard) {
      if (then === 'came to nothing') await this.#end(tx, { ...migration, ...patch });
    }
  }

  /** Until the source lets go control can still call it off: then what was proven when it began must hold still. */
  async #proveAgain(tx: Tx, heard: readonly [Migration, Heard][]): Promise<void> {
    for (const [migration, { patch, then }] of heard) {
      if (then !== undefined || (patch.phase !== 'preparing' && patch.phase !== 'copying')) continue;
      const broken = await proveAgain(tx, migration);
      if (!broken) continue;
      const message = `What was proven of the other host holds no more: ${broken.why}.`;
      await callOff(tx, migration.server_id, message);
      const { check, cure } = broken;
      this.#deps.log.warn({ ...about(migration), check, cure }, 'server migration called off: its proof is broken');
    }
  }

  async #record(tx: Tx, heard: readonly [Migration, Heard][]): Promise<void> {
    const news = heard.filter(([{ server_id: _, ...migration }, { patch }]) =>
      Object.entries(patch).some(([key, value]) => JSON.stringify(migration[key as never]) !== JSON.stringify(value)),
    );
    await recordHeard(
      tx,
      news.map(([, { patch }]) => ({ ...patch, waiting_for: waitingForOf(patch) })),
    );
  }

  async #end(tx: Tx, migration: Migration): Promise<void> {
    const error = migration.error ?? { code: 'unavailable', message: 'The migration came to nothing.' };
    const ended = error.code === calledOff ? 'cancelled' : 'failed';
    await comeToNothing(tx, migration, { ended, error });
    await enqueue(tx, 'server', migration.server_id);
    this.#deps.log.warn({ ...about(migration), error }, 'server migration came to nothing');
  }

  /** The source says last how long the guest stood still; then it is nobody's business any more. */
  async #ofEnded(tx: Tx, reports: ReadonlyMap<string, ObservedServer>, known: ReadonlyMap<string, Owned>) {
    for (const [id, { outgoing }] of reports) {
      if (outgoing?.downtimeMs === undefined || known.get(id)?.host_id === this.#hostId) continue;
      await recordDowntime(tx, this.#hostId, outgoing.id, outgoing.downtimeMs);
    }
  }
}

const about = ({ id, server_id: serverId, kind }: Migration) => ({ serverId, migrationId: id, kind });
