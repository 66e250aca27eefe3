export { type DocumentOptions, metadataFiles } from './document.ts';
export type { GuestPasswords } from './password.ts';
export { MetadataService, type MetadataServiceOptions } from './service.ts';
export { VendorServices, type VendorTarget } from './vendor-services.ts';
