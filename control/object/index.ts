export { mayAccess, ownsAccount, readsAccount } from './access.ts';
export { ContainerService } from './containers.ts';
export { isBucketName, isContainerName, isObjectName, objectStoreLimits } from './limits.ts';
export type * from './object.ts';
export { checksumAlgorithms, visitOf } from './object.ts';
