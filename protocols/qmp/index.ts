export { type Execute, QmpClient, type QmpEvent } from './client.ts';
export { QmpConnectionError, QmpError, QmpTimeoutError } from './errors.ts';
export { QmpFramer } from './framing.ts';
