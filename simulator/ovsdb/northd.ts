/**
 * Acts like ovn-northd and the hypervisors as far as clients of the northbound database see it: nb_cfg is confirmed,
 * and a port is up while some switch has an interface for it.
 */
import type { Row } from '../../protocols/ovsdb/value.ts';
import { map } from '../../protocols/ovsdb/value.ts';
import type { Change, FakeDatabase } from './database.ts';

export interface NorthdOptions {
  /** Time from nb_cfg to hv_cfg. */
  delayMs?: number;
}

export class FakeNorthd {
  readonly #northbound: FakeDatabase;
  readonly #switches = new Map<FakeDatabase, () => void>();
  readonly #stop: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** How many interfaces there are for each port, on all switches. */
  readonly #bound = new Map<string, number>();
  /** Rows of ports, by name. */
  readonly #ports = new Map<string, string>();
  /** False: hypervisors do not confirm, as when one is dead. */
  confirms = true;

  constructor(northbound: FakeDatabase, options: NorthdOptions = {}) {
    this.#northbound = northbound;
    if (northbound.rows('NB_Global').size === 0) northbound.edit((tx) => tx.insert('NB_Global', {}));
    for (const row of northbound.rows('Logical_Switch_Port').values()) this.#ports.set(String(row.name), row._uuid);
    this.#stop = northbound.onCommit((changes) => {
      this.#indexPorts(changes);
      if (changes.some(({ table, before, after }) => table === 'NB_Global' && before?.nb_cfg !== after?.nb_cfg)) {
        this.#later(options.delayMs ?? 0, () => this.#confirm());
      }
      const added = changes.filter(
        (c) => c.table === 'Logical_Switch_Port' && (!c.before || c.before.name !== c.after?.name),
      );
      if (added.length > 0) this.#later(0, () => this.#refresh(added.map((c) => String(c.after?.name))));
    });
  }

  /** Ports with an Interface of this switch database (external_ids:iface-id) come up, and go down with it. */
  follow(vswitch: FakeDatabase): void {
    for (const row of vswitch.rows('Interface').values()) this.#count([boundPort(row)], 1);
    const stop = vswitch.onCommit((changes) => {
      const interfaces = changes.filter(({ table }) => table === 'Interface');
      this.#count(
        interfaces.map(({ before }) => boundPort(before)),
        -1,
      );
      this.#count(
        interfaces.map(({ after }) => boundPort(after)),
        1,
      );
    });
    this.#switches.set(vswitch, stop);
  }

  unfollow(vswitch: FakeDatabase): void {
    this.#switches.get(vswitch)?.();
    if (!this.#switches.delete(vswitch)) return;
    for (const row of vswitch.rows('Interface').values()) this.#count([boundPort(row)], -1);
  }

  close(): void {
    this.#stop();
    for (const stop of this.#switches.values()) stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #confirm(): void {
    const global = [...this.#northbound.rows('NB_Global').values()][0];
    if (!global) return;
    const nb = global.nb_cfg as number;
    this.#northbound.edit((tx) => {
      tx.update('NB_Global', [], { sb_cfg: nb, ...(this.confirms ? { hv_cfg: nb } : {}) });
    });
  }

  #indexPorts(changes: readonly Change[]): void {
    const ports = changes.filter(({ table }) => table === 'Logical_Switch_Port');
    for (const { before } of ports) if (before) this.#ports.delete(String(before.name));
    for (const { after } of ports) if (after) this.#ports.set(String(after.name), after._uuid);
  }

  #count(names: readonly (string | undefined)[], by: 1 | -1): void {
    const known = names.filter((name) => name !== undefined);
    for (const name of known) {
      const count = (this.#bound.get(name) ?? 0) + by;
      if (count === 0) this.#bound.delete(name);
      else this.#bound.set(name, count);
    }
    if (known.length > 0) this.#later(0, () => this.#refresh(known));
  }

  #refresh(names: readonly string[]): void {
    const rows = names.flatMap((name) => {
      const uuid = this.#ports.get(name);
      return (uuid && this.#northbound.rows('Logical_Switch_Port').get(uuid)) || [];
    });
    const differing = rows.filter((row) => row.up !== this.#isUp(row));
    if (differing.length === 0) return;
    this.#northbound.edit((tx) => {
      for (const row of differing) tx.update('Logical_Switch_Port', row._uuid, { up: this.#isUp(row) });
    });
  }

  #isUp(row: Row): boolean {
    return row.type === 'router' || this.#bound.has(String(row.name));
  }
}

/** The port that an interface is for; none where vswitchd could not open its device. */
function boundPort(row: Row | undefined): string | undefined {
  return row && row.ofport !== -1 ? map(row, 'external_ids')['iface-id'] : undefined;
}
