/**
 * Has ovn-controller judge everything anew when it has taken a port.
 *
 * OVN 23.03's ovn-controller judges a logical flow that asks whether a port is here (`is_chassis_resident`) when it learns of the flow and when it has taken the port; a flow
 * that comes in the very moment of the taking is judged for the port as it was before, and never again. So with a port that it takes twice: a guest that comes live is on two
 * hosts for a moment, and the southbound database may have the word of the one that lets go last. Without what holds for a port that is here its floating IP is silent for
 * good. Each time that a port is taken and its flows are in, ovn-controller writes the time to its interface; by then the southbound database has its word, so that judging all
 * anew finds the truth. It takes some ten milliseconds to a second, by what is on the host, breaks nothing, and is done once for all ports of a second.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callControl } from '../../engine/ovs-daemon.ts';
import { map, type Row, type RowChange } from '../../protocols/ovsdb/index.ts';
import type { NetworkLogger } from './log.ts';

export interface TakenPortsOptions {
  /** Where ovn-controller has its pid file and, named by that, its control socket. */
  ovsDirectory: string;
  log: NetworkLogger;
  /** For tests. From the end of one judgement to the next. */
  pauseMs?: number;
}

export class TakenPorts {
  readonly #options: TakenPortsOptions;
  /** When the flows of an interface's port were in, by the interface's row: the last such word. */
  readonly #installed = new Map<string, string>();
  #asking: Promise<void> | undefined;
  #again = false;
  #pause: { timer: NodeJS.Timeout; end: () => void } | undefined;
  #stopped = false;

  constructor(options: TakenPortsOptions) {
    this.#options = options;
  }

  /** Whoever was here before may have died between a port's taking and the judgement. */
  start(): void {
    this.#ask();
  }

  /** Of the machine's Open vSwitch. */
  changed(changes: readonly RowChange[]): void {
    for (const { table, uuid, before, after } of changes) {
      if (table !== 'Interface') continue;
      if (!after) this.#installed.delete(uuid);
      const [was, is] = [this.#installed.get(uuid) ?? installedAt(before), installedAt(after)];
      if (is !== undefined) this.#installed.set(uuid, is);
      else if (after && was !== undefined) this.#installed.set(uuid, was);
      if (is !== undefined && is !== was) this.#ask();
    }
  }

  /** Resolves once nothing is asked any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause?.end();
    await this.#asking;
  }

  #ask(): void {
    this.#again = true;
    this.#asking ??= this.#askWhileWanted().finally(() => {
      this.#asking = undefined;
    });
  }

  async #askWhileWanted(): Promise<void> {
    const { ovsDirectory, log, pauseMs = 1000 } = this.#options;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        const pid = readFileSync(join(ovsDirectory, 'ovn-controller.pid'), 'utf8').trim();
        await callControl(join(ovsDirectory, `ovn-controller.${pid}.ctl`), 'inc-engine/recompute', []);
      } catch (err) {
        // One that is away judges everything when it begins.
        log.warn({ err }, 'ovn-controller was not asked to judge anew for a port that it has taken');
      }
      if (!this.#stopped) await this.#paused(pauseMs);
    }
  }

  #paused(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(this.#pause?.timer);
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: setTimeout(end, ms), end };
    });
  }
}

function installedAt(row: Row | undefined): string | undefined {
  return row && map(row, 'external_ids')['ovn-installed-ts'];
}
