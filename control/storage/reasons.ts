/** What the storage area refuses (see contract/errors.ts). */

/** Volume types. */
export interface StorageReasons {
  volume_type_not_found: { id: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends StorageReasons {}
}
