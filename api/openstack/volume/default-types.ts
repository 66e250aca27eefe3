/** /default-types (3.62): the volume types of single projects where none is named. */
import type { DefaultTypeService } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';

const one = a.record({ project_id: a.id, volume_type_id: a.id });
const shown = { 200: a.record({ default_type: one }) };
const versions = { from: 62 };
const contracts = {
  list: {
    summary: 'List the default volume types of projects',
    rights: 'admin',
    versions,
    answers: { 200: a.record({ default_types: a.listOf(one) }) },
  },
  show: { summary: "Show a project's default volume type", rights: 'admin', versions, answers: shown },
  set: {
    summary: "Set a project's default volume type",
    rights: 'admin',
    versions,
    body: v.strict({ default_type: v.strict({ volume_type: v.name }) }),
    answers: shown,
  },
  unset: { summary: "Take away a project's default volume type", rights: 'admin', versions, answers: { 204: null } },
} as const;

export function defaultTypeRoutes(app: Boundary, defaults: DefaultTypeService): void {
  app.get('/default-types', contracts.list, async (request) => ({
    default_types: await defaults.list(callerOf(request)),
  }));
  app.get('/default-types/:project', contracts.show, async (request) => ({
    default_type: await defaults.get(callerOf(request), request.params.project),
  }));
  app.put('/default-types/:project', contracts.set, async (request) => {
    const { volume_type } = request.body.default_type;
    return { default_type: await defaults.set(callerOf(request), request.params.project, volume_type) };
  });
  app.delete('/default-types/:project', contracts.unset, async (request, reply) => {
    await defaults.unset(callerOf(request), request.params.project);
    return reply.code(204).send();
  });
}
