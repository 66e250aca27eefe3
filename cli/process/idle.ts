/**
 * Gives memory back when the process rests. V8 collects as it allocates, so a process that a burst has blown up (three times
 * 16 MiB of young generation alone) and that then does next to nothing would keep it for many minutes. Needs the
 * flag --expose-gc, or {@link exposedGc}; without either nothing happens. Never collects in a process that has work: the pause is some 50 ms.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const lookMs = 10_000;
/** Share of the time since the last look in which the event loop had something to do. */
const idleBelow = 0.1;
/** Heap above what the last collection left that makes another one worth its while. */
const worthBytes = 2 * 2 ** 20;

export function collectWhenIdle(gc: typeof globalThis.gc = globalThis.gc): void {
  let before = performance.eventLoopUtilization();
  let settledBytes = 0;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > idleBelow || process.memoryUsage().heapTotal < settledBytes + worthBytes) return;
    // Of the kinds of collection only this one also gives up the young generation's room and compiled code not used lately.
    gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    settledBytes = process.memoryUsage().heapTotal;
  }, lookMs).unref();
}

/**
 * What --expose-gc gives, for a process that was started without: one whose flags must be those of the compile cache that it shares. The
 * flag is gone again at once, or code that is loaded later would not fit that cache.
 */
export function exposedGc(): typeof globalThis.gc {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc');
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
