import type { FastifyInstance } from 'fastify';
import type { TagService } from '../../../control/kit/tags.ts';
import { callerOf } from '../common/authenticate.ts';
import { listOf, readAttributes, text } from './attributes.ts';
import { idOf, type Resource } from './resource.ts';

const attributes = { tags: { put: true, required: true, read: listOf(text(255)) } };

export function addTags(app: FastifyInstance, service: TagService, resource: Resource): void {
  const { listing, path } = resource;
  const tagOf = (params: unknown): string => (params as { tag: string }).tag;
  app.get(`/v2.0/${path}/:id/tags`, async (request) => ({
    tags: await service.list(callerOf(request), listing, idOf(request, resource)),
  }));
  app.put(`/v2.0/${path}/:id/tags`, async (request) => {
    const { tags } = readAttributes(attributes, request.body, 'put') as { tags?: string[] };
    return { tags: await service.replace(callerOf(request), listing, idOf(request, resource), tags ?? []) };
  });
  app.delete(`/v2.0/${path}/:id/tags`, async (request, reply) => {
    await service.replace(callerOf(request), listing, idOf(request, resource), []);
    return reply.code(204).send();
  });
  app.get(`/v2.0/${path}/:id/tags/:tag`, async (request, reply) => {
    await service.check(callerOf(request), listing, idOf(request, resource), tagOf(request.params));
    return reply.code(204).send();
  });
  app.put(`/v2.0/${path}/:id/tags/:tag`, async (request, reply) => {
    await service.add(callerOf(request), listing, idOf(request, resource), tagOf(request.params));
    return reply.code(201).send();
  });
  app.delete(`/v2.0/${path}/:id/tags/:tag`, async (request, reply) => {
    await service.remove(callerOf(request), listing, idOf(request, resource), tagOf(request.params));
    return reply.code(204).send();
  });
}
