/** What the object area refuses (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

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
  object_text_not_storable: { what: 'name' | 'metadata' | 'headers' | 'acl' };
  object_name_invalid: { name: string };
  object_not_found: { container: string; name: string };
  /** Its newest version is a delete marker. */
  object_deleted: { container: string; name: string; version: string };
  /** A version that is no object. */
  object_is_delete_marker: { name: string; version: string };
  /** Of an object of so many bytes. */
  object_range_invalid: { size: number };
  object_part_not_found: { number: number };
  object_version_not_found: { name: string; version: string };
  object_precondition_failed: { condition: 'if_match' | 'if_none_match' | 'if_modified_since' | 'if_unmodified_since' };
  /** Of a conditional read. */
  object_not_modified: { etag: string; updated_at: string };
  /** Against deletion: retention, or a legal hold. */
  object_locked: { name: string };
  object_too_large: { maximum: number };
  checksum_mismatch: { algorithm: string };
  object_quota_exceeded: { of: 'account' | 'container' };
  /** A link leads to a link, and so on. */
  symlink_loop: { name: string };
  /** What a manifest names is not there, or another by now. */
  manifest_segment_unavailable: { container: string; name: string };
}

/** Of what comes in parts. */
export interface ObjectReasons {
  upload_not_found: { upload: string };
  upload_part_number_invalid: { maximum: number };
  /** Not there, or another than was said. */
  upload_part_not_found: { number: number };
  upload_parts_out_of_order: NoFields;
  upload_part_too_small: { number: number; minimum: number };
}

/** Of bytes and the disks that they lie on. */
export interface ObjectReasons {
  object_disks_too_few: { wanted: number; found: number };
  object_disks_full: NoFields;
  /** What was written was not made visible in time: it may be sent again. */
  object_intent_closed: NoFields;
  /** No copy gives them back now. */
  object_bytes_unavailable: NoFields;
}

declare module '../../contract/errors.ts' {
  interface Reasons extends ObjectReasons {}
}
