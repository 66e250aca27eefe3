export { mayAccess, ownsAccount } from './access.ts';
export { ContainerService } from './containers.ts';
export { isContainerName, isObjectName, objectStoreLimits } from './limits.ts';
export type * from './object.ts';
export { checksumAlgorithms, visitOf } from './object.ts';
export { type CopySource, ObjectService, type PutResult, type VersionOptions } from './objects.ts';
export { UploadService } from './uploads.ts';
