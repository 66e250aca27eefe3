export { MetadataService } from './service.ts';
export { VendorServices, type VendorTarget } from './vendor-services.ts';
