/** What the image area refuses (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

/** Where the text stands; `property` is the name of the property whose value it is. */
export interface TextPlace {
  what: 'name' | 'owner' | 'tag' | 'property_name' | 'property';
  property?: string;
}

export interface ImageReasons {
  image_not_found: { id: string };
  image_deleted_during_upload: { id: string };
  image_id_malformed: { id: string };
  image_id_taken: { id: string };
  image_not_active: { id: string; status: string };
  /** Its bytes are none of the formats, whatever its owner calls them. */
  image_not_a_disk: { id: string; format: string };
  /** Its bytes are encrypted: only a volume is made of it. */
  image_encrypted: { id: string };
  image_state_conflict: { status: string; wanted: string };
  image_protected: { id: string };
  image_deactivated: NoFields;
  image_operation_forbidden: { id: string; operation: string };
  image_publishing_forbidden: NoFields;
  image_owner_malformed: { owner: string };
  image_owner_forbidden: { owner: string };
  image_owner_fixed: NoFields;
  /** It may change only while the image is queued. */
  image_attribute_fixed: { attribute: string };
  image_minimum_out_of_range: { attribute: string; maximum: number };
  image_text_too_long: TextPlace & { maximum: number };
  image_text_not_storable: TextPlace;
  image_property_without_name: NoFields;
  image_property_present: { property: string };
  image_property_absent: { property: string };
  /** By a property protection. */
  image_property_reserved: { property: string };
  image_tag_not_found: { image: string; tag: string };
  too_many_image_parts: { what: 'tags' | 'properties'; limit: number; wanted: number };
}

/** Members: projects that an image is shared with. */
export interface ImageReasons {
  image_not_shared: NoFields;
  image_member_malformed: { member: string };
  image_member_exists: { image: string; member: string };
  image_member_not_found: { image: string; member: string };
  image_member_answers_for_itself: NoFields;
  image_member_role_required: NoFields;
  too_many_image_members: { limit: number };
}

/** Imports. */
export interface ImageReasons {
  /** The image is not in the state that the method starts from. */
  image_import_state: { method: string; status: string; wanted: string };
  image_task_not_found: { id: string };
}

/** Metadata definitions. */
export interface ImageReasons {
  metadef_namespace_not_found: { namespace: string };
  metadef_namespace_exists: { namespace: string };
  metadef_namespace_protected: { namespace: string };
  metadef_entry_not_found: { kind: string; name: string; namespace: string };
  metadef_entry_exists: { kind: string; name: string; namespace: string };
  too_many_metadef_entries: { kind: string; limit: number };
}

/** Bytes. */
export interface ImageReasons {
  image_format_unset: { missing: readonly string[] };
  image_being_cleaned: { id: string };
  image_hosts_unreachable: { id: string };
  no_host_for_image: NoFields;
  service_stopping: NoFields;
}

declare module '../../contract/errors.ts' {
  interface Reasons extends ImageReasons {}
}
