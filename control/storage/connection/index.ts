export type { ShownAttachment } from './listing.ts';
export { ConnectionService, type ForeignAttachment } from './service.ts';
