import type { DomainChange } from '../../../../control/identity/domains.ts';
import { callerOf } from '../../common/authenticate.ts';
import {
  body,
  changeOf,
  collection,
  domainId,
  flag,
  nullable,
  options,
  pageOf,
  params,
  query,
  queryBoolean,
  type Routes,
  tags,
  text,
  wrapped,
} from '../resource.ts';
import { domainView } from '../views.ts';

const properties = { name: text, description: nullable(text), enabled: flag, tags, options };
type Given = DomainChange & Record<string, unknown>;

export const domainRoutes: Routes = (app, deps) => {
  const { domains } = deps.identity;
  const view = domainView(deps);

  app.post('/v3/domains', body(wrapped('domain', properties, ['name'])), async (request, reply) => {
    const given = (request.body as { domain: Given & { name: string } }).domain;
    const row = await domains.create(callerOf(request), { ...changeOf(given, properties), name: given.name });
    return reply.code(201).send({ domain: view(row) });
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/domains',
    handler: async (request) => {
      const { name, enabled } = query(request);
      const page = await domains.list(callerOf(request), { name, enabled: queryBoolean(enabled) }, pageOf(request));
      return collection(deps, request, 'domains', page, view);
    },
  });

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v3/domains/:id',
    handler: async (request) => ({
      domain: view(await domains.get(callerOf(request), await domainId(deps, params(request).id!))),
    }),
  });

  app.patch('/v3/domains/:id', body(wrapped('domain', properties)), async (request) => {
    const given = (request.body as { domain: Given }).domain;
    const id = await domainId(deps, params(request).id!);
    return { domain: view(await domains.update(callerOf(request), id, changeOf(given, properties))) };
  });

  app.delete('/v3/domains/:id', async (request, reply) => {
    await domains.delete(callerOf(request), await domainId(deps, params(request).id!));
    return reply.code(204).send();
  });
};
