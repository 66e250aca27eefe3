export { cacheOf, endCache, giveCache, hasSunk, type VolumeCache } from './change.ts';
export { type CachedVolume, cacheDueSql } from './store.ts';
export { beginCaches, freezeCached, isOwed, tendCache } from './tend.ts';
