/** Policies: texts that other services keep here. */
import { Type } from 'typebox';
import type { PolicyChange } from '../../../../control/identity/policies.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, extraOf, query, type Routes, type With, wrapped } from '../resource.ts';
import { policyView } from '../views.ts';

const properties = {
  type: Type.String({ minLength: 1, maxLength: 255 }),
  blob: Type.String({ maxLength: 65_535 }),
};
const policy = a.one('policy', a.policy);
const contracts = {
  list: lists('List policies', 'admin', a.many('policies', a.policy), 'type'),
  create: {
    summary: 'Keep a policy',
    rights: 'admin',
    body: wrapped('policy', properties, ['blob', 'type']),
    answers: { 201: policy },
  },
  show: shows('Show a policy', 'admin', policy),
  update: {
    summary: 'Change a policy',
    rights: 'admin',
    body: wrapped('policy', properties),
    answers: { 200: policy },
  },
  remove: quiet('Remove a policy', 'admin'),
} as const;

const changeOf = (given: Record<string, unknown>): PolicyChange => {
  const { type, blob } = given as { type?: string; blob?: string };
  const extra = extraOf(given, Object.keys(properties));
  return { ...(type !== undefined && { type }), ...(blob !== undefined && { blob }), extra };
};

export const policyRoutes: Routes = (app, deps) => {
  const { policies } = deps.identity;
  const view = policyView(deps);
  const idOf = (request: With) => anyId(request.params.id);

  app.read('/v3/policies', contracts.list, async (request) => {
    const { type } = query(request);
    const rows = await policies.list(callerOf(request), type === undefined ? {} : { type });
    return collection(deps, request, 'policies', rows, view);
  });
  app.post('/v3/policies', contracts.create, async (request, reply) => {
    const given = changeOf(request.body.policy) as Parameters<typeof policies.create>[1];
    return reply.code(201).send({ policy: view(await policies.create(callerOf(request), given)) });
  });
  app.read('/v3/policies/:id', contracts.show, async (request) => ({
    policy: view(await policies.get(callerOf(request), idOf(request))),
  }));
  app.patch('/v3/policies/:id', contracts.update, async (request) => ({
    policy: view(await policies.update(callerOf(request), idOf(request), changeOf(request.body.policy))),
  }));
  app.delete('/v3/policies/:id', contracts.remove, async (request, reply) => {
    await policies.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });
};
