/** /servers: create, list, show, update, delete. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId, type ServerId } from '../../../contract/ids.ts';
import type { ServerNotes, ServerService, ShownServer } from '../../../control/compute/server/index.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { linksOf, nextLinks } from './paging.ts';
import { type CreateRequest, readCreate } from './server-create.ts';
import { readList } from './server-list.ts';
import { type Body, briefServer, serverBody } from './server-view.ts';
import * as v from './validate.ts';

/** The id in a path. Nova says the same of what is no id and of what is hidden. */
export function serverIdOf(request: FastifyRequest): ServerId {
  const { id } = request.params as { id: string };
  const parsed = parseId<ServerId>(id);
  if (!parsed) throw new Refusal('not_found', `Instance ${id.slice(0, 100)} could not be found.`);
  return parsed;
}

export function serverRoutes(app: FastifyInstance, servers: ServerService): void {
  app.post('/servers', async (request, reply) => createServer(servers, request, reply));
  app.get('/servers', async (request) => listServers(servers, request, { detail: false }));
  app.get('/servers/detail', async (request) => listServers(servers, request, { detail: true }));
  app.get('/servers/:id', async (request) => ({ server: await showServer(servers, request, { one: true }) }));
  app.put('/servers/:id', async (request) => updateServer(servers, request));
  app.delete('/servers/:id', async (request, reply) => {
    await servers.delete(callerOf(request), serverIdOf(request));
    return reply.code(204).send();
  });
}

async function createServer(servers: ServerService, request: FastifyRequest, reply: FastifyReply): Promise<Body> {
  const asked = readCreate(request.microversion, request.body);
  const { ids, reservationId } = await creating(() => servers.create(callerOf(request), asked.wish));
  reply.code(202);
  if (asked.reservationOnly) return { reservation_id: reservationId };
  const links = linksOf(request, 'servers', ids[0]!);
  reply.header('location', links[0]!.href);
  return { server: createdBody(ids[0]!, links, asked) };
}

const createdBody = (id: string, links: unknown, asked: CreateRequest): Body => ({
  id,
  links,
  'OS-DCF:diskConfig': asked.wish.diskConfig,
  security_groups: asked.securityGroups ?? [{ name: 'default' }],
});

/** A thing that the body names and that is not there is a bad request in Nova, not a missing page. */
async function creating<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCloudError(error, 'not_found')) throw error;
    throw error.as('invalid');
  }
}

async function listServers(
  servers: ServerService,
  request: FastifyRequest,
  options: { detail: boolean },
): Promise<Body> {
  const caller = callerOf(request);
  const { filter, allProjects, limit, empty } = readList(request, caller);
  const rows = empty ? [] : await servers.list(caller, filter, { allProjects });
  const bodies = options.detail
    ? await detailed(servers, request, rows)
    : rows.map((server) => briefServer(request, server));
  const collection = options.detail ? 'servers/detail' : 'servers';
  const links = empty
    ? undefined
    : nextLinks(request, collection, { limit, count: rows.length, last: rows.at(-1)?.id });
  return links ? { servers: bodies, servers_links: links } : { servers: bodies };
}

async function detailed(servers: ServerService, request: FastifyRequest, rows: ShownServer[]): Promise<Body[]> {
  const caller = callerOf(request);
  const ids = rows.map((row) => row.id as ServerId);
  const [interfaces, userData] = await Promise.all([
    servers.interfaces(ids),
    wantsUserData(caller, request, ids) ? servers.userData(caller, ids) : undefined,
  ]);
  return rows.map((server) =>
    serverBody(request, server, interfaces.get(server.id as ServerId) ?? [], {
      caller,
      userData: userData?.get(server.id) ?? null,
    }),
  );
}

const wantsUserData = (caller: Caller, request: FastifyRequest, ids: readonly string[]): boolean =>
  isAdmin(caller) && request.microversion >= 3 && ids.length > 0;

async function showServer(
  servers: ServerService,
  request: FastifyRequest,
  options: { one: true; brief?: boolean },
): Promise<Body> {
  const caller = callerOf(request);
  const id = serverIdOf(request);
  // Interfaces are read beside the row: if the row is hidden its error wins and nothing of them is shown.
  const [server, interfaces, userData] = await Promise.all([
    servers.get(caller, id),
    servers.interfaces([id]),
    wantsUserData(caller, request, [id]) ? servers.userData(caller, [id]) : undefined,
  ]);
  return serverBody(request, server, interfaces.get(id) ?? [], {
    ...options,
    caller,
    userData: userData?.get(id) ?? null,
  });
}

const update = (version: number) =>
  v.strict({
    server: v.strict({
      name: Type.Optional(v.name),
      'OS-DCF:diskConfig': Type.Optional(v.diskConfig),
      accessIPv4: Type.Optional(Type.Union([v.ipv4, Type.Literal('')])),
      accessIPv6: Type.Optional(Type.Union([v.ipv6, Type.Literal('')])),
      description: v.when(version >= 19, v.description),
      hostname: v.when(version >= 90, version >= 94 ? v.fqdn : v.hostname),
    }),
  });
const checkUpdate = v.versioned({
  1: () => update(1),
  19: () => update(19),
  90: () => update(90),
  94: () => update(94),
});

async function updateServer(servers: ServerService, request: FastifyRequest): Promise<Body> {
  const { server } = checkUpdate(request.microversion, request.body);
  const notes: ServerNotes = {
    ...(server.name !== undefined && { name: server.name }),
    ...(server.description !== undefined && { description: server.description }),
    ...(server.hostname !== undefined && { hostname: server.hostname }),
    ...(server['OS-DCF:diskConfig'] !== undefined && { disk_config: server['OS-DCF:diskConfig'] }),
    ...(server.accessIPv4 !== undefined && { access_ipv4: server.accessIPv4 || null }),
    ...(server.accessIPv6 !== undefined && { access_ipv6: server.accessIPv6 || null }),
  };
  await servers.update(callerOf(request), serverIdOf(request), notes);
  return { server: await showServer(servers, request, { one: true, brief: request.microversion < 75 }) };
}
