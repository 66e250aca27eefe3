export { type BackendRow, BackendService, type BackendState, type ProjectOnBackend } from './service.ts';
