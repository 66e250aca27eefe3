export {
  type EntryWish,
  type ListedNamespace,
  MetadefService,
  type NamespaceOrder,
  type NamespacePage,
} from './service.ts';
export type { MetadefEntryRow, MetadefKind, MetadefNamespaceRow } from './tables.ts';
