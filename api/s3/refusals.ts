/** What S3 says of each reason: its code and a sentence, in one table. Sentences are S3's own where clients or people know them. */
import type { HostReasons } from '../../control/host/reasons.ts';
import type { SignedRequestReasons } from '../../control/identity/reasons.ts';
import type { KitReasons } from '../../control/kit/reasons.ts';
import type { ObjectReasons } from '../../control/object/reasons.ts';
import { hostSentences, kitSentences } from '../openstack/common/sentences.ts';
import type { S3Code } from './codes.ts';

export type RefusalTable<Rs> = {
  readonly [R in keyof Rs]: readonly [code: S3Code, sentence: string | ((fields: Readonly<Rs[R]>) => string)];
};

type Spoken = KitReasons & HostReasons & ObjectReasons & SignedRequestReasons;

const kit: RefusalTable<KitReasons> = {
  authentication_required: ['AccessDenied', 'Access Denied'],
  role_required: ['AccessDenied', kitSentences.role_required],
  project_scope_required: ['AccessDenied', kitSentences.project_scope_required],
  project_required: ['AccessDenied', kitSentences.project_required],
  project_of_another: ['AccessDenied', kitSentences.project_of_another],
  policy_not_authorized: ['AccessDenied', kitSentences.policy_not_authorized],
  actor_malformed: ['InvalidRequest', kitSentences.actor_malformed],
  project_not_found: ['NoSuchBucket', kitSentences.project_not_found],
  marker_not_found: ['InvalidArgument', kitSentences.marker_not_found],
  quota_exceeded: ['QuotaExceeded', kitSentences.quota_exceeded],
  quota_project_invalid: ['InvalidRequest', kitSentences.quota_project_invalid],
  quota_above_project: ['InvalidRequest', kitSentences.quota_above_project],
  quota_of_no_user: ['InvalidRequest', kitSentences.quota_of_no_user],
  quota_below_usage: ['InvalidRequest', kitSentences.quota_below_usage],
  tag_invalid: ['InvalidTag', kitSentences.tag_invalid],
  too_many_tags: ['InvalidTag', kitSentences.too_many_tags],
  tag_not_found: ['NoSuchTagSet', kitSentences.tag_not_found],
  revision_number_constraint_failed: ['ConditionalRequestConflict', kitSentences.revision_number_constraint_failed],
};

const host: RefusalTable<HostReasons> = {
  host_not_found: ['ServiceUnavailable', hostSentences.host_not_found],
  host_unreachable: ['ServiceUnavailable', hostSentences.host_unreachable],
  host_answer_malformed: ['ServiceUnavailable', hostSentences.host_answer_malformed],
  host_refused: ['ServiceUnavailable', hostSentences.host_refused],
  upload_cut_off: [
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  ],
};

const signed: RefusalTable<SignedRequestReasons> = {
  signature_version_refused: [
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  ],
  signature_algorithm_unknown: [
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  ],
  signature_malformed: ['AuthorizationHeaderMalformed', ({ problem }) => malformed[problem] ?? malformed.malformed!],
  payload_hash_missing: ['InvalidRequest', 'Missing required header for this request: x-amz-content-sha256'],
  access_key_unknown: ['InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.'],
  signature_mismatch: [
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  signed_at_another_time: [
    'RequestTimeTooSkewed',
    'The difference between the request time and the current time is too large.',
  ],
  signature_expired: ['AccessDenied', 'Request has expired'],
  signature_not_yet_valid: ['AccessDenied', 'Request is not yet valid'],
  headers_not_signed: [
    'AccessDenied',
    ({ headers }) => `There were headers present in the request which were not signed: ${headers}`,
  ],
  session_token_unknown: ['InvalidToken', 'The provided token is malformed or otherwise invalid.'],
  access_key_with_rules: [
    'AccessDenied',
    'The access key was made with an application credential that names the only requests it is good for',
  ],
};

const malformed: Readonly<Record<string, string>> = {
  malformed: 'The authorization header you provided is invalid.',
  scope:
    'The credential should be of the day of the request and of the service "s3": ACCESS/YYYYMMDD/REGION/s3/aws4_request.',
  no_time: 'A signed request needs a valid Date or x-amz-date header.',
  expires: 'X-Amz-Expires must be a number of seconds, at least 1 and less than a week (604800).',
  host_not_signed: 'The header "host" must be among the signed headers.',
};

const object: RefusalTable<ObjectReasons> = {
  container_name_invalid: ['InvalidBucketName', 'The specified bucket is not valid.'],
  container_not_found: ['NoSuchBucket', 'The specified bucket does not exist'],
  container_not_empty: ['BucketNotEmpty', 'The bucket you tried to delete is not empty'],
  bucket_name_taken: [
    'BucketAlreadyExists',
    'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.',
  ],
  object_access_denied: ['AccessDenied', 'Access Denied'],
  object_metadata_too_large: [
    'MetadataTooLarge',
    ({ what, maximum }) => `Your metadata headers exceed the maximum allowed metadata size (${what}: ${maximum})`,
  ],
  object_text_not_storable: ['InvalidArgument', ({ what }) => `The ${what} must be UTF-8 without null characters`],
  object_name_invalid: ['KeyTooLongError', 'Your key is too long, or is not UTF-8'],
  object_not_found: ['NoSuchKey', 'The specified key does not exist.'],
  object_deleted: ['NoSuchKey', 'The specified key does not exist.'],
  object_is_delete_marker: ['MethodNotAllowed', 'The specified method is not allowed against this resource.'],
  object_range_invalid: ['InvalidRange', 'The requested range is not satisfiable'],
  object_part_not_found: ['InvalidPartNumber', 'The requested partnumber is not satisfiable'],
  upload_not_found: [
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  ],
  upload_part_number_invalid: [
    'InvalidArgument',
    ({ maximum }) => `Part number must be an integer between 1 and ${maximum}, inclusive`,
  ],
  upload_part_not_found: [
    'InvalidPart',
    'One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part’s entity tag.',
  ],
  upload_parts_out_of_order: [
    'InvalidPartOrder',
    'The list of parts was not in ascending order. Parts must be ordered by part number.',
  ],
  upload_part_too_small: ['EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size'],
  object_version_not_found: ['NoSuchVersion', 'The specified version does not exist.'],
  object_precondition_failed: ['PreconditionFailed', 'At least one of the pre-conditions you specified did not hold'],
  object_not_modified: ['NotModified', 'Not Modified'],
  object_locked: ['AccessDenied', 'Access Denied because object protected by object lock.'],
  object_too_large: [
    'EntityTooLarge',
    ({ maximum }) => `Your proposed upload exceeds the maximum allowed size of ${maximum} bytes`,
  ],
  checksum_mismatch: [
    'BadDigest',
    ({ algorithm }) => `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
  ],
  object_quota_exceeded: [
    'QuotaExceeded',
    ({ of }) => `The quota of the ${of === 'account' ? 'project' : 'bucket'} is exceeded`,
  ],
  symlink_loop: ['InvalidRequest', 'Too many levels of symbolic links'],
  manifest_segment_unavailable: [
    'InvalidRequest',
    ({ container, name }) => `The segment /${container}/${name} is not as the manifest says`,
  ],
  object_disks_too_few: ['ServiceUnavailable', 'Too few disks are available. Please try again.'],
  object_disks_full: ['ServiceUnavailable', 'All disks are full'],
  object_intent_closed: ['SlowDown', 'What was written was not made visible in time. Please try again.'],
  object_bytes_unavailable: ['ServiceUnavailable', 'The bytes are not available now. Please try again.'],
};

export const s3Refusals: RefusalTable<Spoken> = { ...kit, ...host, ...signed, ...object };
