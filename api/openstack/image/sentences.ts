/** What Glance says of each reason, word for word where clients look for it. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { ImageReasons, TextPlace } from '../../../control/image/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import { hostSentences, kitSentences } from '../common/sentences.ts';

/** All that a call of this dialect may be refused for. */
export type GlanceReasons = KitReasons & HostReasons & ImageReasons;

const placeOf = ({ what, property }: TextPlace): string =>
  ({
    name: 'the name',
    owner: 'the owner',
    tag: 'a tag',
    property_name: 'the name of a property',
    property: `the property ${property}`,
  })[what];

/** Nova passes these on where a server is made from the image. */
export const imageSentences: SentenceTable<ImageReasons> = {
  image_not_found: ({ id }) => `No image found with ID ${id}`,
  image_deleted_during_upload: ({ id }) =>
    `Image ${id} could not be found after upload. The image may have been deleted during the upload.`,
  image_id_malformed: ({ id }) => `${id} is not a UUID`,
  image_id_taken: ({ id }) => `Image ID ${id} already exists!`,
  image_not_active: ({ id, status }) => `Image ${id} is not active: it is ${status}.`,
  image_not_a_disk: ({ id, format }) => `Image ${id} is unacceptable: its content is not ${format}.`,
  image_encrypted: ({ id }) =>
    `Image ${id} is unacceptable: Direct booting of an image uploaded from an encrypted volume is unsupported.`,
  image_state_conflict: ({ status, wanted }) => `Image status transition from ${status} to ${wanted} is not allowed`,
  image_protected: ({ id }) => `Image ${id} is protected and cannot be deleted.`,
  image_deactivated: 'The requested image has been deactivated. Image data download is forbidden.',
  image_operation_forbidden: ({ id, operation }) => `You are not authorized to complete ${operation} on image ${id}.`,
  image_publishing_forbidden: 'You are not authorized to complete publicize_image action: it needs the role admin.',
  image_owner_malformed: ({ owner }) => `the owner ${owner} is not the id of a project`,
  image_owner_forbidden: ({ owner }) => `You are not permitted to create images owned by '${owner}'.`,
  image_owner_fixed: "Owner can't be updated by non admin.",
  image_attribute_fixed: ({ attribute }) => `Attribute ${attribute} can be only replaced for a queued image.`,
  image_minimum_out_of_range: ({ attribute, maximum }) =>
    `${attribute === 'min_memory_mib' ? 'min_ram' : 'min_disk'} must be a whole number from 0 to ${maximum}`,
  image_text_too_long: (fields) => `${placeOf(fields)} is longer than ${fields.maximum} characters`,
  image_text_not_storable: (fields) => `${placeOf(fields)} has characters that cannot be stored`,
  image_property_without_name: 'a property needs a name',
  image_property_present: ({ property }) => `Property ${property} already present.`,
  image_property_absent: ({ property }) => `Property ${property} does not exist.`,
  image_property_reserved: ({ property }) => `Property '${property}' is protected`,
  image_tag_not_found: ({ image, tag }) => `Image ${image} has no tag ${tag}.`,
  too_many_image_parts: ({ what, limit, wanted }) =>
    `the limit has been exceeded on the number of image ${what}: ${wanted} wanted, ${limit} allowed`,
  image_not_shared: 'Only shared images have members.',
  image_member_malformed: ({ member }) => `the member ${member} is not the id of a project`,
  image_member_exists: ({ image, member }) => `Member ${member} is duplicated for image ${image}`,
  image_member_not_found: ({ image, member }) => `${member} not found in the member list of the image ${image}.`,
  image_member_answers_for_itself: "You are not permitted to modify 'status' on this image member.",
  image_member_role_required: 'Answering for a project needs the role member in it.',
  too_many_image_members: ({ limit }) =>
    `The limit has been exceeded on the number of image members: ${limit} allowed.`,
  image_import_state: ({ method, status, wanted }) =>
    `Image needs to be in '${wanted}' state to use '${method}' method; it is ${status}.`,
  image_task_not_found: ({ id }) => `No task found with ID ${id}`,
  metadef_namespace_not_found: ({ namespace }) => `Metadata definition namespace=${namespace} was not found.`,
  metadef_namespace_exists: ({ namespace }) => `The metadata definition namespace=${namespace} already exists.`,
  metadef_namespace_protected: ({ namespace }) =>
    `Metadata definition namespace ${namespace} is protected and cannot be deleted.`,
  metadef_entry_not_found: ({ kind, name, namespace }) =>
    `The metadata definition ${kind} with name=${name} was not found in namespace=${namespace}.`,
  metadef_entry_exists: ({ kind, name, namespace }) =>
    `A metadata definition ${kind} with name=${name} already exists in namespace=${namespace}.`,
  too_many_metadef_entries: ({ kind, limit }) => `A namespace has at most ${limit} definitions of the kind ${kind}.`,
  image_format_unset: ({ missing }) => `Properties ${missing.join(', ')} must be set prior to saving data.`,
  image_being_cleaned: ({ id }) => `image ${id} is being cleaned of an earlier upload; try again in a moment`,
  image_hosts_unreachable: ({ id }) => `no host that holds image ${id} can be reached; try again later`,
  no_host_for_image: 'no host is connected that could store the image; try again in a moment',
  service_stopping: 'the service is stopping; try again',
};

/** What Glance calls what we count, as its unified limits and `GET /v2/info/usage` do; sizes are in MiB there. */
const glanceResource: Readonly<Record<string, { name: string; unit: number }>> = {
  images: { name: 'image_count_total', unit: 1 },
  image_bytes: { name: 'image_size_total', unit: 1024 ** 2 },
  image_staged_bytes: { name: 'image_stage_total', unit: 1024 ** 2 },
  image_uploads: { name: 'image_count_uploading', unit: 1 },
};

/** In the words of oslo.limit, which Glance passes on. */
function quotaSentence({ resource, limit, used, wanted }: KitReasons['quota_exceeded']): string {
  const { name, unit } = glanceResource[resource] ?? { name: resource, unit: 1 };
  const [most, now, more] = [limit, used, wanted].map((count) => Math.ceil(count / unit));
  return `Resource ${name} is over limit of ${most} due to current usage ${now} and delta ${more}`;
}

export const glanceSentences: SentenceTable<GlanceReasons> = {
  ...kitSentences,
  quota_exceeded: quotaSentence,
  ...hostSentences,
  ...imageSentences,
};
