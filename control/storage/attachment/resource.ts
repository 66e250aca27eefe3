import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeAttachment = {
  noun: 'volume_attachment',
  memberColumns: [
    'volume_id',
    'server_id',
    'mode',
    'device',
    'tag',
    'delete_on_termination',
    'desired_presence',
    'attached_at',
  ],
  keepsProject: {},
} satisfies ResourceDescriptor;
