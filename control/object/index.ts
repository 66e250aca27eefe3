export { mayAccess, ownsAccount, readsAccount } from './access.ts';
export type { Committed } from './commit.ts';
export { ContainerService } from './containers.ts';
export { isBucketName, isContainerName, isObjectName, objectStoreLimits } from './limits.ts';
export type * from './object.ts';
export { checksumAlgorithms, visitOf } from './object.ts';
export { ObjectService, type PutResult } from './objects.ts';
