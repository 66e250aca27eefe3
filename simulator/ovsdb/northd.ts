/**
 * Acts like ovn-northd and the hypervisors as far as clients of the northbound database see it: nb_cfg is confirmed,
 * and a port is up while some switch has an interface for it.
 */
import type { Row } from '../../protocols/ovsdb/value.ts';
import { map } from '../../protocols/ovsdb/value.ts';
import type { FakeDatabase } from './database.ts';

export interface NorthdOptions {
  /** Time from nb_cfg to hv_cfg. */
  delayMs?: number;
}

export class FakeNorthd {
  readonly #northbound: FakeDatabase;
  readonly #switches = new Map<FakeDatabase, () => void>();
  readonly #stop: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** False: hypervisors do not confirm, as when one is dead. */
  confirms = true;

  constructor(northbound: FakeDatabase, options: NorthdOptions = {}) {
    this.#northbound = northbound;
    if (northbound.rows('NB_Global').size === 0) northbound.edit((tx) => tx.insert('NB_Global', {}));
    this.#stop = northbound.onCommit((changes) => {
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
    const stop = vswitch.onCommit((changes) => {
      const names = changes
        .filter(({ table }) => table === 'Interface')
        .flatMap(({ before, after }) => [ifaceId(before), ifaceId(after)])
        .filter((name) => name !== undefined);
      if (names.length > 0) this.#later(0, () => this.#refresh(names));
    });
    this.#switches.set(vswitch, stop);
  }

  unfollow(vswitch: FakeDatabase): void {
    this.#switches.get(vswitch)?.();
    this.#switches.delete(vswitch);
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

  #refresh(names: readonly string[]): void {
    const bound = new Set<string>();
    for (const vswitch of this.#switches.keys()) {
      for (const row of vswitch.rows('Interface').values()) {
        const name = ifaceId(row);
        if (name !== undefined) bound.add(name);
      }
    }
    const wanted = new Set(names);
    this.#northbound.edit((tx) => {
      for (const row of this.#northbound.rows('Logical_Switch_Port').values()) {
        if (!wanted.has(String(row.name))) continue;
        const up = row.type === 'router' || bound.has(String(row.name));
        if (row.up !== up) tx.update('Logical_Switch_Port', row._uuid, { up });
      }
    });
  }
}

function ifaceId(row: Row | undefined): string | undefined {
  return row && map(row, 'external_ids')['iface-id'];
}
