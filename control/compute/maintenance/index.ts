export { Drainer, type DrainerOptions } from './drainer.ts';
export { MaintenanceService } from './service.ts';
export { type LeftServer, leftOn, type Maintenance, maintenanceOf } from './show.ts';
export { beginMaintenance, endMaintenance, type MaintenanceCause, type MaintenanceWish } from './word.ts';
