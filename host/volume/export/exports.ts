/**
 * The volumes of this host that machines outside have: one of them each, by iSCSI. Owns the jails (jail.ts), their users, ports, run
 * directories and records, and one connection to each jail's storage daemon. Layer tasks say what shall be (../steps/exporting.ts), and ask what is.
 *
 * A jail outlives this process. The next one finds it by its record and its user (`adopt`): one that let its machine in goes on and is
 * known as open before any file is touched; anything else is ended. So whatever line this dies on, no volume is had by somebody of whom nobody knows.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  DesiredExport,
  DesiredLayer,
  HostFacts,
  IscsiPortal,
  ObservedExport,
} from '../../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../../contract/ids.ts';
import type { Secret } from '../../../contract/secret.ts';
import { QmpClient } from '../../../protocols/qmp/index.ts';
import type { GuestUsers } from '../../guest/users.ts';
import { HostFault } from '../../host-error.ts';
import type { HostLogger } from '../../logger.ts';
import type { LayerChain } from '../chain.ts';
import type { LayerFiles } from '../layer-files.ts';
import { endProcesses } from './processes.ts';
import { type ExportRecord, exportRecords, iqnOf, qmpName } from './record.ts';
import { exportThrottle } from './throttle.ts';

export interface ExportsOptions {
  /** Undefined: nobody outside gets a volume of this host. */
  portal: IscsiPortal | undefined;
  /** Undefined (tests without root): as without a portal. */
  users: GuestUsers | undefined;
  files: LayerFiles;
  dataDirectory: string;
  runDirectory: string;
  log: HostLogger;
}

interface Running {
  record: ExportRecord;
  client: QmpClient;
}

const answersMs = 10_000;
/** How long it may take to write what it has in memory. */
const closingMs = 60_000;
const lun = 1;

export class Exports {
  readonly #options: ExportsOptions;
  readonly #running = new Map<LayerId, Running>();
  #closed = false;

  constructor(options: ExportsOptions) {
    this.#options = options;
  }

  get portal(): IscsiPortal | undefined {
    return this.#options.users && this.#options.portal;
  }

  /** What this host says of itself. */
  get facts(): Pick<HostFacts, 'iscsiPortal'> {
    const portal = this.portal;
    if (!portal) return {};
    const { address, first, last } = portal;
    return { iscsiPortal: portalText(address, first) + (last > first ? `-${last}` : '') };
  }

  /** What of the layer is open to a machine outside; undefined: nothing. */
  of(layerId: LayerId): ExportRecord | undefined {
    return this.#running.get(layerId)?.record;
  }

  /** As a report says it. */
  observed(layerId: LayerId): ObservedExport | undefined {
    const record = this.of(layerId);
    const address = this.#options.portal?.address ?? '';
    return record && { id: record.id, portal: portalText(address, record.port), iqn: iqnOf(record.volumeId), lun };
  }

  /** After a start of this process, before it is said that all is known: what runs goes on, what was begun only ends. */
  async adopt(): Promise<void> {
    for (const record of exportRecords.read(this.#options.dataDirectory)) {
      const client = record.ready ? await this.#reach(record).catch(() => undefined) : undefined;
      if (client) {
        this.#keep(record, client);
        continue;
      }
      this.#options.log.warn({ layerId: record.layerId }, 'an export that was not whole is ended');
      await this.#sweep(record);
    }
  }

  /**
   * Lets the machine in. The layer's lock is held, nobody else has it open.
   * @throws HostFault
   */
  async start(desired: DesiredLayer & { export: DesiredExport }, chain: LayerChain, secret: Secret): Promise<void> {
    const { users, files, dataDirectory, log } = this.#options;
    const portal = this.portal;
    if (!users || !portal) throw noPortal();
    const { secretId: _, ...wanted } = desired.export;
    const { port } = wanted;
    this.#requirePort(portal, port);
    const uid = users.claim(wanted.id as unknown as ServerId, null);
    const record: ExportRecord = {
      ...wanted,
      ...{ layerId: desired.id, volumeId: desired.volumeId, uid, ready: false, throttled: true },
    };
    await exportRecords.write(dataDirectory, record);
    files.open.opened(this.#openLayer(record, undefined));
    try {
      const { launchExport } = await import('./launch.ts');
      const client = await launchExport({
        ...{ record, chain, secret, user: users.user(uid), runDirectory: this.#runOf(desired.id) },
        ...{
          portal: portalText(portal.address, port),
          logFile: this.#logOf(desired.id),
          prepare: files.giveTo.bind(files),
        },
      });
      await exportRecords.write(dataDirectory, { ...record, ready: true });
      this.#keep({ ...record, ready: true }, client);
    } catch (error) {
      await this.#sweep(record);
      throw error;
    }
    log.info({ layerId: desired.id, volumeId: desired.volumeId, exportId: wanted.id, port }, 'volume exported');
  }

  /** While its machine goes on. */
  async limit(layerId: LayerId, limits: DesiredExport['limits']): Promise<void> {
    const running = this.#running.get(layerId);
    if (!running) return;
    const value = exportThrottle.of({ limits });
    await running.client.execute('qom-set', { path: `/objects/${exportThrottle.group}`, property: 'limits', value });
    const { limits: _, ...before } = running.record;
    const record = { ...before, ...(limits && { limits }) };
    await exportRecords.write(this.#options.dataDirectory, record);
    running.record = record;
  }

  /** Nobody outside has the layer any more when this resolves. Safe to repeat. */
  async end(layerId: LayerId): Promise<void> {
    const running = this.#running.get(layerId);
    if (!running) return;
    const { record, client } = running;
    // It writes what it has in memory, and the jail ends with it.
    await client.execute('quit').catch(() => {});
    await Promise.race([client.closed, sleep(closingMs, undefined, { ref: false })]);
    this.#running.delete(layerId);
    await this.#sweep(record);
    this.#options.log.info({ layerId, exportId: record.id }, 'export of a volume ended');
  }

  /** Lets go of all; they go on. */
  close(): void {
    this.#closed = true;
    for (const { client } of this.#running.values()) client.close();
  }

  #keep(record: ExportRecord, client: QmpClient): void {
    this.#running.set(record.layerId, { record, client });
    this.#options.files.open.opened(this.#openLayer(record, client));
    void client.closed.then(async () => {
      if (this.#closed || this.#running.get(record.layerId)?.client !== client) return;
      this.#options.log.warn({ layerId: record.layerId, exportId: record.id }, 'an export has ended by itself');
      this.#running.delete(record.layerId);
      await this.#sweep(record).catch((err) => this.#options.log.error({ err }, 'what is left of an export stays'));
    });
  }

  /** It has the layer open as a guest would, and is told by the same orders. */
  #openLayer({ id, volumeId, layerId }: ExportRecord, client: QmpClient | undefined) {
    return {
      ...{ serverId: id as unknown as ServerId, volumeId, layerId },
      execute<T>(command: string, args?: Record<string, unknown>): Promise<T> {
        if (!client) throw new HostFault('layer_not_ready', 'the volume is just being exported');
        return client.execute<T>(command, args);
      },
    };
  }

  /** One that does not answer, or is not there, is ended. */
  #reach({ layerId }: ExportRecord): Promise<QmpClient> {
    return QmpClient.connect({ path: join(this.#runOf(layerId), qmpName), timeoutMs: answersMs });
  }

  /** Ends whatever runs as the export's user, and removes what it had. */
  async #sweep(record: ExportRecord): Promise<void> {
    const { users, files, dataDirectory } = this.#options;
    await endProcesses(record);
    await rm(this.#runOf(record.layerId), { recursive: true, force: true });
    await rm(this.#logOf(record.layerId), { force: true });
    await exportRecords.remove(dataDirectory, record.layerId);
    users?.release(record.id as unknown as ServerId);
    const { volumeId, id } = record;
    files.open.closed({ serverId: id as unknown as ServerId, volumeId });
  }

  /** Tried again: settings may change, and whoever has it may be about to end. */
  #requirePort({ first, last }: IscsiPortal, port: number): void {
    if (port < first || port > last) {
      const message = `port ${port}, which the volume was exported at, is not of this host's setting iscsi_portal any more`;
      throw new HostFault('no_portal', message);
    }
    const other = [...this.#running.values()].find(({ record }) => record.port === port);
    if (other) throw new HostFault('no_portal', `port ${port} still is that of volume ${other.record.volumeId}`);
  }

  #runOf(layerId: LayerId): string {
    return join(this.#options.runDirectory, 'exports', layerId);
  }

  #logOf(layerId: LayerId): string {
    return join(exportRecords.directory(this.#options.dataDirectory), `${layerId}.log`);
  }
}

export const noPortal = () =>
  new HostFault('no_portal', 'this host has no portal for machines outside: setting iscsi_portal', { permanent: true });

const portalText = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;
