export type { CachedVolume } from './store.ts';
export { beginCaches, freezeCached, isOwed, tendCache } from './tend.ts';
