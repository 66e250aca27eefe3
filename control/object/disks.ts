/**
 * The disks that objects' bytes lie on: rows as hosts tell them, kept at hand, and which of them the next bytes go to. Owns a timer and what it last read.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../contract/errors.ts';
import { newId } from '../../contract/ids.ts';
import { type DiskOfHost, endpointColumns, endpointUrl, type HostClient, type HostEndpoint } from '../host/index.ts';
import type { Database } from '../kit/database/database.ts';
import { Sweep } from '../kit/queue/sweep.ts';

export interface Disk {
  id: string;
  name: string;
  state: 'in_use' | 'draining' | 'gone';
  freeBytes: number;
  totalBytes: number;
  problem: string | null;
  /** Files with bytes that are not what was written, as its host says now. */
  faults: number;
  host: HostEndpoint;
  connected: boolean;
}

const lookMs = 5000;
/** Kept free of every disk: its file system shall not stand still at the last byte. */
const reserveBytes = 256 * 1024 * 1024;
const reserveShare = 0.02;

export const placeOf = (disk: Disk): DiskOfHost => ({ host: disk.host, disk: disk.name });

export class Disks {
  readonly #database: Database;
  readonly #client: Pick<HostClient, 'objects'>;
  readonly #log: Logger;
  readonly #sweep: Sweep;
  #known = new Map<string, Disk>();
  readonly #faults = new Map<string, number>();
  #reading: Promise<void> | undefined;

  constructor(options: { database: Database; client: Pick<HostClient, 'objects'>; log: Logger; lookMs?: number }) {
    this.#database = options.database;
    this.#client = options.client;
    this.#log = options.log;
    this.#sweep = new Sweep(() => this.look(), {
      ...{ everyMs: options.lookMs ?? lookMs, log: options.log, what: 'object disks: the look at them' },
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** As last known; reads anew where it is not. */
  async get(id: string): Promise<Disk | undefined> {
    if (!this.#known.has(id)) await this.#read();
    return this.#known.get(id);
  }

  async all(): Promise<Disk[]> {
    if (this.#known.size === 0) await this.look();
    return [...this.#known.values()];
  }

  /**
   * Where so many bytes go next: so many disks, on different hosts as far as there are, the emptier the likelier.
   * @param without that have just refused
   * @param apart hosts that are taken last
   * @throws CloudError `unavailable` where there are too few, `no_capacity` where they are full
   */
  async choose(
    copies: number,
    bytes: number,
    without: ReadonlySet<string> = new Set(),
    apart: Iterable<string> = [],
  ): Promise<Disk[]> {
    const all = (await this.all()).filter((disk) => disk.state === 'in_use' && !without.has(disk.id));
    const well = all.filter((disk) => disk.connected && disk.problem === null);
    const roomy = well.filter((disk) => roomOf(disk) >= bytes);
    const chosen: Disk[] = [];
    const hosts = new Set<string>(apart);
    const drawn = roomy
      .map((disk) => ({ disk, draw: Math.random() ** (1 / Math.max(1, roomOf(disk) - bytes)) }))
      .sort((a, b) => b.draw - a.draw)
      .map(({ disk }) => disk);
    for (const fresh of [true, false]) {
      for (const disk of drawn) {
        if (chosen.length === copies) break;
        if (chosen.includes(disk) || (fresh && hosts.has(disk.host.id))) continue;
        chosen.push(disk);
        hosts.add(disk.host.id);
      }
    }
    if (chosen.length === copies) return chosen;
    if (well.length >= copies) throw new CloudError('no_capacity', 'object_disks_full', {});
    throw new CloudError('unavailable', 'object_disks_too_few', { wanted: copies, found: well.length });
  }

  /** Asks the hosts that are here, and keeps what they say. */
  async look(): Promise<void> {
    this.#reading ??= this.#look().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #look(): Promise<void> {
    const { rows } = await sql<HostEndpoint>`select ${endpointColumns} from host
      where connected and coalesce(jsonb_array_length(facts -> 'objectDisks'), 0) > 0`.execute(this.#database.query);
    await Promise.all(rows.map((host) => this.#ask(host)));
    await this.#read();
  }

  async #ask(host: HostEndpoint): Promise<void> {
    try {
      const disks = await this.#client.objects.disks(host);
      for (const { name, faults = 0 } of disks) this.#faults.set(`${host.id}/${name}`, faults);
      const rows = disks.map((disk) => ({ id: newId(), ...disk }));
      await sql`insert into object_disk as d (id, host_id, name, path, total_bytes, free_bytes, problem)
        select id, ${host.id}::uuid, name, path, "totalBytes", "freeBytes", problem from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
          as r(id uuid, name text, path text, "totalBytes" bigint, "freeBytes" bigint, problem text)
        -- What is known is not even locked: an idle cloud shall not write.
        where not exists (select from object_disk k where k.host_id = ${host.id}::uuid and k.name = r.name
          and (k.path, k.total_bytes, k.free_bytes / 1048576, k.problem) is not distinct from (r.path, r."totalBytes", r."freeBytes" / 1048576, r.problem))
        on conflict (host_id, name) do update set path = excluded.path, total_bytes = excluded.total_bytes,
          free_bytes = excluded.free_bytes, problem = excluded.problem, seen_at = now()
        where (d.path, d.total_bytes, d.free_bytes / 1048576, d.problem) is distinct from
          (excluded.path, excluded.total_bytes, excluded.free_bytes / 1048576, excluded.problem)`.execute(
        this.#database.query,
      );
    } catch (error) {
      this.#log.warn({ err: error, hostId: host.id }, 'object disks: a host did not say how its disks are');
    }
  }

  async #read(): Promise<void> {
    const { rows } = await sql<
      Omit<Disk, 'host' | 'faults'> & { host_id: HostEndpoint['id']; url: string }
    >`select d.id, d.name, d.state, d.free_bytes as "freeBytes", d.total_bytes as "totalBytes", d.problem, host.connected,
        ${endpointUrl('host')} as url, host.id as host_id
      from object_disk d join host on host.id = d.host_id`.execute(this.#database.query);
    this.#known = new Map(
      rows.map(({ host_id, url, ...disk }) => [
        disk.id,
        { ...disk, host: { id: host_id, url }, faults: this.#faults.get(`${host_id}/${disk.name}`) ?? 0 },
      ]),
    );
  }
}

const roomOf = ({ freeBytes, totalBytes }: Disk): number =>
  freeBytes - Math.min(reserveBytes, totalBytes * reserveShare);
