/** /servers: create, list, show, update, delete. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId, type ServerId } from '../../../contract/ids.ts';
import type { ListedServer, ServerNotes, ServerService } from '../../../control/compute/server/index.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { Input } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { linksOf, nextLinks } from './paging.ts';
import * as c from './server-contracts.ts';
import { type CreateBody, type CreateRequest, readCreate } from './server-create.ts';
import { readList } from './server-list.ts';
import { type Body, briefServer, serverBody } from './server-view.ts';

/** The id in a path. Nova says the same of what is no id and of what is hidden. */
export function serverIdOf(request: FastifyRequest): ServerId {
  const { id } = request.params as { id: string };
  const parsed = parseId<ServerId>(id);
  if (!parsed) throw new Refusal('not_found', `Instance ${id.slice(0, 100)} could not be found.`);
  return parsed;
}

export function serverRoutes(app: Boundary, servers: ServerService): void {
  const create = async (request: FastifyRequest & { body: CreateBody }, reply: FastifyReply) => {
    const asked = readCreate(request.microversion, request.body);
    const { ids, reservationId } = await creating(() => servers.create(callerOf(request), asked.wish));
    reply.code(202);
    if (asked.reservationOnly) return { reservation_id: reservationId };
    const links = linksOf(request, 'servers', ids[0]!);
    reply.header('location', links[0]!.href);
    return { server: createdBody(ids[0]!, links, asked) };
  };
  app.post('/servers', c.create, create);
  // The same by another name, of before a server's volumes could be named in its own request.
  app.post('/os-volumes_boot', { ...c.create, summary: 'Create servers that boot from volumes' }, create);
  app.get('/servers', c.list, (request) => listServers(servers, request, { detail: false }));
  app.get('/servers/detail', c.details, (request) => listServers(servers, request, { detail: true }));
  app.get('/servers/:id', c.show, async (request) => ({ server: await showServer(servers, request, { one: true }) }));
  app.put('/servers/:id', c.update, async (request) => {
    await servers.update(callerOf(request), serverIdOf(request), notesOf(request.body.server));
    return { server: await showServer(servers, request, { one: true, brief: request.microversion < 75 }) };
  });
  app.delete('/servers/:id', c.remove, async (request, reply) => {
    await servers.delete(callerOf(request), serverIdOf(request));
    return reply.code(204).send();
  });
}

const createdBody = (id: string, links: unknown, asked: CreateRequest): Body => ({
  id,
  links,
  'OS-DCF:diskConfig': asked.wish.diskConfig,
  adminPass: asked.wish.adminPassword?.reveal(),
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
  const bodies = async () =>
    options.detail
      ? detailed(servers, request, await servers.list(caller, filter, { allProjects }))
      : (await servers.listNames(caller, filter, { allProjects })).map((server) => briefServer(request, server));
  const shown = empty ? [] : await bodies();
  const collection = options.detail ? 'servers/detail' : 'servers';
  const last = shown.at(-1)?.id as string | undefined;
  const links = empty ? undefined : nextLinks(request, collection, { limit, count: shown.length, last });
  return links ? { servers: shown, servers_links: links } : { servers: shown };
}

async function detailed(servers: ServerService, request: FastifyRequest, rows: ListedServer[]): Promise<Body[]> {
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

export async function showServer(
  servers: ServerService,
  request: FastifyRequest,
  options: { one: true; brief?: boolean },
): Promise<Body> {
  const caller = callerOf(request);
  const id = serverIdOf(request);
  const wanted = { userData: wantsUserData(caller, request, [id]) };
  const { server, interfaces, userData } = await servers.show(caller, id, wanted);
  return serverBody(request, server, interfaces, { ...options, caller, userData });
}

type Changes = Input<typeof c.update.body, never>['server'];

/** What PUT may change, and a rebuild. */
export const notesOf = (server: Changes): ServerNotes => ({
  ...(server.name !== undefined && { name: server.name }),
  ...(server.description !== undefined && { description: server.description }),
  ...(server.hostname !== undefined && { hostname: server.hostname }),
  ...(server['OS-DCF:diskConfig'] !== undefined && { disk_config: server['OS-DCF:diskConfig'] }),
  ...(server.accessIPv4 !== undefined && { access_ipv4: server.accessIPv4 || null }),
  ...(server.accessIPv6 !== undefined && { access_ipv6: server.accessIPv6 || null }),
});
