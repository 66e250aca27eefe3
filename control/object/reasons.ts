/** What the object area refuses (see contract/errors.ts). */

export interface ObjectReasons {
  container_name_invalid: { name: string };
  container_not_found: { container: string };
  /** Objects, versions or delete markers are left in it. */
  container_not_empty: { container: string };
  /** Another project's container has this name in S3. */
  bucket_name_taken: { name: string };
  object_access_denied: { right: 'read' | 'list' | 'write' | 'own' };
  object_metadata_too_large: { what: 'count' | 'name' | 'value' | 'whole' | 'acl' | 'settings'; maximum: number };
  /** What no text of the database holds: a null character, half of a surrogate pair. */
  object_text_not_storable: { what: 'name' | 'metadata' | 'acl' };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends ObjectReasons {}
}
