/**
 * What flows have counted since this host began to look, though OVN makes them anew whenever it likes: then they count from zero, and what they counted
 * since the last look is lost. Pure but for the file that it is kept in, in the run directory: a restart of this process goes on from it, a restart of the
 * machine begins a new ledger, with another name.
 */
import { randomUUID } from 'node:crypto';
import { readIfThere, writeWhole } from '../files.ts';

export interface Counted {
  bytes: number;
  packets: number;
}

/** A flow as it stands. */
export interface SeenFlow extends Counted {
  cookie: number;
  /** By the clock that nobody sets, in milliseconds since the machine was started. */
  bornMs: number;
}

interface Entry extends Counted {
  flows: SeenFlow[];
  lookedMs: number;
  /** When its count began, by the same clock; absent: an older Bothy's. */
  sinceMs?: number;
}

/** How exactly the age of a flow and two looks at one clock agree. */
const toleranceMs = 1000;
/** Flows of one thing and way; there are three at most at a time. */
const remembered = 8;
/** What was not asked for so long is forgotten. */
const forgottenMs = 3600_000;

export class FlowLedger {
  readonly name: string;
  readonly #path: string;
  readonly #entries: Map<string, Entry>;

  private constructor(path: string, name: string, entries: Map<string, Entry>) {
    this.#path = path;
    this.name = name;
    this.#entries = entries;
  }

  /** A file that is not there, or is damaged, is a new ledger. */
  static async open(path: string): Promise<FlowLedger> {
    try {
      const { name, entries } = JSON.parse(((await readIfThere(path)) ?? '').toString());
      return new FlowLedger(path, name, new Map(entries));
    } catch {
      return new FlowLedger(path, randomUUID(), new Map());
    }
  }

  /**
   * What all flows that have been of this have counted, with those of now. One that is younger than it was is another one, which has counted from
   * zero. What was forgotten counts from zero again too: since another time.
   */
  count(key: string, now: readonly SeenFlow[], lookedMs: number): Counted & { sinceMs?: number } {
    const entry = this.#entries.get(key) ?? { bytes: 0, packets: 0, flows: [], lookedMs, sinceMs: lookedMs };
    for (const flow of now) {
      const before = entry.flows.find(({ cookie }) => cookie === flow.cookie);
      const same = before !== undefined && Math.abs(before.bornMs - flow.bornMs) <= toleranceMs;
      entry.bytes += Math.max(0, flow.bytes - (same ? before.bytes : 0));
      entry.packets += Math.max(0, flow.packets - (same ? before.packets : 0));
    }
    // One that is away for a moment keeps its place: found again as it was it must not count again.
    const cookies = new Set(now.map(({ cookie }) => cookie));
    entry.flows = [...now, ...entry.flows.filter(({ cookie }) => !cookies.has(cookie))].slice(0, remembered);
    entry.lookedMs = lookedMs;
    this.#entries.set(key, entry);
    const { bytes, packets, sinceMs } = entry;
    return { bytes, packets, ...(sinceMs !== undefined && { sinceMs }) };
  }

  /** Before anything of it is told. */
  async save(nowMs: number): Promise<void> {
    for (const [key, { lookedMs }] of this.#entries) if (nowMs - lookedMs > forgottenMs) this.#entries.delete(key);
    await writeWhole(this.#path, JSON.stringify({ name: this.name, entries: [...this.#entries] }));
  }
}
