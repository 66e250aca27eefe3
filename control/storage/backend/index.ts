export { type BackendRow, BackendService, type BackendState } from './service.ts';
