export type { ShownAttachment } from './listing.ts';
export { ConnectionService, type ForeignAttachment, type FoundAttachment, type IscsiConnection } from './service.ts';
