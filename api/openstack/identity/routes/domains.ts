import type { DomainChange } from '../../../../control/identity/domains.ts';
import { callerOf } from '../../common/authenticate.ts';
import { domain } from '../answers.ts';
import { directory } from '../contracts.ts';
import {
  changeOf,
  collection,
  domainId,
  flag,
  nullable,
  options,
  pageOf,
  query,
  queryBoolean,
  type Routes,
  tags,
  text,
} from '../resource.ts';
import { domainView } from '../views.ts';

const properties = { name: text, description: nullable(text), enabled: flag, tags, options };
type Given = DomainChange & Record<string, unknown>;

const contracts = directory({
  ...{ noun: 'domain', properties, answer: domain, filters: ['name', 'enabled'], showRights: 'caller' },
});

export const domainRoutes: Routes = (app, deps) => {
  const { domains } = deps.identity;
  const view = domainView(deps);

  app.post('/v3/domains', contracts.create, async (request, reply) => {
    const given = request.body.domain as Given & { name: string };
    const row = await domains.create(callerOf(request), { ...changeOf(given, properties), name: given.name });
    return reply.code(201).send({ domain: view(row) });
  });

  app.read('/v3/domains', contracts.list, async (request) => {
    const { name, enabled } = query(request);
    const page = await domains.list(callerOf(request), { name, enabled: queryBoolean(enabled) }, pageOf(request));
    return collection(deps, request, 'domains', page, view);
  });

  app.read('/v3/domains/:id', contracts.show, async (request) => ({
    domain: view(await domains.get(callerOf(request), domainId(deps, request.params.id))),
  }));

  app.patch('/v3/domains/:id', contracts.update, async (request) => {
    const given = request.body.domain as Given;
    const id = domainId(deps, request.params.id);
    return { domain: view(await domains.update(callerOf(request), id, changeOf(given, properties))) };
  });

  app.delete('/v3/domains/:id', contracts.remove, async (request, reply) => {
    await domains.delete(callerOf(request), domainId(deps, request.params.id));
    return reply.code(204).send();
  });
};
