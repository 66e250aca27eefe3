/** /types: volume types. */
import type { FastifyRequest } from 'fastify';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { VolumeTypeRow, VolumeTypeService } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, nextLinks, pageOf, queryOf } from './paging.ts';

const shownType = {
  ...{ id: a.text, name: a.text, is_public: a.boolean, description: a.orNull(a.text) },
  extra_specs: a.textsByName,
  'os-volume-type-access:is_public': a.boolean,
};
const contracts = {
  list: {
    summary: 'List volume types',
    rights: 'reader',
    query: a.query('limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'is_public'),
    answers: a.pageOf('volume_types', a.record(shownType), 'volume_type_links'),
  },
  show: {
    summary: 'Show a volume type',
    rights: 'reader',
    answers: { 200: a.record({ volume_type: a.record(shownType) }) },
  },
} as const;

const columns = {
  ...{ id: 'id', name: 'name', description: 'description', is_public: 'public' },
  ...{ created_at: 'created_at', updated_at: 'updated_at' },
};

/** What of a type's extra specs is for everybody (Cinder's USER_VISIBLE_EXTRA_SPECS). */
const visibleSpecs = ['RESKEY:availability_zones', 'multiattach', 'replication_enabled'];

export function typeBody(request: FastifyRequest, type: VolumeTypeRow) {
  const specs = Object.entries(type.extra_specs).filter(
    ([key]) => isAdmin(callerOf(request)) || visibleSpecs.includes(key),
  );
  return {
    ...{ id: type.id, name: type.name, is_public: type.public, description: type.description },
    extra_specs: Object.fromEntries(specs),
    'os-volume-type-access:is_public': type.public,
  };
}

export function typeRoutes(app: Boundary, types: VolumeTypeService): void {
  app.get('/types', contracts.list, async (request) => {
    const page = pageOf(queryOf(request), columns);
    const { limit, offset, marker, sort } = page;
    const filters = publicFilter(request);
    const rows =
      limit === 0
        ? []
        : await types.list(callerOf(request), {
            limit,
            offset,
            sort,
            filters,
            ...(marker !== undefined && { marker }),
          });
    const links = nextLinks(request, 'types', { limit, count: rows.length, last: rows.at(-1)?.id });
    return { volume_types: rows.map((row) => typeBody(request, row)), ...(links && { volume_type_links: links }) };
  });
  app.get('/types/:id', contracts.show, async (request) => {
    const { id } = request.params;
    const caller = callerOf(request);
    const type = id === 'default' ? await types.default(caller) : await types.get(caller, id);
    return { volume_type: typeBody(request, type) };
  });
}

/** `is_public` is the administrators': True (also where it is missing), False, or None for all. Others see what they may use. */
function publicFilter(request: FastifyRequest): { column: string; values: string[] }[] {
  if (!isAdmin(callerOf(request))) return [];
  const asked = (first(queryOf(request), 'is_public') ?? 'true').toLowerCase();
  if (asked === 'none') return [];
  return [{ column: 'public', values: [asked] }];
}
