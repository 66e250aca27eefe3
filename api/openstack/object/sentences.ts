/** What Swift says of each reason. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { ObjectReasons } from '../../../control/object/reasons.ts';
import { hostSentences, kitSentences } from '../common/sentences.ts';

export const swiftSentences: SentenceTable<KitReasons & HostReasons & ObjectReasons> = {
  ...kitSentences,
  ...hostSentences,
  container_name_invalid: ({ name }) => `Invalid container name '${name}'`,
  container_not_found: 'The resource could not be found.',
  container_not_empty: 'There was a conflict when trying to complete your request.',
  bucket_name_taken: ({ name }) => `The bucket name ${name} is another project's.`,
  object_access_denied: 'Access was denied to this resource.',
  object_metadata_too_large: ({ what, maximum }) =>
    ({
      count: `Too many metadata items; max ${maximum}`,
      name: `Metadata name too long; max ${maximum}`,
      value: `Metadata value longer than ${maximum}`,
      whole: `Total metadata too large; max ${maximum}`,
      acl: `ACL longer than ${maximum}`,
      settings: `Container settings longer than ${maximum}`,
    })[what],
  object_text_not_storable: ({ what }) => `The ${what} must be UTF-8 without null characters.`,
  object_name_invalid: ({ name }) => `Invalid object name '${name.slice(0, 100)}'`,
  object_not_found: 'The resource could not be found.',
  object_deleted: 'The resource could not be found.',
  object_is_delete_marker: 'The resource could not be found.',
  object_range_invalid: 'The Range requested is not available.',
  object_part_not_found: 'The Range requested is not available.',
  upload_not_found: 'The resource could not be found.',
  upload_part_number_invalid: ({ maximum }) => `A part's number is 1 to ${maximum}`,
  upload_part_not_found: ({ number }) => `Part ${number} is not as it was said to be`,
  upload_parts_out_of_order: 'Parts must be in ascending order.',
  upload_part_too_small: ({ number, minimum }) => `Part ${number} has less than ${minimum} bytes`,
  object_version_not_found: 'The resource could not be found.',
  object_precondition_failed: 'A precondition for this request was not met.',
  object_not_modified: '',
  object_locked: 'The object is locked against deletion.',
  object_too_large: 'Your request is too large.',
  checksum_mismatch: 'Unable to process the contained instructions',
  object_quota_exceeded: ({ of }) => (of === 'account' ? 'Upload exceeds quota.' : 'Upload exceeds quota.'),
  symlink_loop: 'Too many levels of symbolic links.',
  manifest_segment_unavailable: ({ container, name }) =>
    `The segment /${container}/${name} is not as the manifest says.`,
  object_disks_too_few: 'The server is currently unavailable. Please try again at a later time.',
  object_disks_full: 'There was not enough space to save the resource.',
  object_intent_closed: 'The server is currently unavailable. Please try again at a later time.',
  object_bytes_unavailable: 'The server is currently unavailable. Please try again at a later time.',
};
