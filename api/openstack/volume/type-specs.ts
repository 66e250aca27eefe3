/** /types/…/extra_specs. */
import type { FastifyRequest } from 'fastify';
import type { CloudError } from '../../../contract/errors.ts';
import type { VolumeTypeService } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { specsFor } from './types.ts';
import * as v from './validate.ts';

const shown = { 200: a.record({ extra_specs: a.textsByName }) };
const contracts = {
  list: { summary: "List a volume type's extra specs", rights: 'reader', answers: shown },
  show: { summary: 'Show an extra spec of a volume type', rights: 'reader', answers: { 200: a.textsByName } },
  create: {
    summary: 'Set extra specs of a volume type',
    rights: 'admin',
    body: v.strict({ extra_specs: v.keyedSpecs }),
    answers: shown,
  },
  update: {
    summary: 'Set an extra spec of a volume type',
    rights: 'admin',
    body: v.oneSpec,
    answers: { 200: a.textsByName },
  },
  delete: { summary: 'Delete an extra spec of a volume type', rights: 'admin', answers: { 202: null } },
} as const;

export function typeSpecRoutes(app: Boundary, types: VolumeTypeService): void {
  const read = async (request: FastifyRequest, id: string) =>
    specsFor(request, (await types.get(callerOf(request), id)).extra_specs);
  const set = (request: FastifyRequest, id: string, specs: Record<string, string>) =>
    types.editExtraSpecs(callerOf(request), id, (present) => ({ ...present, ...specs }));
  app.get('/types/:id/extra_specs', contracts.list, async (request) => ({
    extra_specs: await read(request, request.params.id),
  }));
  app.get('/types/:id/extra_specs/:key', contracts.show, async (request) => {
    const { id, key } = request.params;
    const specs = await read(request, id);
    if (!Object.hasOwn(specs, key)) throw noSpec(id, key);
    return { [key]: specs[key] };
  });
  app.post('/types/:id/extra_specs', contracts.create, async (request) => {
    const { extra_specs } = request.body;
    await set(request, request.params.id, extra_specs);
    return { extra_specs };
  });
  app.put('/types/:id/extra_specs/:key', contracts.update, async (request) => {
    if (!Object.hasOwn(request.body, request.params.key)) {
      throw new Refusal('invalid', 'Request body and URI mismatch');
    }
    await set(request, request.params.id, request.body);
    return request.body;
  });
  app.delete('/types/:id/extra_specs/:key', contracts.delete, async (request, reply) => {
    const { id, key } = request.params;
    await types.editExtraSpecs(callerOf(request), id, ({ [key]: gone, ...kept }) => {
      if (gone === undefined) throw noSpec(id, key);
      return kept;
    });
    return reply.code(202).send();
  });
}

const noSpec = (id: string, key: string): CloudError =>
  new Refusal('not_found', `Volume Type ${id} has no extra specs with key ${key}.`);
