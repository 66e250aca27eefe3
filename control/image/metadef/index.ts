export { type EntryWish, MetadefService } from './service.ts';
export type { MetadefEntryRow, MetadefKind, MetadefNamespaceRow } from './tables.ts';
