import type { ResourceDescriptor } from '../../kit/resource.ts';

/** Administrators' alone. */
export const serverMigration: ResourceDescriptor = { noun: 'server_migration' };
