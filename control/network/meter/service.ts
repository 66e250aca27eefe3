/** Meters: what hosts say of them, and what the dialects may ask. */
import type { MeterReading } from '../../../contract/host/index.ts';
import { type HostId, parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { type MeterRow, meterListing } from './meter.ts';
import { addReadings, lockHost } from './store.ts';

export class MeterService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<MeterRow[]> {
    return listRows(this.#database.query, caller, meterListing, query);
  }

  /** @param id the metered thing's. @throws CloudError `not_found`, also where nothing has passed it yet */
  async read(caller: Caller, id: string): Promise<MeterRow> {
    const parsed = parseId(id);
    if (parsed === undefined) throw notFound('meter', id);
    return readRow(this.#database.query, caller, meterListing, parsed);
  }

  /** Adds what a host has counted beyond what it said before. What was recorded already counts once. */
  recordReadings(hostId: HostId, readings: readonly MeterReading[]): Promise<void> {
    return this.#database.transaction(cloudActor, async (tx) => {
      await lockHost(tx, hostId);
      await addReadings(tx, hostId, readings);
    });
  }
}
