/**
 * Has ovn-controller judge everything anew when it has taken a port twice while that was plugged.
 *
 * A guest that comes live is on two hosts for a moment. When this one takes its port, the one that it comes from lets go of it at the same time; the southbound
 * database may have that second word last, and ovn-controller takes the port once more. OVN 23.03's then judges no logical flow anew that asks whether the port is
 * here (`is_chassis_resident`): without what holds for it here its floating IP is silent for good. Each time that a port is taken and its flows are in, ovn-controller writes the
 * time to its interface: where there was one before, it was taken twice. Judging all anew takes it some ten milliseconds to a second, by what is on the host, and breaks nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callControl } from '../../engine/ovs-daemon.ts';
import { map, type Row, type RowChange } from '../../protocols/ovsdb/index.ts';
import type { NetworkLogger } from './log.ts';

export interface ReclaimedPortsOptions {
  /** Where ovn-controller has its pid file and, named by that, its control socket. */
  ovsDirectory: string;
  log: NetworkLogger;
}

export class ReclaimedPorts {
  readonly #options: ReclaimedPortsOptions;
  /** When the flows of an interface's port were in, by the interface's row: the last such word. */
  readonly #installed = new Map<string, string>();
  #asking: Promise<void> | undefined;
  #again = false;

  constructor(options: ReclaimedPortsOptions) {
    this.#options = options;
  }

  /** Of the machine's Open vSwitch. */
  changed(changes: readonly RowChange[]): void {
    for (const { table, uuid, before, after } of changes) {
      if (table !== 'Interface') continue;
      if (!after) this.#installed.delete(uuid);
      const [was, is] = [this.#installed.get(uuid) ?? installedAt(before), installedAt(after)];
      if (is !== undefined) this.#installed.set(uuid, is);
      else if (after && was !== undefined) this.#installed.set(uuid, was);
      if (is !== undefined && was !== undefined && is !== was) this.#ask();
    }
  }

  /** Resolves once nothing is asked any more. */
  async stop(): Promise<void> {
    while (this.#asking) await this.#asking;
  }

  /** Once for all that come while one is under way. */
  #ask(): void {
    this.#again = true;
    this.#asking ??= this.#askWhileWanted().finally(() => {
      this.#asking = undefined;
    });
  }

  async #askWhileWanted(): Promise<void> {
    const { ovsDirectory, log } = this.#options;
    while (this.#again) {
      this.#again = false;
      try {
        const pid = readFileSync(join(ovsDirectory, 'ovn-controller.pid'), 'utf8').trim();
        await callControl(join(ovsDirectory, `ovn-controller.${pid}.ctl`), 'inc-engine/recompute', []);
      } catch (err) {
        // One that is away judges everything when it begins.
        log.warn({ err }, 'ovn-controller was not asked to judge a port anew that it has taken twice');
      }
    }
  }
}

function installedAt(row: Row | undefined): string | undefined {
  return row && map(row, 'external_ids')['ovn-installed-ts'];
}
