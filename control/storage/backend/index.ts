export { type BackendRow, BackendService, type ProjectOnBackend } from './service.ts';
