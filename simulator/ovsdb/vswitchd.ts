/** Acts like ovs-vswitchd as far as clients of its database see it: numbers ports, reports links, confirms next_cfg. */
import type { FakeDatabase } from './database.ts';

export class FakeVswitchd {
  readonly #database: FakeDatabase;
  readonly #stop: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #nextPort = 1;
  #nextDatapath = 1;
  /** False: stopped. Changes stay unconfirmed until it is true and something changes. */
  running = true;

  constructor(database: FakeDatabase) {
    this.#database = database;
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
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        if (this.running) this.#reconfigure();
      }, 0);
      this.#timers.add(timer);
    });
  }

  close(): void {
    this.#stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #reconfigure(): void {
    const database = this.#database;
    database.edit((tx) => {
      for (const row of database.rows('Bridge').values()) {
        if (row.datapath_id !== null) continue;
        tx.update('Bridge', row._uuid, { datapath_id: (this.#nextDatapath++).toString(16).padStart(16, '0') });
      }
      for (const row of database.rows('Interface').values()) {
        if (row.ofport !== null) continue;
        const ofport = row.ofport_request ?? this.#nextPort++;
        tx.update('Interface', row._uuid, { ofport, admin_state: 'up', link_state: 'up' });
      }
      for (const row of database.rows('Open_vSwitch').values()) {
        if (row.cur_cfg !== row.next_cfg) tx.update('Open_vSwitch', row._uuid, { cur_cfg: row.next_cfg! });
      }
    });
  }
}
