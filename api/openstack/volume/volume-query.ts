/** What lists of volumes and snapshots are asked by: filters with their versions, counts, and whose. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { SnapshotFilter, SnapshotSortKey } from '../../../control/storage/snapshot/index.ts';
import type { TimeComparison, VolumeFilter, VolumeSortKey } from '../../../control/storage/volume/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { type Filtered, refuseFilters } from './filters.ts';
import { first, pageOf, queryOf } from './paging.ts';
import { pythonDict } from './python-dict.ts';
import * as v from './validate.ts';

/** Ours, by the keys that volumes are sorted by. */
export const volumeColumns = {
  ...{ id: 'id', created_at: 'created_at', updated_at: 'updated_at', launched_at: 'launched_at', name: 'name' },
  ...{ display_name: 'name', display_description: 'description', size: 'size', status: 'status', host: 'host' },
  ...{ bootable: 'bootable', availability_zone: 'availability_zone', volume_type_id: 'volume_type_id' },
  ...{ project_id: 'project_id', user_id: 'user_id' },
} as const satisfies Record<string, VolumeSortKey>;

export const snapshotColumns = {
  ...{ id: 'id', created_at: 'created_at', updated_at: 'updated_at', name: 'name', display_name: 'name' },
  ...{ status: 'status', volume_size: 'size', volume_id: 'volume_id', project_id: 'project_id', user_id: 'user_id' },
} as const satisfies Record<string, SnapshotSortKey>;

export const volumeParameters = [
  ...(['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants', 'with_count'] as const),
  ...(['name', 'name~', 'status', 'status~', 'metadata', 'bootable', 'migration_status', 'size'] as const),
  ...(['availability_zone', 'availability_zone~', 'group_id', 'created_at', 'updated_at', 'consumes_quota'] as const),
  ...(['glance_metadata', 'project_id', 'user_id', 'host', 'volume_type_id', 'snapshot_id', 'source_volid'] as const),
  ...(['id', 'description', 'description~'] as const),
] as const;

export const snapshotParameters = [
  ...(['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants', 'with_count'] as const),
  ...(['name', 'name~', 'status', 'status~', 'volume_id', 'metadata', 'availability_zone', 'consumes_quota'] as const),
  ...(['project_id', 'user_id', 'created_at', 'updated_at', 'id', 'description', 'description~'] as const),
] as const;

/** What every list has in common. */
export function listOf<Key extends string>(
  request: FastifyRequest,
  resource: Filtered,
  columns: Readonly<Record<string, Key>>,
) {
  refuseFilters(request, resource);
  const query = queryOf(request);
  const { sort, marker, ...page } = pageOf(query, columns);
  const truth = (key: string): boolean => {
    const text = first(query, key);
    return text !== undefined && v.looseBoolean(text);
  };
  return {
    page: {
      ...page,
      sort: sort.map(({ column, descending }) => ({ key: column as Key, descending })),
      ...(marker !== undefined && { marker }),
    },
    allProjects: truth('all_tenants'),
    counted: request.microversion >= 45 && truth('with_count'),
  };
}

type Ask = (key: string) => string | undefined;

/** Filters that a version or a caller does not have are overlooked; from 3.31 on they are refused before (filters.ts). */
function ask(request: FastifyRequest): { plain: Ask; like: Ask; admins: Ask } {
  const query = queryOf(request);
  const plain: Ask = (key) => first(query, key);
  return {
    plain,
    like: (key) => (request.microversion >= 34 ? first(query, `${key}~`) : undefined),
    admins: (key) => (isAdmin(callerOf(request)) ? plain(key) : undefined),
  };
}

export function volumeFilter(request: FastifyRequest): VolumeFilter {
  const { plain, like, admins } = ask(request);
  const version = request.microversion;
  return defined({
    ...common(request),
    ...{ bootable: truthOf('bootable', plain('bootable'), version >= 2), size: wholeNumber('size', plain('size')) },
    ...{
      zone: plain('availability_zone'),
      zoneLike: like('availability_zone'),
      volumeTypeId: admins('volume_type_id'),
    },
    ...{ snapshotId: admins('snapshot_id'), sourceVolumeId: admins('source_volid'), hostName: admins('host') },
    groupId: version >= 10 ? plain('group_id') : undefined,
    imageMetadata: version >= 4 ? dictionary('glance_metadata', plain('glance_metadata')) : undefined,
    migrationStatus: plain('migration_status'),
  });
}

export function snapshotFilter(request: FastifyRequest): SnapshotFilter {
  const { plain } = ask(request);
  const { metadata, ...all } = common(request);
  return defined({
    ...{ ...all, metadata: request.microversion >= 22 ? metadata : undefined },
    ...{ volumeId: plain('volume_id'), zone: plain('availability_zone') },
  });
}

function common(request: FastifyRequest) {
  const { plain, like, admins } = ask(request);
  const version = request.microversion;
  const times = (key: string) => (version >= 60 ? timesOf(key, plain(key)) : undefined);
  const id = admins('id');
  return {
    ...{ name: plain('name'), nameLike: like('name'), status: plain('status'), statusLike: like('status') },
    ...{
      description: admins('description'),
      descriptionLike: isAdmin(callerOf(request)) ? like('description') : undefined,
    },
    ...{ projectId: admins('project_id'), userId: admins('user_id'), ids: id === undefined ? undefined : [id] },
    metadata: dictionary('metadata', plain('metadata')),
    consumesQuota: version >= 65 ? truthOf('consumes_quota', plain('consumes_quota'), true) : undefined,
    ...{ createdAt: times('created_at'), updatedAt: times('updated_at') },
  };
}

const defined = <T extends object>(filter: T) =>
  Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

function truthOf(key: string, text: string | undefined, strict: boolean): boolean | undefined {
  if (text === undefined) return undefined;
  const truth = v.looseBoolean(text);
  if (!strict || truth === v.looseBoolean(text, true)) return truth;
  throw new Refusal('invalid', `Invalid input received: ${key}={${text.slice(0, 50)}} is no boolean.`);
}

/** What is no number no volume is as large as. */
const wholeNumber = (_key: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : /^\d{1,9}$/.test(text) ? Number(text) : -1;

function dictionary(key: string, text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const wanted = pythonDict(text);
  if (wanted) return wanted;
  throw new Refusal('invalid', `Invalid ${key} filter [${text.slice(0, 50)}]`);
}

const comparisons: ReadonlySet<string> = new Set(['gt', 'gte', 'eq', 'neq', 'lt', 'lte'] satisfies TimeComparison[]);

/** `gt:2016-01-01T01:01:01,lt:…` (3.60). */
function timesOf(key: string, text: string | undefined): { is: TimeComparison; at: Date }[] | undefined {
  return text?.split(',', 10).map((unit) => {
    const [is = '', ...rest] = unit.split(':');
    if (!comparisons.has(is)) throw new Refusal('invalid', `Invalid ${is.slice(0, 50)} operator`);
    const written = rest.join(':');
    const at = /^\d{4}-\d\d-\d\d/.test(written)
      ? new Date(/([zZ]|[+-]\d\d:?\d\d)$/.test(written.slice(10)) ? written : `${written}Z`)
      : new Date(Number.NaN);
    if (at.getUTCFullYear() >= 1 && at.getUTCFullYear() <= 9999) return { is: is as TimeComparison, at };
    throw new Refusal('invalid', `Invalid ${key} value`);
  });
}

/** The last part of Nova's references to images. */
export function imageIdOf(reference: string): string {
  const id = reference.split('/').at(-1) ?? '';
  if (parseId(id)) return id;
  throw new Refusal('invalid', 'Invalid image identifier or unable to access requested image.');
}
