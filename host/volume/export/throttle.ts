/** What a machine outside may ask of its volume: a throttle group of its storage daemon, through which all that it reads and writes goes. Pure. */
import type { DesiredExport } from '../../../contract/host/index.ts';

export const exportThrottle = {
  group: 'limits',
  node: 'limited',
  /** As a throttle group takes them; 0: none. */
  of: ({ limits }: Pick<DesiredExport, 'limits'>): Record<string, number> => ({
    ...{ 'iops-total': limits?.iops ?? 0, 'iops-read': limits?.iops_rd ?? 0, 'iops-write': limits?.iops_wr ?? 0 },
    ...{ 'bps-total': limits?.bps ?? 0, 'bps-read': limits?.bps_rd ?? 0, 'bps-write': limits?.bps_wr ?? 0 },
  }),
} as const;
