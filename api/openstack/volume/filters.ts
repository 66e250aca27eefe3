/**
 * By what each kind of thing may be filtered (Cinder's resource_filters.json). From 3.31 on others are refused to all but
 * administrators; before, they were overlooked.
 */
import type { FastifyRequest } from 'fastify';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';

const resourceFilters = {
  volume: [
    ...['name', 'status', 'metadata', 'bootable', 'migration_status', 'availability_zone', 'group_id', 'size'],
    ...['created_at', 'updated_at', 'consumes_quota'],
  ],
  backup: ['name', 'status', 'volume_id'],
  snapshot: ['name', 'status', 'volume_id', 'metadata', 'availability_zone', 'consumes_quota'],
  group: ['name'],
  group_snapshot: ['name', 'status', 'group_id'],
  attachment: ['volume_id', 'status', 'instance_id', 'attach_status'],
  message: ['resource_uuid', 'resource_type', 'event_id', 'request_id', 'message_level'],
  pool: ['name', 'volume_type'],
  volume_type: ['is_public', 'extra_specs'],
} as const satisfies Record<string, readonly string[]>;

export type Filtered = keyof typeof resourceFilters;

/** By a part of what there is, with `~` behind the key: from 3.34 on. */
const partFilters: { readonly [R in Filtered]?: readonly (typeof resourceFilters)[R][number][] } = {
  ...{ volume: ['name', 'status', 'availability_zone'], backup: ['name', 'status'], snapshot: ['name', 'status'] },
  ...{ group: ['name'], group_snapshot: ['name', 'status'] },
  attachment: ['volume_id', 'status', 'instance_id', 'attach_status'],
  message: ['resource_uuid', 'request_id'],
};
const partsFrom = 34;

const paging = ['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'with_count'];

/**
 * Refuses what nobody may filter by.
 * @param from the first version that does, where it is not 3.31
 * @param also what the list takes beside filters
 * @throws CloudError `invalid`
 */
export function refuseFilters(
  request: FastifyRequest,
  resource: Filtered,
  { from = 31, also = [] }: { from?: number; also?: readonly string[] } = {},
): void {
  if (request.microversion < from || (isAdmin(callerOf(request)) && resource !== 'pool')) return;
  // Clients in use always say all_tenants, whoever asks.
  const known = new Set<string>([...resourceFilters[resource], ...paging, ...also, 'all_tenants']);
  if (request.microversion >= partsFrom) for (const key of partFilters[resource] ?? []) known.add(`${key}~`);
  const unknown = Object.keys(queryOf(request)).filter((key) => !known.has(key));
  if (unknown.length === 0) return;
  const named = unknown.slice(0, 20).map((key) => key.slice(0, 100));
  throw new Refusal('invalid', `Invalid filters ${named.join(',')} are found in query options.`);
}

const contract = {
  summary: 'List what may be filtered by',
  rights: 'caller',
  versions: { from: 33 },
  query: a.query('resource'),
  answers: { 200: a.record({ resource_filters: a.list({ resource: a.text, filters: a.texts }) }) },
} as const;

export function resourceFilterRoutes(app: Boundary): void {
  app.get('/resource_filters', contract, (request) => {
    const asked = first(queryOf(request), 'resource');
    const all = Object.entries(resourceFilters).map(([resource, filters]) => ({ resource, filters }));
    return { resource_filters: all.filter(({ resource }) => asked === undefined || asked === resource) };
  });
}
