/** Images as Glance shows them. Pure. */
import {
  type ImageMemberRow,
  type ImageRow,
  type ImageTaskRow,
  ownerOf,
  taskLifeHours,
} from '../../../control/image/index.ts';

/** The one store that there is: the hosts' own disks. */
export const storeId = 'hosts';

const seconds = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;

export function imageView(image: ImageRow): Record<string, unknown> {
  const stored = image.status === 'active' || image.status === 'deactivated';
  const path = `/v2/images/${image.id}`;
  return {
    ...image.owner_properties,
    name: image.name,
    disk_format: image.disk_format,
    container_format: image.container_format,
    visibility: image.visibility,
    size: image.size_bytes,
    virtual_size: image.virtual_size_bytes,
    status: image.status,
    checksum: image.md5,
    protected: image.protected,
    min_ram: image.min_memory_mib,
    min_disk: image.min_disk_gib,
    owner: ownerOf(image),
    os_hidden: image.hidden,
    // Images of before SHA-512 was computed have the other.
    os_hash_algo: image.sha512 !== null ? 'sha512' : image.sha256 !== null ? 'sha256' : null,
    os_hash_value: image.sha512 ?? image.sha256,
    id: image.id,
    created_at: seconds(image.created_at),
    updated_at: seconds(image.updated_at),
    tags: image.tags,
    ...importOf(image),
    // One place, which is no client's to reach: bytes are read at `file`.
    locations: stored ? [{ url: `bothy://${storeId}/${image.id}`, metadata: { store: storeId } }] : [],
    ...(stored ? { stores: storeId } : {}),
    self: path,
    file: `${path}/file`,
    schema: '/v2/schemas/image',
  };
}

/** As Glance tells of an import's places: in short, where it goes on and where it failed. */
const importOf = ({ import_failure: failure, status }: ImageRow): Record<string, string> =>
  failure === null
    ? {}
    : {
        os_glance_importing_to_stores: status === 'importing' ? storeId : '',
        os_glance_failed_import: failure === '' ? '' : storeId,
      };

export function taskView(task: ImageTaskRow): Record<string, unknown> {
  const { input, ended_at: ended } = task;
  return {
    id: task.id,
    type: 'api_image_import',
    status: task.status,
    owner: ownerOf(task),
    user_id: task.user_id,
    request_id: task.request_id,
    image_id: task.image_id,
    input: { image_id: task.image_id, import_req: input.request },
    result: task.status === 'success' ? { image_id: task.image_id } : null,
    message: task.message,
    created_at: seconds(task.created_at),
    updated_at: seconds(task.updated_at),
    ...(ended ? { expires_at: seconds(new Date(ended.getTime() + taskLifeHours * 3_600_000)) } : {}),
    self: `/v2/tasks/${task.id}`,
    schema: '/v2/schemas/task',
  };
}

export const memberView = (member: ImageMemberRow): Record<string, unknown> => ({
  member_id: member.project_id,
  image_id: member.image_id,
  status: member.status,
  created_at: seconds(member.created_at),
  updated_at: seconds(member.updated_at),
  schema: '/v2/schemas/member',
});

/** The list's page, with links in Glance's form: without the service's own prefix, which clients know to add. */
export function imagesView(
  images: readonly ImageRow[],
  query: URLSearchParams,
  options: { hasMore: boolean },
): Record<string, unknown> {
  const rest = new URLSearchParams(query);
  rest.delete('marker');
  const first = rest.size > 0 ? `/v2/images?${rest}` : '/v2/images';
  const last = images.at(-1);
  const next = new URLSearchParams(rest);
  if (last) next.set('marker', last.id);
  return {
    images: images.map(imageView),
    first,
    schema: '/v2/schemas/images',
    ...(options.hasMore && last ? { next: `/v2/images?${next}` } : {}),
  };
}
