export { type EntryWish, MetadefService, type NamespaceWish } from './service.ts';
export { type MetadefEntryRow, type MetadefKind, type MetadefNamespaceRow, metadefKinds } from './tables.ts';
