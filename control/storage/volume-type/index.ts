export { type CachePolicy, type CacheWords, cacheWords, sameCache } from './cache-words.ts';
export { lockType, touchType } from './change.ts';
export { type DefaultType, DefaultTypeService, defaultTypeName, holdTypeOf } from './default.ts';
export {
  type EncryptionRow,
  type EncryptionWish,
  encryptionOf,
  servedEncryption,
  TypeEncryptionService,
} from './encryption.ts';
export {
  amount,
  type DiskLimits,
  iopsOfType,
  isLimitKey,
  promisedIops,
  type QosConsumer,
  type QosSpecs,
  qosLimits,
  qosOfTypeSql,
} from './limits.ts';
export { usableBy, type VolumeTypeRow } from './listing.ts';
export { type Loss, lossesOf } from './loss.ts';
export { usageOfType } from './quota.ts';
export { type ReplicationWords, replicationWords } from './replication-words.ts';
export { VolumeTypeService, type VolumeTypeWish } from './service.ts';
