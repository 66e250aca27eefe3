import type { ResourceDescriptor } from '../resource.ts';

export const operation: ResourceDescriptor = {
  noun: 'operation',
  memberColumns: [
    'resource_type',
    'resource_id',
    'verb',
    'state',
    'waiting_for',
    'deadline',
    'attempt',
    'error_code',
    'error_message',
    'actor_id',
    'request_id',
    'finished_at',
  ],
};
