/** A host that exports volumes as it is told. Tests only. */
import { sql } from 'kysely';
import type { DesiredLayer, ObservedLayer } from '../../../contract/host/index.ts';
import type { HostId, LayerId } from '../../../contract/ids.ts';
import { testSealer } from '../../identity/testing.ts';
import type { Database } from '../../kit/database/database.ts';
import { hostedLayers } from '../layer/index.ts';
import { silentLog } from '../volume/testing.ts';

export class ExportingHost {
  readonly id: HostId;
  readonly #database: Database;
  /** Its word on them comes later. */
  readonly silentOn = new Set<LayerId>();

  constructor(database: Database, id: HostId) {
    this.id = id;
    this.#database = database;
  }

  async offers(portal: string): Promise<void> {
    await sql`update host set facts = facts || ${JSON.stringify({ iscsiPortal: portal })}::jsonb, connected = true
      where id = ${this.id}`.execute(this.#database.query);
  }

  get hosted() {
    return hostedLayers({ database: this.#database, sealer: testSealer, log: silentLog });
  }

  async documents(): Promise<DesiredLayer[]> {
    const owned = await this.hosted.desiredLayers(this.#database.query, { hostId: this.id });
    return owned.map(({ layer }) => layer);
  }

  /** Of the volume's present top. */
  async document(volumeId: string): Promise<DesiredLayer> {
    const { rows } = await sql<{ layer_id: LayerId }>`select layer_id from volume where id = ${volumeId}`.execute(
      this.#database.query,
    );
    return (await this.documents()).find(({ id }) => id === rows[0]!.layer_id)!;
  }

  /** It has done all that it is told, and says so. */
  async obey(): Promise<void> {
    const reports = (await this.documents()).filter(({ id }) => !this.silentOn.has(id)).map(reportOf);
    await this.hosted.recordReports(this.id, reports);
  }

  /** It obeys until the work, which waits for it, is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    // Somebody looks at it later.
    ended.catch(() => {});
    while (!done) {
      await this.obey();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return ended;
  }
}

/** As one says it that has served the document. */
export function reportOf({ id, epoch, generation, presence, sizeBytes, ...rest }: DesiredLayer): ObservedLayer {
  const state = presence === 'present' ? 'ready' : 'absent';
  const at = rest.export && {
    ...{ id: rest.export.id, portal: `192.0.2.1:${rest.export.port}`, lun: 1 },
    iqn: `iqn.2010-10.org.openstack:volume-${rest.volumeId}`,
  };
  return {
    ...{ id, epoch, generation, state, sizeBytes, allocatedBytes: 1, step: null, error: null },
    ...(at && { export: at }),
  };
}
