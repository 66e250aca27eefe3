import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeTransfer = {
  noun: 'volume_transfer',
  memberColumns: ['volume_id', 'with_snapshots'],
  keepsProject: {},
} satisfies ResourceDescriptor;
