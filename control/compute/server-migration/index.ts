export { forecastOf, type MigrationForecast } from './forecast.ts';
export {
  type Heard,
  hasLetGo,
  hearOther,
  hearOwner,
  isLive,
  type Migration,
  type MigrationError,
  type MigrationPatch,
  waitingForOf,
} from './hear.ts';
export {
  beginMigration,
  beginMove,
  endMigration,
  endMove,
  keepAtSource,
  migrationsOf,
  nextEpoch,
  recordDowntime,
  recordHeard,
  stallMs,
  turnMove,
} from './record.ts';
export { type MigrationFilter, type MigrationRow, MigrationService, type MigrationStatus } from './service.ts';
export type { MigrationCause } from './tables.ts';
