export { type CachePolicy, cacheWords, sameCache } from './cache-words.ts';
export { lockType } from './change.ts';
export { DefaultTypeService, defaultTypeName, holdTypeOf } from './default.ts';
export {
  type EncryptionRow,
  type EncryptionWish,
  encryptionOf,
  servedEncryption,
  TypeEncryptionService,
} from './encryption.ts';
export {
  amount,
  iopsOfType,
  isLimitKey,
  promisedIops,
  type QosConsumer,
  type QosSpecs,
  qosLimits,
  qosOfTypeSql,
} from './limits.ts';
export type { VolumeTypeRow } from './listing.ts';
export { type Loss, lossesOf } from './loss.ts';
export { usageOfType } from './quota.ts';
export { type ReplicationWords, replicationWords } from './replication-words.ts';
export { VolumeTypeService } from './service.ts';
