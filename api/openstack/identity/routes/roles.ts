import { Type } from 'typebox';
import type { RoleId } from '../../../../contract/ids.ts';
import type { RoleChange } from '../../../../control/identity/roles.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { directory, quiet, shows } from '../contracts.ts';
import {
  anyId,
  changeOf,
  collection,
  domainId,
  filterDomainId,
  nullable,
  options,
  pageOf,
  query,
  type Routes,
  text,
  type With,
} from '../resource.ts';
import { inferenceView, roleView, singleInferenceView } from '../views.ts';

const properties = { name: text, description: nullable(text), domain_id: nullable(text), options };
type Given = RoleChange & Record<string, unknown> & { domain_id?: string | null };

const idOf = (request: With): RoleId => anyId(request.params.id);

const contracts = {
  ...directory({ noun: 'role', properties, answer: a.role, filters: ['name', 'domain_id'], showRights: 'admin' }),
  imply: { summary: 'Let a role imply another', rights: 'admin', answers: { 201: a.singleInference } },
  implication: shows('Show that a role implies another', 'admin', a.singleInference),
  hasImplication: quiet('Ask whether a role implies another', 'admin'),
  forget: quiet('Let a role imply another no more', 'admin'),
  implications: shows('List what a role implies', 'admin', a.record({ role_inference: a.inference, links: a.links })),
  inferences: shows(
    'List what roles imply',
    'admin',
    a.record({ role_inferences: Type.Array(a.inference), links: a.links }),
  ),
} as const;

export const roleRoutes: Routes = (app, deps) => {
  const { roles } = deps.identity;
  const view = roleView(deps);

  app.post('/v3/roles', contracts.create, async (request, reply) => {
    const given = request.body.role as Given & { name: string };
    const domain = given.domain_id ? domainId(deps, given.domain_id) : null;
    const row = await roles.create(callerOf(request), {
      ...changeOf(given, properties),
      name: given.name,
      domainId: domain,
    });
    return reply.code(201).send({ role: view(row) });
  });

  app.read('/v3/roles', contracts.list, async (request) => {
    const { name, domain_id: domain } = query(request);
    const filter = { name, domainId: filterDomainId(deps, domain) };
    return collection(deps, request, 'roles', await roles.list(callerOf(request), filter, pageOf(request)), view);
  });

  app.read('/v3/roles/:id', contracts.show, async (request) => ({
    role: view(await roles.get(callerOf(request), idOf(request))),
  }));

  app.patch('/v3/roles/:id', contracts.update, async (request) => {
    const given = request.body.role as Given;
    return { role: view(await roles.update(callerOf(request), idOf(request), changeOf(given, properties))) };
  });

  app.delete('/v3/roles/:id', contracts.remove, async (request, reply) => {
    await roles.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });

  const pair = (request: With<'id' | 'implied'>): [RoleId, RoleId] => [
    idOf(request),
    anyId<RoleId>(request.params.implied),
  ];
  const one = '/v3/roles/:id/implies/:implied';
  app.put(one, contracts.imply, async (request, reply) =>
    reply.code(201).send(singleInferenceView(deps, await roles.imply(callerOf(request), ...pair(request)))),
  );
  app.get(one, contracts.implication, async (request) =>
    singleInferenceView(deps, await roles.implication(callerOf(request), ...pair(request))),
  );
  app.route(['HEAD'], one, contracts.hasImplication, async (request, reply) => {
    await roles.implication(callerOf(request), ...pair(request));
    return reply.code(204).send();
  });
  app.delete(one, contracts.forget, async (request, reply) => {
    await roles.forgetImplication(callerOf(request), ...pair(request));
    return reply.code(204).send();
  });
  app.read('/v3/roles/:id/implies', contracts.implications, async (request) => ({
    role_inference: inferenceView(deps)(await roles.implications(callerOf(request), idOf(request))),
    links: { self: `${deps.base}/v3/roles/${idOf(request)}/implies` },
  }));
  app.read('/v3/role_inferences', contracts.inferences, async (request) => ({
    role_inferences: (await roles.allImplications(callerOf(request))).map(inferenceView(deps)),
    links: { self: `${deps.base}/v3/role_inferences` },
  }));
};
