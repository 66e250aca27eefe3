/** /os-migrations, and the live migrations of a server, of which there are none. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import type { ServerService } from '../../../control/compute/server/index.ts';
import type {
  MigrationFilter,
  MigrationRow,
  MigrationService,
} from '../../../control/compute/server-migration/index.ts';
import { isAdmin, requireAdmin, requireManager } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { hostAddress } from './hosts.ts';
import { first, nextLinks, pageOf, type Query, queryOf, refuseUnknown } from './paging.ts';
import { readTime } from './server-list.ts';
import { plainTime } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const host = a.orNull(a.text);
const shown = (version: number) =>
  a.record({
    ...{ id: a.integer, instance_uuid: a.id, status: a.text, created_at: a.text, updated_at: a.orNull(a.text) },
    ...{ source_compute: host, source_node: host, dest_compute: host, dest_node: host, dest_host: host },
    ...{ old_instance_type_id: a.orNull(a.integer), new_instance_type_id: a.orNull(a.integer) },
    ...(version >= 23 && { migration_type: a.one('resize') }),
    ...(version >= 59 && { uuid: a.id }),
    ...(version >= 80 && { user_id: a.id, project_id: a.id }),
  });
const filters = ['hidden', 'host', 'instance_uuid', 'source_compute', 'status', 'migration_type'];
const parameters = (version: number): string[] => [
  ...filters,
  ...(version >= 59 ? ['limit', 'marker', 'changes-since'] : []),
  ...(version >= 66 ? ['changes-before'] : []),
  ...(version >= 80 ? ['user_id', 'project_id'] : []),
];
const none = 'No server is migrated live';
const live = { rights: 'manager', versions: { from: 23 } } as const;
const contracts = {
  list: {
    summary: 'List migrations; managers those of their project, by its id',
    rights: 'admin',
    query: a.query(...parameters(80)),
    answers: {
      200: v.since([1, 23, 59, 80], (version) =>
        a.record({
          migrations: a.listOf(shown(version)),
          ...(version >= 59 && { migrations_links: a.some(a.links) }),
        }),
      ),
    },
  },
  listLive: {
    ...{ summary: `List a server's live migrations. ${none}`, ...live },
    answers: { 200: a.record({ migrations: a.none }) },
  },
  showLive: { summary: `Show a live migration. ${none}`, ...live, rights: 'admin', answers: {} },
  endLive: { summary: `End a live migration. ${none}`, rights: 'manager', versions: { from: 24 }, answers: {} },
} as const;

export function migrationRoutes(app: Boundary, migrations: MigrationService): void {
  app.get('/os-migrations', contracts.list, async (request) => {
    const caller = callerOf(request);
    const version = request.microversion;
    refuseUnknown(request, parameters(version), 59);
    const query = queryOf(request);
    const paging = version >= 59 ? pageOf(query) : undefined;
    const filter = { ...readFilter(request, query), newestFirst: paging !== undefined };
    const rows = await migrations.list(caller, { ...filter, ...(paging && pageFilter(paging)) });
    const wanted = nothing(query) ? [] : rows;
    const links =
      paging && nextLinks(request, 'os-migrations', { ...paging, count: wanted.length, last: wanted.at(-1)?.id });
    return { migrations: wanted.map((row) => body(request, row)), ...(links && { migrations_links: links }) };
  });
}

/** The hidden, and other kinds: there are none. */
const nothing = (query: Query): boolean =>
  v.looseBoolean(first(query, 'hidden') ?? 'false') || !['resize', undefined].includes(first(query, 'migration_type'));

function pageFilter({ limit, marker }: { limit: number; marker: string | undefined }) {
  if (marker === undefined) return { limit };
  const id = parseId(marker);
  if (!id) throw new Refusal('invalid', `Marker ${marker.slice(0, 100)} could not be found.`);
  return { limit, marker: id };
}

/** What no id can be is nobody's. */
const nobody = '00000000-0000-0000-0000-000000000000';

function readFilter(request: FastifyRequest, query: Query): Omit<MigrationFilter, 'newestFirst'> {
  const filter: Omit<MigrationFilter, 'newestFirst'> = {};
  const version = request.microversion;
  const take = (name: string, use: (text: string) => void, from = 1) => {
    const text = version >= from ? first(query, name) : undefined;
    if (text !== undefined && text !== '') use(text);
  };
  const id = (text: string): string => parseId(text) ?? nobody;
  take('host', (text) => (filter.host = text));
  take('source_compute', (text) => (filter.host = text));
  take('status', (text) => (filter.status = text));
  take('instance_uuid', (text) => (filter.serverId = id(text)));
  take('user_id', (text) => (filter.userId = id(text)), 80);
  // Before 2.80 Nova overlooks it as a filter.
  take('project_id', (text) => (filter.projectId = id(text)), 80);
  take('changes-since', (text) => (filter.changesSince = readTime(text, 'changes-since')), 59);
  take('changes-before', (text) => (filter.changesBefore = readTime(text, 'changes-before')), 66);
  const { changesSince: since, changesBefore: before } = filter;
  if (since && before && before < since) {
    throw new Refusal('invalid', 'The value of changes-since must be less than or equal to changes-before.');
  }
  return filter;
}

function body(request: FastifyRequest, row: MigrationRow) {
  const version = request.microversion;
  // Whoever is no administrator hears of no host.
  const name = isAdmin(callerOf(request)) ? row.host_name : null;
  return {
    ...{ id: row.number, instance_uuid: row.server_id, status: row.status },
    ...{ created_at: plainTime(row.created_at), updated_at: plainTime(row.updated_at) },
    ...{ source_compute: name, source_node: name, dest_compute: name, dest_node: name },
    dest_host: name && hostAddress(row.host_url),
    ...{ old_instance_type_id: row.old_flavor_number, new_instance_type_id: row.new_flavor_number },
    ...(version >= 23 && { migration_type: 'resize' }),
    ...(version >= 59 && { uuid: row.id }),
    ...(version >= 80 && { user_id: row.user_id, project_id: row.project_id }),
  };
}

export function serverMigrationRoutes(app: Boundary, servers: ServerService): void {
  const path = '/servers/:id/migrations';
  const absent = async (request: FastifyRequest): Promise<never> => {
    const id = serverIdOf(request);
    await servers.get(callerOf(request), id);
    const { migration } = request.params as { migration: string };
    throw new Refusal(
      'not_found',
      `In-progress live migration ${migration.slice(0, 100)} is not found for server ${id}.`,
    );
  };
  app.get(path, contracts.listLive, async (request) => {
    requireManager(callerOf(request), 'list live migrations');
    await servers.get(callerOf(request), serverIdOf(request));
    return { migrations: [] };
  });
  app.get(`${path}/:migration`, contracts.showLive, (request) => {
    requireAdmin(callerOf(request), 'see a live migration');
    return absent(request);
  });
  app.delete(`${path}/:migration`, contracts.endLive, (request) => {
    requireManager(callerOf(request), 'end a live migration');
    return absent(request);
  });
}
