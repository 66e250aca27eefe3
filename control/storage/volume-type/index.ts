export { usableBy, type VolumeTypeRow } from './listing.ts';
export { defaultTypeName, typeOf, VolumeTypeService } from './service.ts';
