/** /os-migrations, and the live migrations of a server that are under way. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
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
import { first, linksOf, nextLinks, pageOf, type Query, queryOf, refuseUnknown } from './paging.ts';
import { readTime } from './server-list.ts';
import { plainTime } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const host = a.orNull(a.text);
const bytes = a.integer;
const shown = (version: number) =>
  a.record({
    ...{ id: a.integer, instance_uuid: a.id, status: a.text, created_at: a.text, updated_at: a.orNull(a.text) },
    ...{ source_compute: host, source_node: host, dest_compute: host, dest_node: host, dest_host: host },
    ...{ old_instance_type_id: a.orNull(a.integer), new_instance_type_id: a.orNull(a.integer) },
    ...(version >= 23 && {
      migration_type: a.one('resize', 'migration', 'live-migration', 'evacuation'),
      links: a.some(a.links),
    }),
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
/** Bytes; before anything is known 0. */
const liveShown = (version: number) =>
  a.record({
    ...{ id: a.integer, server_uuid: a.id, status: a.text, created_at: a.text, updated_at: a.orNull(a.text) },
    ...{ source_compute: host, source_node: host, dest_compute: host, dest_node: host, dest_host: host },
    ...{ memory_total_bytes: bytes, memory_processed_bytes: bytes, memory_remaining_bytes: bytes },
    ...{ disk_total_bytes: bytes, disk_processed_bytes: bytes, disk_remaining_bytes: bytes },
    ...(version >= 59 && { uuid: a.id }),
    ...(version >= 80 && { user_id: a.id, project_id: a.id }),
  });
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
    ...{ summary: 'List the live migrations of a server that are under way', ...live },
    answers: { 200: v.since([23, 59, 80], (version) => a.record({ migrations: a.listOf(liveShown(version)) })) },
  },
  showLive: {
    summary: 'Show a live migration that is under way',
    rights: 'admin',
    versions: { from: 23 },
    answers: { 200: v.since([23, 59, 80], (version) => a.record({ migration: liveShown(version) })) },
  },
  endLive: {
    summary: 'Call a live migration off: the server stays where it is',
    rights: 'manager',
    versions: { from: 24 },
    answers: { 202: null },
  },
  actLive: { summary: 'Act on a live migration that is under way', rights: 'caller', versions: { from: 22 } },
} as const;

/** Nova has one. */
const liveActions = {
  force_complete: {
    summary: 'Make a live migration end, whatever it costs the guest',
    rights: 'manager',
    versions: { from: 22 },
    body: Type.Null(),
    answers: { 202: null },
  },
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

/** The hidden: there are none. */
const nothing = (query: Query): boolean => v.looseBoolean(first(query, 'hidden') ?? 'false');

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
  take('source_compute', (text) => (filter.source = text));
  take('migration_type', (text) => (filter.kind = text));
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

/** Whoever is no administrator hears of no host. */
function hostsOf(request: FastifyRequest, { source_name, target_name, target_url }: MigrationRow) {
  const shown = isAdmin(callerOf(request));
  const [source, target] = shown ? [source_name, target_name] : [null, null];
  return {
    ...{ source_compute: source, source_node: source, dest_compute: target, dest_node: target },
    dest_host: target && hostAddress(target_url),
  };
}

const timesOf = ({ created_at, updated_at }: MigrationRow) => ({
  ...{ created_at: plainTime(created_at), updated_at: plainTime(updated_at) },
});

const ownersOf = (request: FastifyRequest, row: MigrationRow) => ({
  ...(request.microversion >= 59 && { uuid: row.id }),
  ...(request.microversion >= 80 && { user_id: row.user_id, project_id: row.project_id }),
});

/** Only of what is found there: a live migration that is under way. */
const linksOfLive = (request: FastifyRequest, { kind, status, server_id, number }: MigrationRow) =>
  kind === 'live-migration' &&
  underWay.includes(status) && { links: linksOf(request, `servers/${server_id}/migrations`, String(number)) };

const underWay: readonly string[] = ['preparing', 'running'];

function body(request: FastifyRequest, row: MigrationRow) {
  return {
    ...{ id: row.number, instance_uuid: row.server_id, status: row.status, ...timesOf(row), ...hostsOf(request, row) },
    ...{ old_instance_type_id: row.old_flavor_number, new_instance_type_id: row.new_flavor_number },
    ...(request.microversion >= 23 && { migration_type: row.kind, ...linksOfLive(request, row) }),
    ...ownersOf(request, row),
  };
}

function liveBody(request: FastifyRequest, row: MigrationRow) {
  const { disks, memory } = row.progress ?? {};
  const left = ({ total, copied }: { total: number; copied: number }) => Math.max(0, total - copied);
  return {
    ...{ id: row.number, server_uuid: row.server_id, status: row.status, ...timesOf(row), ...hostsOf(request, row) },
    memory_total_bytes: memory?.total ?? 0,
    memory_processed_bytes: memory?.sent ?? 0,
    memory_remaining_bytes: memory?.remaining ?? 0,
    disk_total_bytes: disks?.total ?? 0,
    disk_processed_bytes: disks?.copied ?? 0,
    disk_remaining_bytes: disks ? left(disks) : 0,
    ...ownersOf(request, row),
  };
}

/** What no number can be is nobody's. */
const numberOf = (text: string): number => (/^[0-9]{1,9}$/.test(text) ? Number(text) : 0);
const migrationOf = (request: FastifyRequest): string =>
  (request.params as { migration: string }).migration.slice(0, 100);

export function serverMigrationRoutes(app: Boundary, servers: ServerService, migrations: MigrationService): void {
  const path = '/servers/:id/migrations';
  app.get(path, contracts.listLive, async (request) => {
    requireManager(callerOf(request), 'list live migrations');
    const { id } = await servers.get(callerOf(request), serverIdOf(request));
    const rows = await migrations.ofServer(id, { kind: 'live-migration', inProgress: true });
    return { migrations: rows.map((row) => liveBody(request, row)) };
  });
  app.get(`${path}/:migration`, contracts.showLive, async (request) => {
    requireAdmin(callerOf(request), 'see a live migration');
    const { id } = await servers.get(callerOf(request), serverIdOf(request));
    const number = numberOf(migrationOf(request));
    const [row] = await migrations.ofServer(id, { kind: 'live-migration', inProgress: true, number });
    if (row) return { migration: liveBody(request, row) };
    throw new Refusal('not_found', `In-progress live migration ${migrationOf(request)} is not found for server ${id}.`);
  });
  app.delete(`${path}/:migration`, contracts.endLive, async (request, reply) => {
    const early = request.microversion >= 65;
    await servers.abortMigration(callerOf(request), serverIdOf(request), {
      number: numberOf(migrationOf(request)),
      early,
    });
    return reply.status(202).send();
  });
  app.actions(`${path}/:migration/action`, contracts.actLive, liveActions, async (request, reply) => {
    await servers.forceMigration(callerOf(request), serverIdOf(request), { number: numberOf(migrationOf(request)) });
    return reply.status(202).send();
  });
}
