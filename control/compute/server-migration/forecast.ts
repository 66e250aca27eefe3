/** How long a server's memory will take at this rate, whether it ever comes to an end, and what would help. Pure. */
import type { MigrationProgress } from './hear.ts';

export interface MigrationForecast {
  /** Until the memory is there, in ms; null: not at this rate. */
  remaining_ms: number | null;
  why: string;
  /** What who asked for it can do; null: wait. */
  fix: string | null;
}

/** In QEMU's auto-converge (7.2) the guest keeps one per cent of its processors' time at last. */
const mostThrottle = 99;

/** Null: nothing is known of it yet. */
export function forecastOf(progress: MigrationProgress | null): MigrationForecast | null {
  const { memory, forecastMs } = progress ?? {};
  if (!memory || forecastMs === undefined) return null;
  const rates = `The guest writes to ${mib(memory.dirtied)} MiB of its memory a second, and ${mib(memory.throughput)} MiB a second get through`;
  if (forecastMs !== null)
    return {
      remaining_ms: forecastMs,
      why: `${rates}: the rest, ${mib(memory.remaining)} MiB, is there in ${seconds(forecastMs)} s.`,
      fix: null,
    };
  const still = memory.throughput > 0 ? seconds((1000 * memory.remaining) / memory.throughput) : null;
  const more =
    memory.throttle < mostThrottle
      ? `it is slowed down until that is enough (by ${memory.throttle} % of its processors' time now)`
      : 'it is slowed down as far as can be';
  const held = still === null ? '' : `, some ${still} s`;
  return {
    remaining_ms: null,
    why: `${rates}: at this rate it does not end; ${more}.`,
    fix: `Wait, make the guest write less, or make it end (force_complete): then the guest stands still until the rest is there${held}.`,
  };
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0);
const seconds = (ms: number): number => Math.ceil(ms / 1000);
