import type { FastifyRequest } from 'fastify';
import type { RoleId } from '../../../../contract/ids.ts';
import type { RoleChange } from '../../../../control/identity/roles.ts';
import { callerOf } from '../../common/authenticate.ts';
import {
  anyId,
  body,
  changeOf,
  collection,
  domainId,
  filterDomainId,
  nullable,
  options,
  pageOf,
  params,
  query,
  type Routes,
  text,
  wrapped,
} from '../resource.ts';
import { inferenceView, roleView, singleInferenceView } from '../views.ts';

const properties = { name: text, description: nullable(text), domain_id: nullable(text), options };
type Given = RoleChange & Record<string, unknown> & { domain_id?: string | null };

const idOf = (request: FastifyRequest): RoleId => anyId(params(request).id!);

export const roleRoutes: Routes = (app, deps) => {
  const { roles } = deps.identity;
  const view = roleView(deps);

  app.post('/v3/roles', body(wrapped('role', properties, ['name'])), async (request, reply) => {
    const given = (request.body as { role: Given & { name: string } }).role;
    const domain = given.domain_id ? await domainId(deps, given.domain_id) : null;
    const row = await roles.create(callerOf(request), {
      ...changeOf(given, properties),
      name: given.name,
      domainId: domain,
    });
    return reply.code(201).send({ role: view(row) });
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/roles',
    handler: async (request) => {
      const { name, domain_id: domain } = query(request);
      const filter = { name, domainId: await filterDomainId(deps, domain) };
      return collection(deps, request, 'roles', await roles.list(callerOf(request), filter, pageOf(request)), view);
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/roles/:id',
    handler: async (request) => ({ role: view(await roles.get(callerOf(request), idOf(request))) }),
  });

  app.patch('/v3/roles/:id', body(wrapped('role', properties)), async (request) => {
    const given = (request.body as { role: Given }).role;
    return { role: view(await roles.update(callerOf(request), idOf(request), changeOf(given, properties))) };
  });

  app.delete('/v3/roles/:id', async (request, reply) => {
    await roles.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  const pair = (request: FastifyRequest): [RoleId, RoleId] => [idOf(request), anyId<RoleId>(params(request).implied!)];
  const one = '/v3/roles/:id/implies/:implied';
  app.put(one, async (request, reply) =>
    reply.code(201).send(singleInferenceView(deps, await roles.imply(callerOf(request), ...pair(request)))),
  );
  app.route({
    method: 'GET',
    url: one,
    handler: async (request) => singleInferenceView(deps, await roles.implication(callerOf(request), ...pair(request))),
  });
  app.head(one, async (request, reply) => {
    await roles.implication(callerOf(request), ...pair(request));
    return reply.code(204).send();
  });
  app.delete(one, async (request, reply) => {
    await roles.forgetImplication(callerOf(request), ...pair(request));
    return reply.code(204).send();
  });
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/roles/:id/implies',
    handler: async (request) => ({
      role_inference: inferenceView(deps)(await roles.implications(callerOf(request), idOf(request))),
      links: { self: `${deps.base}/v3/roles/${idOf(request)}/implies` },
    }),
  });
  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/role_inferences',
    handler: async (request) => ({
      role_inferences: (await roles.allImplications(callerOf(request))).map(inferenceView(deps)),
      links: { self: `${deps.base}/v3/role_inferences` },
    }),
  });
};
