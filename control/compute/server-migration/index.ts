export { beginMigration, endMigration } from './record.ts';
export { type MigrationFilter, type MigrationRow, MigrationService, type MigrationStatus } from './service.ts';
