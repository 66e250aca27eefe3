/** A guest's memory on its way to another host: what QEMU says of it, and how long it will take. Pure but for the asking. */
import type { ObservedOutgoing } from '../../contract/host/index.ts';
import type { Execute } from '../../protocols/qmp/index.ts';

/** What `query-migrate` answers, as far as it counts here. */
export interface MigrationInfo {
  /** Absent: there was none. */
  status?: string;
  'error-desc'?: string;
  /** Milliseconds. */
  downtime?: number;
  'cpu-throttle-percentage'?: number;
  ram?: {
    total?: number;
    remaining?: number;
    transferred?: number;
    /** Megabits a second. */
    mbps?: number;
    'dirty-pages-rate'?: number;
    'page-size'?: number;
  };
}

export const migrationOf = (execute: Execute): Promise<MigrationInfo> => execute<MigrationInfo>('query-migrate');

const underWay: ReadonlySet<string | undefined> = new Set([
  ...['setup', 'active', 'pre-switchover', 'device', 'cancelling', 'wait-unplug'],
]);
export const isUnderWay = ({ status }: MigrationInfo): boolean => underWay.has(status);

type Progress = Pick<ObservedOutgoing, 'memory' | 'forecastMs'>;

/** `forecastMs` is of the memory alone; absent while QEMU has not measured anything. */
export function progressOf(info: MigrationInfo): Progress {
  const { ram } = info;
  if (!ram) return {};
  const whole = (value: number | undefined): number => Math.max(0, Math.round(value ?? 0));
  const memory = {
    total: whole(ram.total),
    remaining: whole(ram.remaining),
    sent: whole(ram.transferred),
    dirtied: whole((ram['dirty-pages-rate'] ?? 0) * (ram['page-size'] ?? 4096)),
    throughput: whole(((ram.mbps ?? 0) * 1e6) / 8),
    throttle: Math.min(99, whole(info['cpu-throttle-percentage'])),
  };
  if (memory.throughput === 0) return { memory };
  return { memory, forecastMs: forecastMs(memory) };
}

/** Null: the guest writes faster than what it writes is sent. */
export function forecastMs(
  memory: Pick<NonNullable<Progress['memory']>, 'remaining' | 'dirtied' | 'throughput'>,
): number | null {
  const gained = memory.throughput - memory.dirtied;
  return gained > 0 ? Math.ceil((1000 * memory.remaining) / gained) : null;
}
