/** What a machine outside may ask of its volume: a throttle group of its storage daemon, through which all that it reads and writes goes. Pure. */
import type { DesiredExport } from '../../../contract/host/index.ts';

export const exportThrottle = {
  group: 'limits',
  node: 'limited',
  /** As a throttle group takes them, which keeps what it is not told: all of them, 0 for none. */
  of: ({ limits = none }: Pick<DesiredExport, 'limits'>): Record<string, number> => ({
    ...{ 'iops-total': limits.iops, 'iops-read': limits.iops_rd, 'iops-write': limits.iops_wr },
    ...{ 'bps-total': limits.bps, 'bps-read': limits.bps_rd, 'bps-write': limits.bps_wr },
    ...{ 'iops-total-max': limits.iops_max ?? 0, 'bps-total-max': limits.bps_max ?? 0 },
    ...{ 'iops-read-max': limits.iops_rd_max ?? 0, 'iops-write-max': limits.iops_wr_max ?? 0 },
    ...{ 'bps-read-max': limits.bps_rd_max ?? 0, 'bps-write-max': limits.bps_wr_max ?? 0 },
    'iops-size': limits.iops_size ?? 0,
  }),
} as const;

const none: NonNullable<DesiredExport['limits']> = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
