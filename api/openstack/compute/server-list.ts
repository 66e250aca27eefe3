/** GET /servers and /servers/detail: Nova's query parameters, read into the filter that the domain understands. */

import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import {
  isServerStatus,
  type ServerFilter,
  type SortKey,
  type TaskState,
  type VmState,
} from '../../../control/compute/server/index.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { isOfCalendar } from '../common/calendar.ts';
import { first, pageOf, type Query, queryOf, refuseUnknown } from './paging.ts';
import { looseBoolean } from './validate.ts';

export interface ListRequest {
  filter: ServerFilter;
  allProjects: boolean;
  limit: number;
  /** The filter can match nothing (an id that is none, a status that there is not). */
  empty: boolean;
}

/** Parameters that anyone may filter by; others are overlooked for all but administrators, as in Nova. */
const forEveryone = [
  ['reservation_id', 1],
  ['name', 1],
  ['status', 1],
  ['image', 1],
  ['flavor', 1],
  ['ip', 1],
  ['changes-since', 1],
  ['all_tenants', 1],
  ['ip6', 5],
  ['tags', 26],
  ['tags-any', 26],
  ['not-tags', 26],
  ['not-tags-any', 26],
  ['changes-before', 66],
  ['locked', 73],
  ...['availability_zone', 'config_drive', 'key_name', 'created_at', 'launched_at', 'terminated_at'].map(
    (key) => [key, 83] as const,
  ),
  ...['power_state', 'task_state', 'vm_state', 'progress', 'user_id'].map((key) => [key, 83] as const),
] as const;

const paging = ['limit', 'marker', 'sort_key', 'sort_dir'];
/** All that Nova knows; 2.75 refuses others. */
export const listParameters = [
  ...new Set([
    ...forEveryone.map(([key]) => key),
    ...paging,
    ...['project_id', 'tenant_id', 'launch_index', 'image_ref', 'kernel_id', 'ramdisk_id', 'hostname', 'host', 'node'],
    ...['display_name', 'description', 'display_description', 'locked_by', 'uuid', 'root_device_name', 'access_ip_v4'],
    ...['access_ip_v6', 'auto_disk_config', 'soft_deleted', 'deleted'],
  ]),
];

/** Joined tables of Nova's database: asking for them was always an error. */
const forbidden = [
  'block_device_mapping',
  'services',
  'metadata',
  'system_metadata',
  'info_cache',
  'security_groups',
  'pci_devices',
];

/** @throws CloudError `invalid`, `forbidden` */
export function readList(request: FastifyRequest, caller: Caller): ListRequest {
  refuseUnknown(request, listParameters);
  const asked = queryOf(request);
  const bad = Object.keys(asked).find((key) => forbidden.includes(key) || key.startsWith('_'));
  if (bad !== undefined) throw new Refusal('invalid', `Invalid filter field: ${bad.slice(0, 100)}.`);
  const query = permitted(asked, caller, request.microversion);
  const { limit, marker } = pageOf(query);
  const allProjects = asked.all_tenants !== undefined && isTrue(first(asked, 'all_tenants'), 'all_tenants');
  const list: ListRequest = { filter: { limit }, allProjects, limit, empty: limit === 0 };
  if (marker !== undefined) {
    const id = parseId(marker);
    // Without its dashes it is a name to Nova; clients look for the words of this refusal.
    if (id !== marker.toLowerCase()) throw new Refusal('invalid', `marker [${marker.slice(0, 100)}] not found`);
    list.filter.marker = id;
  }
  readIds(list, query);
  readStates(list, asked, query, request.microversion);
  readTimes(list.filter, query, caller);
  readTexts(list.filter, query);
  list.filter.sort = readSort(query, caller, request.microversion);
  return list;
}

function permitted(asked: Query, caller: Caller, microversion: number): Query {
  if (isAdmin(caller)) return asked;
  const allowed = new Set<string>([
    ...paging,
    ...forEveryone.flatMap(([key, from]) => (microversion >= from ? key : [])),
  ]);
  return Object.fromEntries(Object.entries(asked).filter(([key]) => allowed.has(key)));
}

function isTrue(value: string | undefined, key: string): boolean {
  if (value === undefined || value === '') return true;
  if (!/^(1|0|t|f|true|false|on|off|y|n|yes|no)$/i.test(value.trim())) {
    throw new Refusal('invalid', `Invalid value '${value.slice(0, 50)}' for ${key}: it is no boolean.`);
  }
  return looseBoolean(value);
}

function readIds(list: ListRequest, query: Query): void {
  const id = (...keys: string[]): string | undefined => {
    const text = keys.map((key) => first(query, key)).find((value) => value !== undefined);
    if (text === undefined) return undefined;
    const parsed = parseId(text.split('/').at(-1)!);
    if (!parsed) list.empty = true;
    return parsed;
  };
  const { filter } = list;
  const image = id('image', 'image_ref');
  if (image) filter.imageId = image;
  const server = id('uuid');
  if (server) filter.ids = [server];
  const user = id('user_id');
  if (user) filter.userId = user;
  const project = list.allProjects ? id('project_id', 'tenant_id') : undefined;
  if (project) filter.projectId = project;
  const flavor = first(query, 'flavor');
  if (flavor !== undefined) filter.flavor = flavor.split('/').at(-1)!;
  const host = first(query, 'host');
  if (host !== undefined) filter.hostName = host;
  const index = first(query, 'launch_index');
  if (index !== undefined) filter.launchIndex = /^\d{1,6}$/.test(index) ? Number(index) : -1;
}

function readStates(list: ListRequest, asked: Query, query: Query, microversion: number): void {
  const { filter } = list;
  const wanted = [asked.status ?? []].flat().map((status) => status.toUpperCase());
  if (wanted.length > 0) {
    const ours = wanted.filter(isServerStatus);
    if (microversion >= 38 && ours.length === 0) throw new Refusal('invalid', 'Invalid status value');
    if (ours.length === 0) list.empty = true;
    else filter.statuses = ours;
    if (ours.includes('DELETED')) filter.which = ours.length === 1 ? 'deleted' : 'both';
  }
  const vm = first(query, 'vm_state');
  if (vm !== undefined) filter.vmStates = [vm as VmState];
  const task = first(query, 'task_state');
  if (task !== undefined) filter.taskStates = [task as Exclude<TaskState, null>];
  const power = first(query, 'power_state');
  if (power !== undefined) filter.powerState = /^\d{1,3}$/.test(power) ? Number(power) : -1;
  const locked = first(query, 'locked');
  if (locked !== undefined && microversion >= 73) filter.locked = isTrue(locked, 'locked');
  const progress = first(query, 'progress');
  if (progress !== undefined) filter.progress = /^\d{1,3}$/.test(progress) ? Number(progress) : -1;
  const truth = (key: string) => {
    const text = first(query, key);
    return text === undefined ? undefined : looseBoolean(text);
  };
  const drive = truth('config_drive');
  if (drive !== undefined) filter.configDrive = drive;
  const auto = truth('auto_disk_config');
  if (auto !== undefined) filter.diskConfig = auto ? 'AUTO' : 'MANUAL';
  const soft = truth('soft_deleted');
  if (soft !== undefined) filter.softDeleted = soft;
  if (microversion >= 26) {
    const tags = (key: string) => first(query, key)?.split(',');
    Object.assign(
      filter,
      tags('tags') && { tags: tags('tags') },
      tags('tags-any') && { tagsAny: tags('tags-any') },
      tags('not-tags') && { notTags: tags('not-tags') },
      tags('not-tags-any') && { notTagsAny: tags('not-tags-any') },
    );
  }
}

function readTimes(filter: ServerFilter, query: Query, caller: Caller): void {
  const time = (key: string): Date | undefined => {
    const text = first(query, key);
    return text === undefined ? undefined : readTime(text, key);
  };
  const since = time('changes-since');
  const before = time('changes-before');
  if (since && before && before < since) {
    throw new Refusal('invalid', 'The value of changes-since must be less than or equal to changes-before.');
  }
  if (since) filter.changesSince = since;
  if (before) filter.changesBefore = before;
  const [created, launched, terminated] = [time('created_at'), time('launched_at'), time('terminated_at')];
  if (created) filter.createdAt = created;
  if (launched) filter.launchedAt = launched;
  if (terminated) filter.terminatedAt = terminated;
  const deleted = first(query, 'deleted');
  if (deleted !== undefined && isAdmin(caller)) {
    if (looseBoolean(deleted)) filter.which = 'deleted';
  } else if (since || before) filter.which ??= 'both';
}

/** @throws CloudError `invalid` */
export function readTime(text: string, key: string): Date {
  // Without a zone Nova means UTC.
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`;
  const time = new Date(zoned);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(time.getTime()) || !isOfCalendar(text)) {
    throw new Refusal('invalid', `Invalid filter field: ${key}.`);
  }
  return time;
}

function readTexts(filter: ServerFilter, query: Query): void {
  const patterns: NonNullable<ServerFilter['patterns']> = {};
  const take = (field: keyof typeof patterns, ...keys: string[]) => {
    const value = keys.map((key) => first(query, key)).find((text) => text !== undefined);
    if (value !== undefined) patterns[field] = value;
  };
  take('name', 'name', 'display_name');
  take('description', 'description', 'display_description');
  take('hostname', 'hostname');
  take('key_name', 'key_name');
  take('availability_zone', 'availability_zone');
  take('node', 'node');
  take('reservation_id', 'reservation_id');
  take('locked_by', 'locked_by');
  take('access_ipv4', 'access_ip_v4');
  take('access_ipv6', 'access_ip_v6');
  for (const field of ['root_device_name', 'kernel_id', 'ramdisk_id'] as const) take(field, field);
  filter.patterns = patterns;
  const ipv4 = first(query, 'ip');
  if (ipv4 !== undefined) filter.ipv4 = ipv4;
  const ipv6 = first(query, 'ip6');
  if (ipv6 !== undefined) filter.ipv6 = ipv6;
}

/** Nova's sort keys; null: known to Nova, the same for all servers here or none of the caller's business. */
const sorts: Readonly<Record<string, SortKey | null>> = {
  uuid: 'id',
  created_at: 'created_at',
  updated_at: 'updated_at',
  launched_at: 'launched_at',
  display_name: 'name',
  display_description: 'description',
  hostname: 'hostname',
  host: 'host',
  node: 'host',
  availability_zone: 'availability_zone',
  key_name: 'key_name',
  image_ref: 'image',
  instance_type_id: 'flavor',
  launch_index: 'launch_index',
  project_id: 'project_id',
  user_id: 'user_id',
  config_drive: 'config_drive',
  vm_state: 'vm_state',
  task_state: 'task_state',
  power_state: 'power_state',
  ...Object.fromEntries(
    ['access_ip_v4', 'access_ip_v6', 'auto_disk_config', 'kernel_id', 'locked_by', 'progress', 'ramdisk_id']
      .concat('root_device_name', 'terminated_at')
      .map((key) => [key, null]),
  ),
};
/** Keys that older versions overlooked and 2.75 refuses. */
const overlooked = new Set(
  `architecture cell_name cleaned default_ephemeral_device default_swap_device deleted deleted_at disable_terminate
  ephemeral_gb ephemeral_key_uuid id key_data launched_on locked memory_mb os_type reservation_id root_gb
  shutdown_terminate user_data vcpus vm_mode`.split(/\s+/),
);

function readSort(query: Query, caller: Caller, microversion: number): NonNullable<ServerFilter['sort']> {
  const directions = [query.sort_dir ?? []].flat();
  return [query.sort_key ?? []].flat().flatMap((key, index) => {
    const direction = directions[index] ?? directions[0] ?? 'desc';
    if (direction !== 'asc' && direction !== 'desc') {
      throw new Refusal('invalid', `Unknown sort direction, must be one of: asc, desc`);
    }
    if (key === 'locked' && microversion >= 73) return [{ key: 'locked' as const, direction }];
    if (overlooked.has(key) && microversion < 75) return [];
    const ours = Object.hasOwn(sorts, key) ? sorts[key] : undefined;
    if (ours === undefined) {
      throw new Refusal(
        'invalid',
        `Invalid input for query parameters sort_key. Value: ${key.slice(0, 100)}. It is no sort key`,
      );
    }
    if (ours === null || (ours === 'host' && !isAdmin(caller))) return [];
    return [{ key: ours, direction }];
  });
}
