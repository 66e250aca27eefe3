/** What the storage area refuses (see contract/errors.ts). */

export interface StorageReasons {
  volume_type_not_found: { id: string };
  /** Nobody needs it any more, or it was never there: what was to be made of it can't be. */
  layer_gone: { id: string };
  /** No pool takes a volume, or the pool of one takes no more; `why` and `fix` are words for whoever asked. */
  no_pool: { why: string; fix: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends StorageReasons {}
}
