/**
 * Acts like ovs-vswitchd as far as clients of its database see it: numbers ports, reports links, confirms next_cfg, and
 * complains of ports without a device.
 */
import type { FakeDatabase } from './database.ts';

export interface VswitchdOptions {
  /** Whether the kernel has a device; absent: it has every one. */
  hasDevice?: (name: string) => boolean;
}

export class FakeVswitchd {
  readonly #database: FakeDatabase;
  readonly #hasDevice: (name: string) => boolean;
  readonly #stop: () => void;
  #looking: NodeJS.Immediate | undefined;
  #nextPort = 1;
  #nextDatapath = 1;
  /** False: stopped. Changes stay unconfirmed until it is true and something changes. */
  running = true;

  constructor(database: FakeDatabase, options: VswitchdOptions = {}) {
    this.#database = database;
    this.#hasDevice = options.hasDevice ?? (() => true);
    if (database.rows('Open_vSwitch').size === 0) database.edit((tx) => tx.insert('Open_vSwitch', {}));
    database.edit((tx) => {
      tx.update('Open_vSwitch', [], {
        ovs_version: '3.1.0',
        db_version: database.schema.version,
        datapath_types: ['netdev', 'system'],
        iface_types: ['geneve', 'internal', 'patch', 'system', 'tap'],
      });
    });
    this.#stop = database.onCommit((changes) => {
      if (!changes.some(({ after }) => after)) return;
      this.look();
    });
  }

  /** Looks at the database and at the kernel's devices again. */
  look(): void {
    if (this.#looking) return;
    this.#looking = setImmediate(() => {
      this.#looking = undefined;
      if (this.running) this.#reconfigure();
    });
  }

  close(): void {
    this.#stop();
    this.running = false;
    clearImmediate(this.#looking);
  }

  #reconfigure(): void {
    const database = this.#database;
    database.edit((tx) => {
      for (const row of database.rows('Bridge').values()) {
        if (row.datapath_id !== null) continue;
        tx.update('Bridge', row._uuid, { datapath_id: (this.#nextDatapath++).toString(16).padStart(16, '0') });
      }
      for (const row of database.rows('Interface').values()) {
        const name = String(row.name);
        // Devices of type internal are vswitchd's own.
        const missing = row.type === '' && !this.#hasDevice(name);
        if (missing) {
          if (row.ofport === -1) continue;
          const error = `could not open network device ${name} (No such device)`;
          tx.update('Interface', row._uuid, { ofport: -1, error, admin_state: null, link_state: null });
        } else if (row.ofport === null || row.ofport === -1) {
          const ofport = row.ofport_request ?? this.#nextPort++;
          tx.update('Interface', row._uuid, { ofport, error: null, admin_state: 'up', link_state: 'up' });
        }
      }
      for (const row of database.rows('Open_vSwitch').values()) {
        if (row.cur_cfg !== row.next_cfg) tx.update('Open_vSwitch', row._uuid, { cur_cfg: row.next_cfg! });
      }
    });
  }
}
