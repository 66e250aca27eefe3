import type { FastifyRequest } from 'fastify';
import type { UserId } from '../../../../contract/ids.ts';
import type { GroupChange } from '../../../../control/identity/groups.ts';
import { callerOf } from '../../common/authenticate.ts';
import {
  anyId,
  body,
  changeOf,
  collection,
  domainId,
  domainOfNew,
  filterDomainId,
  mustStay,
  nullable,
  pageOf,
  params,
  query,
  type Routes,
  text,
  wrapped,
} from '../resource.ts';
import { groupView, userView } from '../views.ts';

const properties = { name: text, description: nullable(text), domain_id: text };
type Given = GroupChange & Record<string, unknown> & { domain_id?: string };

const idOf = (request: FastifyRequest): string => anyId(params(request).id!);

export const groupRoutes: Routes = (app, deps) => {
  const { groups, users } = deps.identity;
  const view = groupView(deps);

  app.post('/v3/groups', body(wrapped('group', properties, ['name'])), async (request, reply) => {
    const given = (request.body as { group: Given & { name: string } }).group;
    const caller = callerOf(request);
    const domain = await domainOfNew(deps, caller, given.domain_id);
    const row = await groups.create(caller, { ...changeOf(given, properties), name: given.name, domainId: domain });
    return reply.code(201).send({ group: view(row) });
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/groups',
    handler: async (request) => {
      const { name, domain_id: domain } = query(request);
      const filter = { name, domainId: await filterDomainId(deps, domain) };
      return collection(deps, request, 'groups', await groups.list(callerOf(request), filter, pageOf(request)), view);
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/groups/:id',
    handler: async (request) => ({ group: view(await groups.get(callerOf(request), idOf(request))) }),
  });

  app.patch('/v3/groups/:id', body(wrapped('group', properties)), async (request) => {
    const given = (request.body as { group: Given }).group;
    const caller = callerOf(request);
    if (given.domain_id !== undefined) {
      mustStay(await domainId(deps, given.domain_id), (await groups.get(caller, idOf(request))).domain_id, 'domain_id');
    }
    return { group: view(await groups.update(caller, idOf(request), changeOf(given, properties))) };
  });

  app.delete('/v3/groups/:id', async (request, reply) => {
    await groups.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/groups/:id/users',
    handler: async (request) => {
      const page = await users.ofGroup(
        callerOf(request),
        idOf(request),
        { name: query(request).name },
        pageOf(request),
      );
      return collection(deps, request, 'users', page, userView(deps));
    },
  });

  const member = (request: FastifyRequest): [string, UserId] => [idOf(request), anyId<UserId>(params(request).user!)];
  app.put('/v3/groups/:id/users/:user', async (request, reply) => {
    await groups.addMember(callerOf(request), ...member(request));
    return reply.code(204).send();
  });
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/groups/:id/users/:user',
    handler: async (request, reply) => {
      await groups.checkMember(callerOf(request), ...member(request));
      return reply.code(204).send();
    },
  });
  app.delete('/v3/groups/:id/users/:user', async (request, reply) => {
    await groups.removeMember(callerOf(request), ...member(request));
    return reply.code(204).send();
  });
};
