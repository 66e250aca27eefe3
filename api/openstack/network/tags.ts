import type { FastifyRequest } from 'fastify';
import type { TagService } from '../../../control/kit/tags.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { listOf, readAttributes, text } from './attributes.ts';
import { bodySchema } from './contracts.ts';
import { callerFor } from './if-match.ts';
import { idOf, type Resource } from './resource.ts';

const attributes = { tags: { put: true, required: true, read: listOf(text(255)) } };

const answer = a.record({ tags: a.texts });
const contracts = {
  list: { summary: 'List tags', rights: 'reader', answers: { 200: answer } },
  replace: {
    summary: 'Replace all tags',
    rights: 'member',
    body: bodySchema(attributes, 'put'),
    answers: { 200: answer },
    explain: { body: (body: unknown) => readAttributes(attributes, body, 'put') },
  },
  more: {
    summary: 'Add tags',
    rights: 'member',
    body: bodySchema(attributes, 'put'),
    answers: { 200: answer },
    explain: { body: (body: unknown) => readAttributes(attributes, body, 'put') },
  },
  clear: { summary: 'Remove all tags', rights: 'member', answers: { 204: null } },
  check: { summary: 'Ask for a tag', rights: 'reader', answers: { 204: null } },
  add: { summary: 'Add a tag', rights: 'member', answers: { 201: null } },
  remove: { summary: 'Remove a tag', rights: 'member', answers: { 204: null } },
} as const;

/** @param path of the resource's tags where it is not below the resource (Neutron's of policies: /policies/…/tags) */
export function addTags(app: Boundary, service: TagService, resource: Resource, path = resource.path): void {
  const { listing } = resource;
  const changed = (request: FastifyRequest) => {
    const id = idOf(request, resource);
    return [callerFor(request, listing.noun, id), listing, id] as const;
  };
  const tagOf = (params: unknown): string => (params as { tag: string }).tag;
  app.get(`/v2.0/${path}/:id/tags`, contracts.list, async (request) => ({
    tags: await service.list(callerOf(request), listing, idOf(request, resource)),
  }));
  app.put(`/v2.0/${path}/:id/tags`, contracts.replace, async (request) => {
    const { tags } = readAttributes(attributes, request.body, 'put') as { tags?: string[] };
    return { tags: await service.replace(...changed(request), tags ?? []) };
  });
  app.post(`/v2.0/${path}/:id/tags`, contracts.more, async (request) => {
    const { tags } = readAttributes(attributes, request.body, 'put') as { tags?: string[] };
    await service.addAll(...changed(request), tags ?? []);
    return { tags: tags ?? [] };
  });
  app.delete(`/v2.0/${path}/:id/tags`, contracts.clear, async (request, reply) => {
    await service.replace(...changed(request), []);
    return reply.code(204).send();
  });
  app.get(`/v2.0/${path}/:id/tags/:tag`, contracts.check, async (request, reply) => {
    await service.check(callerOf(request), listing, idOf(request, resource), tagOf(request.params));
    return reply.code(204).send();
  });
  app.put(`/v2.0/${path}/:id/tags/:tag`, contracts.add, async (request, reply) => {
    await service.add(...changed(request), tagOf(request.params));
    return reply.code(201).send();
  });
  app.delete(`/v2.0/${path}/:id/tags/:tag`, contracts.remove, async (request, reply) => {
    await service.remove(...changed(request), tagOf(request.params));
    return reply.code(204).send();
  });
}
