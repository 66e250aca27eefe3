export { forecastOf, type MigrationForecast } from './forecast.ts';
export {
  type Heard,
  hasLetGo,
  hearOther,
  hearOwner,
  isLive,
  type Migration,
  type MigrationError,
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
export { type MigrationFilter, type MigrationRow, MigrationService } from './service.ts';
export type { MigrationCause } from './tables.ts';
