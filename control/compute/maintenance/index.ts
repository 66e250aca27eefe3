export { beginMaintenance, endMaintenance, type MaintenanceWish } from './begin-and-end.ts';
export { Drainer, type DrainerOptions } from './drainer.ts';
export { MaintenanceService } from './service.ts';
export { type LeftServer, leftOn, type Maintenance } from './show.ts';
