export type { ShownAttachment } from './listing.ts';
export { ConnectionService, type FoundAttachment } from './service.ts';
