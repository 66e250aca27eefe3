export { type DocumentOptions, metadataFiles } from './document.ts';
export { MetadataService, type MetadataServiceOptions } from './service.ts';
